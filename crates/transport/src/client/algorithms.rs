//! What the client negotiates: modern algorithms only.

use std::borrow::Cow;

use russh_channels::client::Config;
use russh_channels::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh_channels::{Limits, Preferred, SshId, cipher, compression, kex, mac};

use super::Options;

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    // With it, a server that offers strict key exchange (OpenSSH's answer to Terrapin) gets nothing else.
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Kinds of host keys, in our order of preference. No `ssh-rsa`: its signatures are SHA-1.
pub(super) const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

const CIPHERS_WITH_AES: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305];
const CIPHERS_WITHOUT_AES: &[cipher::Name] =
    &[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM];

/// Never used, as all ciphers authenticate by themselves; some servers want a common name all the same.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];

/// Below this a session would do little else than change keys, in bytes.
const MIN_REKEY_BYTES: u64 = 1 << 20;

/// `host_keys` in order of preference; their certificates come first if wanted.
pub(super) fn config(options: &Options, host_keys: Vec<Algorithm>, certificates: bool) -> Config {
    let rekey_bytes = usize::try_from(options.rekey_limit.bytes.max(MIN_REKEY_BYTES)).unwrap_or(usize::MAX);
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-Tapline_", env!("CARGO_PKG_VERSION")))),
        limits: Limits {
            rekey_write_limit: rekey_bytes,
            rekey_read_limit: rekey_bytes,
            rekey_time_limit: options.rekey_limit.interval,
        },
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        channel_buffer_size: 8,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            host_key_certificates: Cow::Owned(if certificates { host_keys.clone() } else { Vec::new() }),
            key: Cow::Owned(host_keys),
            cipher: Cow::Borrowed(if has_aes() { CIPHERS_WITH_AES } else { CIPHERS_WITHOUT_AES }),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        inactivity_timeout: None,
        keepalive_interval: options.server_alive_interval.filter(|interval| !interval.is_zero()),
        keepalive_max: usize::try_from(options.server_alive_count_max).unwrap_or(usize::MAX),
        nodelay: true,
        ..Config::default()
    }
}

/// Whether the CPU has instructions for AES and for GCM's multiplication.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}
