use ssh_key::certificate::CertType;

use super::{CertificateError, Principals, check_host, check_user};
use crate::trust::fixtures::{
    CA, CA_RSA, HOST_OK, NOW, USER_FORCE, USER_OK, USER_RSA, USER_SHA1, USER_SOURCE, certificate, key,
    parsed, sign,
};

const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));
const ROOT: Principals<'static> = Principals::User("root");

fn id() -> String {
    "test".to_owned()
}

#[test]
fn user_certificates_of_ssh_keygen() {
    let ca = parsed(CA);
    let check = |text, principals, peer, now| check_user(&certificate(text), &ca, principals, peer, now);
    assert_eq!(check(USER_OK, ROOT, PEER, NOW), Ok(()));
    assert_eq!(check(USER_OK, Principals::User("alice"), PEER, NOW), Ok(()));
    assert!(matches!(
        check(USER_OK, Principals::User("bob"), PEER, NOW),
        Err(CertificateError::NotAPrincipal { .. })
    ));
    assert!(matches!(check(USER_OK, ROOT, PEER, 1_500_000_000), Err(CertificateError::NotYetValid { .. })));
    assert!(matches!(check(USER_OK, ROOT, PEER, 2_300_000_000), Err(CertificateError::Expired { .. })));
    assert_eq!(check(USER_SOURCE, ROOT, PEER, NOW), Ok(()));
    assert!(matches!(check(USER_SOURCE, ROOT, ELSEWHERE, NOW), Err(CertificateError::SourceAddress { .. })));
    assert_eq!(
        check(USER_FORCE, ROOT, PEER, NOW),
        Err(CertificateError::CriticalOption { key_id: "user-force".into(), option: "force-command".into() })
    );
}

#[test]
fn signatures_with_rsa_need_sha2() {
    let ca = parsed(CA_RSA);
    assert_eq!(check_user(&certificate(USER_RSA), &ca, ROOT, PEER, NOW), Ok(()));
    assert!(matches!(
        check_user(&certificate(USER_SHA1), &ca, ROOT, PEER, NOW),
        Err(CertificateError::WeakSignature { .. })
    ));
}

#[test]
fn host_certificates_of_ssh_keygen_with_wildcards() {
    let ca = parsed(CA);
    let check = |host| check_host(&certificate(HOST_OK), &ca, host, NOW);
    assert_eq!(check("berlin.example.org"), Ok(()));
    assert_eq!(check("Berlin.Example.org"), Ok(()));
    assert_eq!(check("a.lab.example.org"), Ok(()));
    assert!(matches!(check("leipzig.example.org"), Err(CertificateError::NotAPrincipal { .. })));
}

#[test]
fn wildcards_do_not_count_for_users() {
    let cert = sign(CertType::User, &["*"], |_| ());
    assert!(matches!(
        check_user(&cert, &key(9), ROOT, PEER, NOW),
        Err(CertificateError::NotAPrincipal { .. })
    ));
}

#[test]
fn another_authority_type_or_time_is_refused() {
    let host = sign(CertType::Host, &["berlin"], |_| ());
    assert_eq!(
        check_host(&host, &key(8), "berlin", NOW),
        Err(CertificateError::OtherAuthority { key_id: id() })
    );
    assert_eq!(
        check_user(&host, &key(9), ROOT, PEER, NOW),
        Err(CertificateError::WrongType { key_id: id(), expected: "user" })
    );
    let user = sign(CertType::User, &["root"], |_| ());
    assert_eq!(
        check_host(&user, &key(9), "root", NOW),
        Err(CertificateError::WrongType { key_id: id(), expected: "host" })
    );
    assert_eq!(check_user(&user, &key(9), ROOT, PEER, NOW - 10), Ok(()));
    assert!(matches!(
        check_user(&user, &key(9), ROOT, PEER, NOW - 11),
        Err(CertificateError::NotYetValid { valid_after, .. }) if valid_after == NOW - 10
    ));
    assert!(matches!(
        check_user(&user, &key(9), ROOT, PEER, NOW + 10),
        Err(CertificateError::Expired { valid_before, .. }) if valid_before == NOW + 10
    ));
}

#[test]
fn no_principals_is_nobody() {
    for cert_type in [CertType::Host, CertType::User] {
        let cert = sign(cert_type, &[], |_| ());
        let error = Err(CertificateError::NoPrincipals { key_id: id() });
        match cert_type {
            CertType::Host => assert_eq!(check_host(&cert, &key(9), "berlin", NOW), error),
            CertType::User => assert_eq!(check_user(&cert, &key(9), ROOT, PEER, NOW), error),
        }
    }
}

#[test]
fn critical_options_are_critical() {
    let with = |cert_type, name: &'static str, value: &'static str| {
        sign(cert_type, &["root"], |builder| {
            builder.critical_option(name, value).unwrap();
        })
    };
    let option =
        |option: &str| Err(CertificateError::CriticalOption { key_id: id(), option: option.to_owned() });
    for name in ["unheard-of", "verify-required"] {
        assert_eq!(check_user(&with(CertType::User, name, ""), &key(9), ROOT, PEER, NOW), option(name));
    }
    let host = with(CertType::Host, "source-address", "192.0.2.0/24");
    assert_eq!(check_host(&host, &key(9), "root", NOW), option("source-address"));
    let damaged = with(CertType::User, "source-address", "192.0.2.0/24,");
    assert_eq!(
        check_user(&damaged, &key(9), ROOT, PEER, NOW),
        Err(CertificateError::SourceAddress { key_id: id(), peer: PEER })
    );
}

#[test]
fn extensions_do_not_matter() {
    let cert = sign(CertType::User, &["root"], |builder| {
        builder.extension("permit-pty", "").unwrap();
        builder.extension("unheard-of@example.org", "x").unwrap();
    });
    assert_eq!(check_user(&cert, &key(9), ROOT, PEER, NOW), Ok(()));
}

#[test]
fn a_changed_byte_breaks_the_signature() {
    let cert = sign(CertType::User, &["root"], |_| ());
    let good = cert.to_bytes().unwrap();
    let mut refused = 0;
    for index in 0..good.len() {
        let mut bytes = good.clone();
        bytes[index] ^= 1;
        if let Ok(changed) = ssh_key::Certificate::from_bytes(&bytes) {
            assert!(check_user(&changed, &key(9), ROOT, PEER, NOW).is_err(), "byte {index} does not matter");
            refused += 1;
        }
    }
    assert!(refused > 100, "only {refused} changes could be parsed at all");
}

#[test]
fn identities_go_into_messages_without_control_characters() {
    let cert = sign(CertType::User, &["root"], |_| ());
    assert_eq!(super::key_id(&cert), "test");
    assert_eq!(super::quotable("a\x1b[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
    assert_eq!(super::quotable(&"x".repeat(1000)).len(), 100);
}
