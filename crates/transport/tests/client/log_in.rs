//! Keys, certificates, agents, passwords.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use tapline_transport::client::{ConnectError, HostKeyRefusalKind, Options, PromptError, Prompter, connect};
use tapline_transport::trust::host_key::Strictness;
use zeroize::Zeroizing;

use crate::harness::{Agent, Keys, Scene, Scripted, in_namespaces, log_in, log_in_with, run, set_mode};

fn denied(error: &ConnectError) -> String {
    assert!(matches!(error, ConnectError::PermissionDenied { .. }), "{error}");
    assert!(error.is_permanent());
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn keys_of_every_kind() {
    in_namespaces(|| async {
        for kind in ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "rsa -m PEM"] {
            let scene = Scene::with_key(kind, "", "");
            let session = log_in(&scene.options()).await.unwrap();
            assert!(session.peer_version().starts_with("SSH-2.0-OpenSSH"), "{}", session.peer_version());
            assert_eq!(session.peer_address(), Some("127.0.0.1:22".parse().unwrap()));
            session.disconnect().await;
        }
    });
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase() {
    in_namespaces(|| async {
        for kind in ["ed25519", "rsa -b 2048 -m PKCS8"] {
            let scene = Scene::with_key(kind, "swordfish", "");
            let person = Scripted::new(["wrong", "swordfish"]);
            log_in_with(&scene.options(), &person).await.unwrap();
            let path = scene.keys.path("id");
            let asked = format!("Enter passphrase for key '{}': ", path.display());
            assert_eq!(person.asked(), [asked.clone(), asked]);
        }
    });
}

#[test]
fn an_encrypted_key_is_of_no_use_to_a_daemon() {
    in_namespaces(|| async {
        let scene = Scene::with_key("ed25519", "swordfish", "");
        let message = denied(&log_in(&scene.options()).await.unwrap_err());
        assert!(message.contains("it is encrypted and nobody can be asked for its passphrase"), "{message}");
        let batch = Options { batch_mode: true, ..scene.options() };
        let person = Scripted::new(["swordfish"]);
        log_in_with(&batch, &person).await.unwrap_err();
        assert!(person.asked().is_empty());
    });
}

#[test]
fn nobody_is_asked_for_the_passphrase_of_a_key_that_does_not_help() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        scene.keys.generate("encrypted", "ed25519", "swordfish");
        let both = vec![scene.keys.path("encrypted"), scene.keys.path("id")];
        let person = Scripted::new([]);
        log_in_with(&Options { identity_files: both, ..scene.options() }, &person).await.unwrap();
        assert!(person.asked().is_empty());
    });
}

#[test]
fn a_wrong_key_is_denied_with_what_was_tried() {
    in_namespaces(|| async {
        let scene = Scene::new("PasswordAuthentication no\nKbdInteractiveAuthentication no");
        let other = scene.keys.generate("other", "ed25519", "");
        let missing = scene.keys.path("missing");
        let identity_files = vec![other.clone(), missing.clone()];
        let error = log_in(&Options { identity_files, ..scene.options() }).await.unwrap_err();
        assert_eq!(
            denied(&error),
            format!(
                "permission denied for root at 127.0.0.1: tried {}; the server accepts publickey; not offered: {} \
                 (no such file); add the public key to authorized_keys there, or name one that it has with IdentityFile",
                other.display(),
                missing.display()
            )
        );
    });
}

#[test]
fn a_key_that_others_may_read_is_not_offered() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        set_mode(&scene.keys.path("id"), 0o644);
        let message = denied(&log_in(&scene.options()).await.unwrap_err());
        assert!(message.contains("permissions 0644 are too open, run `chmod 600"), "{message}");
        assert!(message.contains("there was nothing to offer"), "{message}");
    });
}

#[test]
fn too_many_keys_end_the_session() {
    in_namespaces(|| async {
        let scene = Scene::new("MaxAuthTries 2");
        let identity_files =
            (0..3).map(|number| scene.keys.generate(&format!("other{number}"), "ed25519", "")).collect();
        let error = log_in(&Options { identity_files, ..scene.options() }).await.unwrap_err();
        assert!(matches!(error, ConnectError::EndedInLogin { .. }), "{error}");
        assert!(error.is_permanent());
        let message = error.to_string();
        assert!(message.contains("Too many authentication failures"), "{message}");
        assert!(message.contains("other1"), "{message}");
    });
}

/// A server that trusts the certificates of `ca`.
fn certified(kind: &str) -> Scene {
    let keys = Keys::new();
    keys.generate("ca", "ed25519", "");
    let config = format!("TrustedUserCAKeys {}", keys.path("ca.pub").display());
    let scene = Scene::of(keys, kind, "", &config);
    scene.keys.write("authorized_keys", "");
    scene
}

#[test]
fn a_certificate_beside_its_key() {
    in_namespaces(|| async {
        for kind in ["ed25519", "ecdsa", "rsa -b 2048"] {
            let scene = certified(kind);
            log_in(&scene.options()).await.unwrap_err();
            scene.keys.sign("ca", "id", "-I test -n root");
            log_in(&scene.options()).await.unwrap();
        }
    });
}

#[test]
fn a_certificate_elsewhere_and_its_key_in_the_agent() {
    in_namespaces(|| async {
        let scene = certified("rsa -b 2048");
        scene.keys.sign("ca", "id", "-I test -n root");
        let certificate = scene.keys.path("certificate");
        fs::rename(scene.keys.path("id-cert.pub"), &certificate).unwrap();
        let agent = Agent::start(&scene.keys);
        agent.add(&scene.keys.path("id"));
        let options = Options {
            identity_files: Vec::new(),
            certificate_files: vec![certificate],
            identity_agent: Some(agent.socket()),
            identities_only: true,
            ..scene.options()
        };
        log_in(&options).await.unwrap();
    });
}

#[test]
fn the_agents_keys_and_certificates() {
    in_namespaces(|| async {
        for (kind, signed) in [("ed25519", false), ("rsa -b 2048", false), ("ecdsa", true)] {
            let scene = if signed { certified(kind) } else { Scene::with_key(kind, "", "") };
            if signed {
                scene.keys.sign("ca", "id", "-I test -n root");
            }
            let agent = Agent::start(&scene.keys);
            agent.add(&scene.keys.path("id"));
            let with_agent = Options {
                identity_files: Vec::new(),
                identity_agent: Some(agent.socket()),
                ..scene.options()
            };
            log_in(&with_agent).await.unwrap();
            let only_others = Options { identities_only: true, ..with_agent };
            denied(&log_in(&only_others).await.unwrap_err());
        }
    });
}

#[test]
fn the_agent_signs_for_a_public_key_file() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let agent = Agent::start(&scene.keys);
        agent.add(&scene.keys.path("id"));
        fs::remove_file(scene.keys.path("id")).unwrap();
        let options =
            Options { identity_agent: Some(agent.socket()), identities_only: true, ..scene.options() };
        log_in(&options).await.unwrap();
    });
}

#[test]
fn an_agent_that_is_gone_does_not_matter() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let identity_agent = Some(scene.keys.path("nowhere"));
        log_in(&Options { identity_agent, ..scene.options() }).await.unwrap();
    });
}

/// Gives root a password, in this mount namespace.
fn set_password(keys: &Keys, password: &str) {
    let hash = run(Command::new("openssl").args(["passwd", "-6", "-salt", "tapline", password]));
    let shadow =
        keys.write("shadow", &format!("root:{}:19000:0:99999:7:::\nsshd:!:19000::::::\n", hash.trim()));
    mount(Some(&shadow), "/etc/shadow", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

#[test]
fn a_password() {
    in_namespaces(|| async {
        let scene = Scene::new("PubkeyAuthentication no");
        set_password(&scene.keys, "swordfish");
        let person = Scripted::new(["wrong", "swordfish"]);
        log_in_with(&scene.options(), &person).await.unwrap();
        assert_eq!(person.asked(), ["root@127.0.0.1's password: ", "root@127.0.0.1's password: "]);

        let person = Scripted::new([]);
        let message = denied(&log_in_with(&scene.options(), &person).await.unwrap_err());
        assert!(message.contains("not offered: a password (cancelled)"), "{message}");
    });
}

#[test]
fn u8_a_password_is_asked_for_once_while_the_server_takes_it() {
    in_namespaces(|| async {
        for config in ["PubkeyAuthentication no", "AuthenticationMethods publickey,password"] {
            let scene = Scene::new(config);
            set_password(&scene.keys, "swordfish");
            let options = scene.options();
            let person = Scripted::new(["wrong", "swordfish"]);
            log_in_with(&options, &person).await.unwrap();
            assert_eq!(person.asked().len(), 2);
            assert_eq!(person.shown(), ["Permission denied, please try again."]);
            // As the same link would.
            let person = Scripted::new([]);
            log_in_with(&options, &person).await.unwrap();
            log_in_with(&options.clone(), &person).await.unwrap();
            assert!(person.asked().is_empty());

            set_password(&scene.keys, "marlin");
            let person = Scripted::new(["marlin"]);
            log_in_with(&options, &person).await.unwrap();
            assert_eq!(person.asked(), ["root@127.0.0.1's password: "]);
            log_in_with(&options, &Scripted::new([])).await.unwrap();
            // Another user, another server or another process is asked.
            for other in [scene.options(), Options { user: "nobody".to_owned(), ..options.clone() }] {
                log_in_with(&other, &Scripted::new([])).await.unwrap_err();
            }
        }
    });
}

#[test]
fn u8_a_passphrase_is_asked_for_once_while_the_key_is_the_same() {
    in_namespaces(|| async {
        let scene = Scene::with_key("ed25519", "swordfish", "");
        let options = scene.options();
        let person = Scripted::new(["wrong", "swordfish"]);
        log_in_with(&options, &person).await.unwrap();
        assert_eq!(person.asked().len(), 2);
        log_in_with(&options, &Scripted::new([])).await.unwrap();
        // Also with nobody there any more.
        log_in(&options).await.unwrap();
        run(Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "swordfish", "-N", "marlin", "-f"])
            .arg(scene.keys.path("id")));
        let person = Scripted::new(["marlin"]);
        log_in_with(&options, &person).await.unwrap();
        assert_eq!(person.asked().len(), 1);
        denied(&log_in(&scene.options()).await.unwrap_err());
    });
}

/// A person whose key for interrupts is the answer to everything.
#[derive(Debug)]
struct Interrupting;

impl Prompter for Interrupting {
    fn is_interactive(&self) -> bool {
        true
    }

    fn ask(&self, _prompt: &str, _echo: bool) -> Result<Zeroizing<String>, PromptError> {
        Err(PromptError::Interrupted)
    }

    fn show(&self, text: &str) {
        panic!("nothing is said to somebody who is going: {text}");
    }
}

#[test]
fn u8_one_interrupt_ends_whatever_is_asked() {
    in_namespaces(|| async {
        for (config, passphrase) in [
            ("PubkeyAuthentication no", ""),
            ("", "swordfish"),
            ("AuthenticationMethods publickey,password", ""),
            ("AuthenticationMethods publickey,password", "swordfish"),
        ] {
            let scene = Scene::with_key("ed25519", passphrase, config);
            let (events, _) = tokio::sync::mpsc::unbounded_channel();
            let error = connect(&scene.options(), Arc::new(Interrupting), events).await.unwrap_err();
            assert!(matches!(error, ConnectError::Interrupted), "{config} {passphrase}: {error}");
        }
    });
}

#[test]
fn t15_revoked_host_keys_are_refused() {
    in_namespaces(|| async {
        let keys = Keys::new();
        keys.generate("ca", "ed25519", "");
        keys.generate("host", "ed25519", "");
        keys.sign("ca", "host", "-I berlin -z 7 -h -n 127.0.0.1");
        let config = format!("HostCertificate {}", keys.path("host-cert.pub").display());
        let scene = Scene::of(keys, "ed25519", "", &config);
        let keys = &scene.keys;
        let with = |known_hosts: &str, list: &str| {
            keys.write("known_hosts", known_hosts);
            Options { revoked_host_keys: vec![keys.path("none"), keys.path(list)], ..scene.options() }
        };
        keys.write("none", "# nobody\n");
        keys.generate("other", "ed25519", "");
        let plain = format!("127.0.0.1 {}", keys.text("host.pub"));
        let certified = format!("@cert-authority * {}", keys.text("ca.pub"));
        keys.write("lines", &format!("# stolen\n\n{}", keys.text("host.pub")));
        keys.write("authority", &keys.text("ca.pub"));
        keys.write("harmless", &keys.text("other.pub"));
        keys.write("serial.spec", "serial: 7\n");
        keys.write("id.spec", "id: berlin\n");
        let krl = |list: &str, arguments: &[&str], of: &str| {
            run(Command::new("ssh-keygen")
                .args(["-q", "-k", "-f"])
                .arg(keys.path(list))
                .args(arguments)
                .arg(keys.path(of)));
        };
        krl("krl", &[], "host.pub");
        let ca = keys.path("ca.pub");
        krl("krl-serial", &["-s", ca.to_str().unwrap()], "serial.spec");
        krl("krl-id", &["-s", ca.to_str().unwrap()], "id.spec");
        krl("krl-other", &[], "other.pub");

        for (known_hosts, list) in [
            (&plain, "lines"),
            (&plain, "krl"),
            (&certified, "lines"),
            (&certified, "krl"),
            (&certified, "authority"),
            (&certified, "krl-serial"),
            (&certified, "krl-id"),
        ] {
            for checking in [Strictness::Yes, Strictness::No] {
                let options = Options { strict_host_key_checking: checking, ..with(known_hosts, list) };
                let error = log_in(&options).await.unwrap_err();
                let ConnectError::HostKey(refusal) = &error else { panic!("{list}: {error}") };
                assert_eq!(refusal.kind, HostKeyRefusalKind::Revoked, "{list}: {error}");
                assert!(refusal.message.contains("is revoked: "), "{error}");
            }
        }
        for list in ["missing", "ca/below", "damaged", "."] {
            keys.write("damaged", "SSHKRL\n\0 and no more");
            let error = log_in(&with(&plain, list)).await.unwrap_err();
            let ConnectError::HostKey(refusal) = &error else { panic!("{list}: {error}") };
            assert_eq!(refusal.kind, HostKeyRefusalKind::Unreadable, "{list}: {error}");
        }
        for (known_hosts, list) in [(&plain, "harmless"), (&certified, "harmless"), (&certified, "krl-other")]
        {
            log_in(&with(known_hosts, list)).await.unwrap();
        }
    });
}

#[test]
fn a_key_and_a_password() {
    in_namespaces(|| async {
        let scene = Scene::new("AuthenticationMethods publickey,password");
        set_password(&scene.keys, "swordfish");
        log_in_with(&scene.options(), &Scripted::new(["swordfish"])).await.unwrap();
        let message = denied(&log_in(&scene.options()).await.unwrap_err());
        assert!(message.contains("accepted some and wants more; the server accepts password"), "{message}");
    });
}

#[test]
fn a_banner_is_shown() {
    in_namespaces(|| async {
        let keys = Keys::new();
        let banner = keys.write("banner", "Authorised use only.\n\x1b[2J");
        let scene = Scene::of(keys, "ed25519", "", &format!("Banner {}", banner.display()));
        let person = Scripted::new([]);
        log_in_with(&scene.options(), &person).await.unwrap();
        assert_eq!(person.shown(), ["Authorised use only.\n[2J"]);
    });
}

#[test]
fn other_users_keys_do_not_matter() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let error = log_in(&Options { user: "nobody-here".to_owned(), ..scene.options() }).await.unwrap_err();
        assert!(denied(&error).contains("permission denied for nobody-here at 127.0.0.1"), "{error}");
    });
}

#[test]
fn t10_a_short_rsa_key_is_not_offered() {
    in_namespaces(|| async {
        let scene = Scene::with_key("rsa -b 1024", "", "");
        let message = denied(&log_in(&scene.options()).await.unwrap_err());
        assert!(message.contains("id (an RSA key of 1024 bits, 2048 are needed)"), "{message}");
        let options = Options { required_rsa_size: 1024, ..scene.options() };
        log_in(&options).await.unwrap();
    });
}
