//! Known hosts, and what is done about unknown ones.

use std::fs;

use tapline_transport::client::{ConnectError, HostKeyRefusalKind, Options};
use tapline_transport::trust::host_key::Strictness;

use crate::harness::{Keys, PORT, Scene, Scripted, Sshd, in_namespaces, log_in, log_in_with};

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
