//! What both roles negotiate: modern algorithms only.

use std::borrow::Cow;
use std::time::Duration;

use russh_channels::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh_channels::{Limits, SshId, cipher, compression, mac};

/// Kinds of host and user keys, in order of preference. No `ssh-rsa`: its signatures are SHA-1.
pub(crate) const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Never used, as all ciphers authenticate by themselves; some peers want a common name all the same.
pub(crate) const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];

pub(crate) const COMPRESSIONS: &[compression::Name] = &[compression::NONE];

/// Half of what RFC 4344 section 3.2 recommends for ciphers with blocks of 16 bytes.
pub(crate) const REKEY_BYTES: u64 = 32 << 30;
pub(crate) const REKEY_TIME: Duration = Duration::from_secs(3600);

/// Below this a session would do little else than change keys, in bytes.
const LEAST_REKEY_BYTES: u64 = 1 << 20;

/// RSA keys with a shorter modulus are within reach (NIST SP 800-131A). OpenSSH still takes 1024 by default.
pub(crate) const LEAST_RSA_BITS: u32 = 2048;

const CIPHERS_WITH_AES: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305];
const CIPHERS_WITHOUT_AES: &[cipher::Name] =
    &[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM];

/// AES-GCM first where the CPU has instructions for AES and for GCM's multiplication.
pub(crate) fn ciphers() -> &'static [cipher::Name] {
    if has_aes() { CIPHERS_WITH_AES } else { CIPHERS_WITHOUT_AES }
}

/// What we call ourselves; peers of the same name know the native channel.
pub(crate) fn version() -> SshId {
    SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-Tapline_", env!("CARGO_PKG_VERSION"))))
}

/// Keys change after `bytes` in one direction, or after `time`, and whatever these are before the 2^32 packets after
/// which chacha20-poly1305 would repeat a nonce.
pub(crate) fn rekey_limits(bytes: u64, time: Duration) -> Limits {
    let bytes = usize::try_from(bytes.max(LEAST_REKEY_BYTES)).unwrap_or(usize::MAX);
    Limits { rekey_write_limit: bytes, rekey_read_limit: bytes, rekey_time_limit: time, ..Limits::default() }
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}
