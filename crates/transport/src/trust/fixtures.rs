//! Keys and certificates for the tests: made here from seeds, and files that ssh-keygen of OpenSSH 9.2 made.

use std::path::PathBuf;

use ssh_key::{
    Certificate, PrivateKey,
    certificate::{Builder, CertType},
    private::{Ed25519Keypair, KeypairData},
    public::{KeyData, SkEd25519},
};

use super::Location;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

pub(crate) use replay::replay;

pub(crate) const CA: &str = include_str!("fixtures/ca.pub");
pub(crate) const CA_RSA: &str = include_str!("fixtures/ca_rsa.pub");
pub(crate) const USER: &str = include_str!("fixtures/user.pub");
pub(crate) const HOST: &str = include_str!("fixtures/host.pub");
/// Principals root and alice, 2020 to 2040, serial 7.
pub(crate) const USER_OK: &str = include_str!("fixtures/user-ok-cert.pub");
/// Source addresses 192.0.2.0/24 and 2001:db8::/32.
pub(crate) const USER_SOURCE: &str = include_str!("fixtures/user-source-cert.pub");
pub(crate) const USER_FORCE: &str = include_str!("fixtures/user-force-cert.pub");
pub(crate) const USER_RSA: &str = include_str!("fixtures/user-rsa-cert.pub");
/// Signed with SHA-1.
pub(crate) const USER_SHA1: &str = include_str!("fixtures/user-sha1-cert.pub");
/// Principals berlin.example.org and *.lab.example.org, 2020 to 2040.
pub(crate) const HOST_OK: &str = include_str!("fixtures/host-ok-cert.pub");
/// [`HOST`] as berlin.example.org, [`USER`] as `[leipzig.example.org]:2222`.
pub(crate) const KNOWN_HOSTS_HASHED: &str = include_str!("fixtures/known_hosts_hashed");

/// 2026-07-01 00:00 UTC.
pub(crate) const NOW: u64 = 1_782_864_000;

pub(crate) fn private(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::from(pair), "").unwrap()
}

pub(crate) fn key(seed: u8) -> KeyData {
    private(seed).public_key().key_data().clone()
}

/// `TYPE BASE64` of [`key`].
pub(crate) fn text(seed: u8) -> String {
    private(seed).public_key().to_openssh().unwrap().trim().to_owned()
}

/// A key that says it is in a security token.
pub(crate) fn token_key(seed: u8) -> KeyData {
    KeyData::SkEd25519(SkEd25519::new(*key(seed).ed25519().unwrap(), "ssh:"))
}

pub(crate) fn parsed(text: &str) -> KeyData {
    ssh_key::PublicKey::from_openssh(text).unwrap().key_data().clone()
}

pub(crate) fn certificate(text: &str) -> Certificate {
    Certificate::from_openssh(text).unwrap()
}

pub(crate) fn at(file: &str, line: usize) -> Location {
    Location { file: PathBuf::from(file), line }
}

/// A certificate of key 1 signed by key 9, valid around [`NOW`], for `principals`.
pub(crate) fn sign(
    cert_type: CertType,
    principals: &[&str],
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    sign_key(key(1), cert_type, principals, change)
}

pub(crate) fn sign_key(
    key: KeyData,
    cert_type: CertType,
    principals: &[&str],
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    let mut builder = Builder::new([7; 16], key, NOW - 10, NOW + 10).unwrap();
    builder.cert_type(cert_type).unwrap();
    builder.key_id("test").unwrap();
    match principals {
        [] => {
            builder.all_principals_valid().unwrap();
        }
        principals => {
            for name in principals {
                builder.valid_principal(*name).unwrap();
            }
        }
    }
    change(&mut builder);
    builder.sign(&private(9)).unwrap()
}
