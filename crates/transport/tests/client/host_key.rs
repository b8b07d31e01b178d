//! Known hosts, and what is done about unknown ones.

use std::fs;
use std::sync::Arc;

use tapline_transport::client::{ConnectError, HostKeyRefusalKind, KnownHostsCommand, Options};
use tapline_transport::trust::host_key::Strictness;
use tapline_transport::trust::known_hosts::Pins;

use crate::harness::{
    Keys, PORT, Scene, Scripted, Sshd, in_namespaces, log_in, log_in_with, options, set_mode,
};

fn refusal(error: ConnectError) -> (HostKeyRefusalKind, String) {
    assert!(error.is_permanent());
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    match error {
        ConnectError::HostKey(refusal) => (refusal.kind, message),
        other => panic!("{other}"),
    }
}

fn known_hosts(scene: &Scene, text: &str) {
    scene.keys.write("known_hosts", text);
}

#[test]
fn an_unknown_key_is_refused() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        known_hosts(&scene, "");
        let (kind, message) = refusal(log_in(&scene.options()).await.unwrap_err());
        assert_eq!(kind, HostKeyRefusalKind::Unknown);
        assert!(
            message.contains("no host key is known for 127.0.0.1, which showed ED25519 SHA256:"),
            "{message}"
        );
        // Nobody to ask is no consent.
        let ask = Options { strict_host_key_checking: Strictness::Ask, ..scene.options() };
        assert_eq!(refusal(log_in(&ask).await.unwrap_err()).0, HostKeyRefusalKind::Unknown);
        assert_eq!(scene.keys.text("known_hosts"), "");
        assert!(!scene.sshd.log().contains("Accepted"), "nothing was signed for a stranger");
    });
}

#[test]
fn accept_new_stores_the_key_and_holds_the_host_to_it() {
    in_namespaces(|| async {
        for hash in [false, true] {
            let scene = Scene::new("");
            fs::remove_file(scene.keys.path("known_hosts")).unwrap();
            let options = Options {
                strict_host_key_checking: Strictness::AcceptNew,
                hash_known_hosts: hash,
                ..scene.options()
            };
            log_in(&options).await.unwrap();
            let stored = scene.keys.text("known_hosts");
            assert_eq!(stored.starts_with("127.0.0.1 ssh-ed25519"), !hash, "{stored}");
            assert_eq!(stored.starts_with("|1|"), hash, "{stored}");
            log_in(&scene.options()).await.unwrap();
            log_in(&options).await.unwrap();
            assert_eq!(scene.keys.text("known_hosts"), stored);

            let Scene { keys, sshd } = scene;
            drop(sshd);
            keys.generate("host2", "ed25519", "");
            let _sshd = Sshd::start(&keys, "127.0.0.1", "host2", "");
            let (kind, message) = refusal(log_in(&options).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Changed);
            assert!(message.contains("the host key of 127.0.0.1 has changed"), "{message}");
            assert!(message.contains("ssh-keygen -f"), "{message}");
        }
    });
}

#[test]
fn a_person_decides() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        known_hosts(&scene, "");
        let options = Options { strict_host_key_checking: Strictness::Ask, ..scene.options() };

        let person = Scripted::new(["no"]);
        let error = log_in_with(&options, &person).await.unwrap_err();
        assert_eq!(refusal(error).0, HostKeyRefusalKind::Unknown);
        assert_eq!(scene.keys.text("known_hosts"), "");

        let person = Scripted::new(["perhaps", "yes"]);
        log_in_with(&options, &person).await.unwrap();
        let asked = person.asked();
        assert!(asked[0].starts_with("The authenticity of host '127.0.0.1 (127.0.0.1)'"), "{}", asked[0]);
        assert_eq!(asked[1], "Please type 'yes', 'no' or the fingerprint: ");

        log_in_with(&options, &Scripted::new([])).await.unwrap();
    });
}

#[test]
fn the_fingerprint_is_a_yes() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        known_hosts(&scene, "");
        let fingerprint = scene.keys.fingerprint("host.pub");
        let options = Options { strict_host_key_checking: Strictness::Ask, ..scene.options() };
        log_in_with(&options, &Scripted::new([fingerprint.as_str()])).await.unwrap();
    });
}

#[test]
fn a_revoked_key_is_refused_under_every_setting() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let key = scene.keys.text("host.pub");
        known_hosts(&scene, &format!("127.0.0.1 {key}@revoked * {key}"));
        for strict_host_key_checking in [Strictness::Yes, Strictness::No] {
            let options = Options { strict_host_key_checking, ..scene.options() };
            let (kind, message) = refusal(log_in(&options).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Revoked);
            assert!(message.contains("is revoked by"), "{message}");
        }
    });
}

#[test]
fn an_alias_and_a_port_are_looked_up() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let key = scene.keys.text("host.pub");
        known_hosts(&scene, &format!("berlin {key}"));
        log_in(&scene.options()).await.unwrap_err();
        let alias = Options { host_key_alias: Some("berlin".to_owned()), ..scene.options() };
        log_in(&alias).await.unwrap();

        let keys = &scene.keys;
        let _sshd = Sshd::start(keys, "127.0.0.2", "host", "Port 2222");
        let other_port = Options { host: "127.0.0.2".to_owned(), port: 2222, ..scene.options() };
        log_in(&other_port).await.unwrap_err();
        known_hosts(&scene, &format!("[127.0.0.2]:2222 {key}"));
        log_in(&other_port).await.unwrap();
        assert_ne!(PORT, 2222);
    });
}

#[test]
fn a_host_is_asked_for_the_kind_of_key_that_is_known() {
    in_namespaces(|| async {
        for kind in ["ecdsa", "rsa -b 2048"] {
            let keys = Keys::new();
            keys.generate("second", kind, "");
            let config = format!("HostKey {}", keys.path("second").display());
            let scene = Scene::of(keys, "ed25519", "", &config);
            known_hosts(&scene, &format!("127.0.0.1 {}", scene.keys.text("second.pub")));
            let session = log_in(&scene.options()).await.unwrap();
            assert_ne!(session.peer().host_key, "ssh-ed25519");
        }
    });
}

#[test]
fn the_certificate_of_a_trusted_authority() {
    in_namespaces(|| async {
        for kind in ["ed25519", "rsa -b 2048"] {
            let keys = Keys::new();
            keys.generate("ca", "ed25519", "");
            keys.generate("second", kind, "");
            keys.sign("ca", "second", "-I host -h -n 127.0.0.1");
            let config = format!(
                "HostKey {}\nHostCertificate {}",
                keys.path("second").display(),
                keys.path("second-cert.pub").display()
            );
            let scene = Scene::of(keys, "ed25519", "", &config);
            known_hosts(&scene, &format!("@cert-authority * {}", scene.keys.text("ca.pub")));
            log_in(&scene.options()).await.unwrap();

            scene.keys.generate("ca2", "ed25519", "");
            known_hosts(&scene, &format!("@cert-authority * {}", scene.keys.text("ca2.pub")));
            let (kind, _) = refusal(log_in(&scene.options()).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Unknown);

            known_hosts(&scene, &format!("@cert-authority * {0}@revoked * {0}", scene.keys.text("ca.pub")));
            let (kind, _) = refusal(log_in(&scene.options()).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Revoked);
        }
    });
}

#[test]
fn a_certificate_for_another_host_says_so() {
    in_namespaces(|| async {
        let keys = Keys::new();
        keys.generate("ca", "ed25519", "");
        keys.generate("host", "ed25519", "");
        keys.sign("ca", "host", "-I elsewhere -h -n berlin.example.org");
        let config = format!("HostCertificate {}", keys.path("host-cert.pub").display());
        let scene = Scene::of(keys, "ed25519", "", &config);
        known_hosts(&scene, &format!("@cert-authority * {}", scene.keys.text("ca.pub")));
        let (_, message) = refusal(log_in(&scene.options()).await.unwrap_err());
        assert!(message.contains("certificate \"elsewhere\" is not for 127.0.0.1"), "{message}");
    });
}

/// Another server takes the place of the scene's.
fn swapped(scene: Scene) -> (Keys, Sshd) {
    let Scene { keys, sshd } = scene;
    drop(sshd);
    keys.generate("host2", "ed25519", "");
    let sshd = Sshd::start(&keys, "127.0.0.1", "host2", "");
    (keys, sshd)
}

fn accepting_new(scene: &Scene, known_hosts: &str) -> Options {
    Options {
        strict_host_key_checking: Strictness::AcceptNew,
        user_known_hosts_files: vec![known_hosts.into()],
        ..scene.options()
    }
}

#[test]
fn t5_a_key_that_the_known_hosts_do_not_take_is_kept_in_the_state_directory() {
    in_namespaces(|| async {
        for unwritable in ["/proc/nowhere/known_hosts", "/sys/known_hosts", "/proc/known_hosts"] {
            let scene = Scene::new("");
            let pins = scene.keys.path("state");
            let options =
                Options { pins: Arc::new(Pins::in_directory(&pins)), ..accepting_new(&scene, unwritable) };
            log_in(&options).await.unwrap();
            log_in(&options).await.unwrap();
            let host = scene.keys.text("host.pub");
            let key: Vec<_> = host.split(' ').take(2).collect();
            assert_eq!(scene.keys.text("state/known_hosts"), format!("127.0.0.1 {}\n", key.join(" ")));
            let (_keys, _sshd) = swapped(scene);
            // Another process as well.
            for pins in [Arc::clone(&options.pins), Arc::new(Pins::in_directory(&pins))] {
                let error = log_in(&Options { pins, ..options.clone() }).await.unwrap_err();
                let (kind, message) = refusal(error);
                assert_eq!(kind, HostKeyRefusalKind::Changed);
                assert!(message.contains("state/known_hosts"), "{message}");
            }
        }
    });
}

#[test]
fn t5_dev_null_holds_a_host_to_its_key_while_the_process_lives() {
    in_namespaces(|| async {
        for (checking, file) in [
            (Strictness::AcceptNew, Some("/dev/null")),
            (Strictness::No, Some("/dev/null")),
            (Strictness::AcceptNew, None),
        ] {
            let scene = Scene::new("");
            let options = Options {
                strict_host_key_checking: checking,
                user_known_hosts_files: file.into_iter().map(Into::into).collect(),
                ..scene.options()
            };
            log_in(&options).await.unwrap();
            log_in(&options).await.unwrap();
            let (keys, sshd) = swapped(scene);
            let (kind, message) = refusal(log_in(&options).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Changed);
            assert!(message.contains("to this process it has been ED25519 SHA256:"), "{message}");
            assert!(!sshd.log().contains("Accepted"));
            // A new process knows nothing of it, as was asked for.
            log_in(&Options { pins: Arc::default(), ..options }).await.unwrap();
            drop(keys);
        }
    });
}

#[test]
fn t5_unattended_what_cannot_be_kept_is_refused() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let public = scene.keys.path("public");
        fs::create_dir(&public).unwrap();
        set_mode(&public, 0o777);
        for pins in
            [Pins::in_memory(), Pins::in_directory("/proc/nowhere".as_ref()), Pins::in_directory(&public)]
        {
            let options =
                Options { pins: Arc::new(pins), ..accepting_new(&scene, "/proc/nowhere/known_hosts") };
            for checking in [Strictness::AcceptNew, Strictness::No] {
                let options = Options { strict_host_key_checking: checking, ..options.clone() };
                let (kind, message) = refusal(log_in(&options).await.unwrap_err());
                assert_eq!(kind, HostKeyRefusalKind::NotKept);
                assert!(message.contains("/proc/nowhere/known_hosts"), "{message}");
                assert!(message.contains("UserKnownHostsFile"), "{message}");
            }
        }
        assert!(!scene.sshd.log().contains("Accepted"));
    });
}

#[test]
fn t5_a_person_who_said_yes_is_connected_and_held_to_it() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let options = Options {
            strict_host_key_checking: Strictness::Ask,
            ..accepting_new(&scene, "/proc/nowhere/known_hosts")
        };
        let person = Scripted::new(["yes"]);
        log_in_with(&options, &person).await.unwrap();
        log_in_with(&options, &Scripted::new([])).await.unwrap();
        let (_keys, _sshd) = swapped(scene);
        let person = Scripted::new(["yes"]);
        let (kind, _) = refusal(log_in_with(&options, &person).await.unwrap_err());
        assert_eq!(kind, HostKeyRefusalKind::Changed);
        assert!(person.asked().is_empty());
    });
}

#[test]
fn t5_known_hosts_that_cannot_be_read_deny() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let key = scene.keys.text("host.pub");
        let good = scene.keys.path("known_hosts");
        scene.keys.write("large", &format!("127.0.0.1 {key}{}", "#\n".repeat(9 << 20)));
        for bad in ["/proc/self/mem", "/", "/dev/zero", "known_hosts/below", "large"] {
            let bad = scene.keys.path(bad);
            for checking in [Strictness::Yes, Strictness::AcceptNew, Strictness::No] {
                for (user, global) in [
                    (vec![bad.clone()], vec![]),
                    (vec![good.clone(), bad.clone()], vec![]),
                    (vec![good.clone()], vec![bad.clone()]),
                ] {
                    let options = Options {
                        strict_host_key_checking: checking,
                        user_known_hosts_files: user,
                        global_known_hosts_files: global,
                        ..scene.options()
                    };
                    let (kind, message) = refusal(log_in(&options).await.unwrap_err());
                    assert_eq!(kind, HostKeyRefusalKind::Unreadable);
                    assert!(message.contains("cannot read the known hosts file"), "{message}");
                }
            }
        }
        assert!(!scene.sshd.log().contains("Accepted"));
    });
}

#[test]
fn s3_a_known_hosts_command_is_asked_and_its_failure_denies() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let key = scene.keys.text("host.pub");
        let line = scene.keys.write("line", &format!("127.0.0.1 {key}"));
        scene.keys.generate("other", "ed25519", "");
        let other = scene.keys.write("other-line", &format!("127.0.0.1 {}", scene.keys.text("other.pub")));
        known_hosts(&scene, "");
        let with = |words: &[&str]| Options {
            known_hosts_command: Some(KnownHostsCommand {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                tokens: Default::default(),
            }),
            ..scene.options()
        };
        log_in(&with(&["/bin/cat", line.to_str().unwrap()])).await.unwrap();
        // For the kinds to prefer it has nothing to say, for the key itself it has.
        let script = format!("test %I = ORDER || cat {}", line.display());
        log_in(&with(&["/bin/sh", "-c", &script])).await.unwrap();
        // What it says only to order kinds of keys is no trust.
        let script = format!("test %I = HOSTNAME || cat {}", line.display());
        let (kind, _) = refusal(log_in(&with(&["/bin/sh", "-c", &script])).await.unwrap_err());
        assert_eq!(kind, HostKeyRefusalKind::Unknown);
        let (kind, _) = refusal(log_in(&with(&["/bin/cat", other.to_str().unwrap()])).await.unwrap_err());
        assert_eq!(kind, HostKeyRefusalKind::Changed);
        known_hosts(&scene, &format!("127.0.0.1 {key}"));
        let revoked = scene.keys.write("revoked", &format!("@revoked * {key}"));
        let (kind, _) = refusal(log_in(&with(&["/bin/cat", revoked.to_str().unwrap()])).await.unwrap_err());
        assert_eq!(kind, HostKeyRefusalKind::Revoked);
        for failing in [&["/bin/false"][..], &["/nonexistent"], &["false"], &["/bin/echo", "%Z"], &[]] {
            let (kind, message) = refusal(log_in(&with(failing)).await.unwrap_err());
            assert_eq!(kind, HostKeyRefusalKind::Unreadable, "{failing:?}");
            assert!(message.contains("KnownHostsCommand"), "{message}");
        }
    });
}

/// OpenSSH takes 1024 bits by default; here the least is what is told, and 2048 otherwise.
#[test]
fn t10_a_short_rsa_host_key_is_refused_though_it_is_known() {
    in_namespaces(|| async {
        for (size, least, taken) in [
            ("rsa -b 1024", None, false),
            ("rsa -b 1024", Some(1024), true),
            ("rsa -b 2048", None, true),
            ("rsa -b 2048", Some(3072), false),
            ("ed25519", Some(16_384), true),
        ] {
            let scene = Scene::new("");
            let Scene { keys, sshd } = scene;
            drop(sshd);
            keys.generate("host2", size, "");
            let _sshd = Sshd::start(&keys, "127.0.0.1", "host2", "");
            keys.write("known_hosts", &format!("127.0.0.1 {}", keys.text("host2.pub")));
            let mut options = options(&keys);
            options.required_rsa_size = least.unwrap_or(options.required_rsa_size);
            let met = log_in(&options).await;
            assert_eq!(met.is_ok(), taken, "{size}, {least:?}");
            if let Err(error) = met {
                let (kind, message) = refusal(error);
                assert_eq!(kind, HostKeyRefusalKind::Weak);
                assert!(message.contains("127.0.0.1 shows an RSA key of"), "{message}");
                assert!(message.contains("RequiredRSASize"), "{message}");
            }
        }
    });
}
