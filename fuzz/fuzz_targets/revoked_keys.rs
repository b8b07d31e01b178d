#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ssh_key::{Certificate, PublicKey};
use tapline_transport::trust::{Offered, revocation::RevokedKeys};

/// A key, and a certificate for it, that no list names but by chance.
static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_openssh(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    )
    .expect("a key")
});
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    Certificate::from_openssh(include_str!("../../crates/transport/src/trust/fixtures/user-ok-cert.pub"))
        .expect("a certificate")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = RevokedKeys::parse(Path::new("revoked"), bytes) {
        let _ = list.check(Offered::from(&*KEY));
        let by_key = list.check(Offered::Key(CERTIFICATE.public_key()));
        let by_certificate = list.check(Offered::from(&*CERTIFICATE));
        // Whoever revokes a key revokes its certificates.
        assert!(by_key.is_ok() || by_certificate.is_err());
    }
});
