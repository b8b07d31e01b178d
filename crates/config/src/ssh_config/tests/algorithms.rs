//! Lists of algorithms.

use super::{berlin, problems};
use crate::ssh_config::Problem;

const DEFAULTS: &[&str] = &["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];
const ALL: &[&str] = &["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes128-ctr"];

fn ciphers(text: &str) -> Vec<String> {
    berlin(&format!("Ciphers {text}")).ciphers.unwrap().apply(DEFAULTS, ALL)
}

#[test]
fn s2_plus_minus_and_caret_change_the_defaults() {
    let [gcm, chacha, ctr, small] =
        ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes128-ctr"];
    assert_eq!(ciphers("aes128-ctr,aes256-gcm@openssh.com"), [small, gcm]);
    assert_eq!(ciphers("+aes128-ctr"), [gcm, chacha, small]);
    assert_eq!(ciphers("+aes256-gcm@openssh.com"), [gcm, chacha]);
    assert_eq!(ciphers("^aes256-ctr,chacha20-poly1305@openssh.com"), [ctr, chacha, gcm]);
    assert_eq!(ciphers("-aes*"), [chacha]);
    assert_eq!(ciphers("-chacha20-poly1305@openssh.com,nonsense"), [gcm]);
    assert_eq!(ciphers("3des-cbc,aes128-ctr"), [small], "what is not there falls away");
    assert_eq!(ciphers("3des-cbc"), [""; 0]);
    assert_eq!(ciphers("-*"), [""; 0]);
}

#[test]
fn s2_names_that_nobody_knows_are_refused() {
    for line in [
        "Ciphers bogus",
        "Ciphers aes128-ctr,bogus",
        "Ciphers +bogus",
        "Ciphers ^bogus",
        "Ciphers aes*",
        "Ciphers none",
        "MACs hmac-sha3",
        "KexAlgorithms curve448-sha512",
        "HostKeyAlgorithms ssh-x",
        "PubkeyAcceptedAlgorithms x",
        "PubkeyAcceptedKeyTypes x",
        "CASignatureAlgorithms !ssh-rsa",
        "Ciphers \"\"",
    ] {
        let found = problems(&format!("Host other\n{line}"));
        assert!(
            matches!(found.as_slice(), [(place, Problem::UnknownName { .. } | Problem::EmptyArgument(_))] if place == "config:2"),
            "{line}: {found:?}"
        );
    }
    let message = problems("Ciphers bogus")[0].1.to_string();
    assert!(
        message.starts_with("`bogus` is not a value of Ciphers; it takes chacha20-poly1305@openssh.com, "),
        "{message}"
    );
}

#[test]
fn s2_kinds_of_keys_may_be_patterns() {
    let options = berlin(
        "HostKeyAlgorithms ssh-ed25519*,rsa-sha2-*\nPubkeyAcceptedKeyTypes +ssh-rsa\nCASignatureAlgorithms -rsa*",
    );
    let all = ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"];
    assert_eq!(
        options.host_key_algorithms.unwrap().apply(&all, &all),
        ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", "rsa-sha2-512"]
    );
    assert_eq!(options.pubkey_accepted_algorithms.unwrap().apply(&["ssh-ed25519"], &all), ["ssh-ed25519"]);
    assert_eq!(options.ca_signature_algorithms.unwrap().to_string(), "-rsa*");
}
