use ssh_key::public::KeyData;

use super::{Action, Server, Strictness, decide, fingerprint};
use crate::trust::{
    certificate::CertificateError,
    fixtures::{HOST, at, key, parsed},
    known_hosts::{Host, Verdict},
};

const ALL: [Strictness; 4] = [Strictness::Yes, Strictness::AcceptNew, Strictness::Ask, Strictness::No];
const UNKNOWN: Verdict = Verdict::Unknown { certificate: None };

fn server(key: &KeyData) -> Server<'_> {
    let host = Host { name: "berlin.example.org", port: 2222, alias: None };
    Server { host, address: Some("192.0.2.1".parse().unwrap()), key }
}

#[test]
fn known_keys_are_accepted_under_every_setting() {
    let key = key(1);
    for strictness in ALL {
        for verdict in [
            Verdict::Known { location: at("f", 1) },
            Verdict::CertificateAccepted { authority: at("f", 1), key_id: "x".into() },
        ] {
            assert_eq!(decide(strictness, &verdict, &server(&key)), Action::Accept);
        }
    }
}

#[test]
fn unknown_keys_are_up_to_the_setting() {
    let key = key(1);
    let action = |strictness| decide(strictness, &UNKNOWN, &server(&key));
    assert!(matches!(action(Strictness::Yes), Action::Refuse { .. }));
    assert!(matches!(action(Strictness::AcceptNew), Action::AcceptAndStore { .. }));
    assert!(matches!(action(Strictness::No), Action::AcceptAndStore { .. }));
    match action(Strictness::Ask) {
        Action::Ask { prompt, fingerprint: shown, refusal } => {
            assert_eq!(shown, fingerprint(&key));
            assert!(prompt.contains("'[berlin.example.org]:2222 (192.0.2.1)'"), "{prompt}");
            assert!(prompt.contains(&shown) && prompt.contains("ED25519"), "{prompt}");
            assert!(prompt.ends_with("(yes/no/[fingerprint])? "), "{prompt}");
            assert_eq!(Action::Refuse { message: refusal }, action(Strictness::Yes));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn changed_keys_are_refused_with_the_way_out() {
    let (new, old) = (key(1), parsed(HOST));
    let verdict = Verdict::Changed {
        location: at("/home/a user/.ssh/known_hosts", 3),
        known: old.clone(),
        certificate: None,
    };
    for strictness in ALL {
        let Action::Refuse { message } = decide(strictness, &verdict, &server(&new)) else {
            panic!("{strictness:?} accepts a changed key");
        };
        assert!(!message.contains('\n'));
        for part in [
            "/home/a user/.ssh/known_hosts:3",
            "ssh-keygen -f '/home/a user/.ssh/known_hosts' -R '[berlin.example.org]:2222'",
            &format!("ED25519 {}", fingerprint(&new)),
            &format!("ECDSA {}", fingerprint(&old)),
        ] {
            assert!(message.contains(part), "{part} is missing: {message}");
        }
    }
}

#[test]
fn revoked_keys_are_refused_under_every_setting() {
    let key = key(1);
    for strictness in ALL {
        let verdict = Verdict::Revoked { location: at("/etc/ssh/ssh_known_hosts", 9) };
        let Action::Refuse { message } = decide(strictness, &verdict, &server(&key)) else {
            panic!("{strictness:?} accepts a revoked key");
        };
        assert!(message.contains("revoked by /etc/ssh/ssh_known_hosts:9"), "{message}");
    }
}

#[test]
fn a_certificate_that_did_not_help_is_told() {
    let key = key(1);
    let certificate = Some(CertificateError::Expired { key_id: "host-1".into(), valid_before: 1 });
    let verdict = Verdict::Unknown { certificate };
    let Action::Refuse { message } = decide(Strictness::Yes, &verdict, &server(&key)) else {
        panic!("accepted");
    };
    assert!(message.contains("certificate \"host-1\" has expired"), "{message}");
}

#[test]
fn names_cannot_leave_their_quotes() {
    assert_eq!(super::quoted("a'b; rm -r"), r"'a'\''b; rm -r'");
    assert_eq!(super::quoted("berlin.example.org"), "berlin.example.org");
}
