//! What the server negotiates: modern algorithms only.

use std::borrow::Cow;
use std::time::Duration;

use russh_channels::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh_channels::{
    Limits, MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac, server::Config,
};

use super::Options;

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    // With it, a client that offers strict key exchange (OpenSSH's answer to Terrapin) gets nothing else.
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// No `ssh-rsa`: its signatures are SHA-1.
const KEYS: &[Algorithm] = &[
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

/// Never used, as all ciphers authenticate by themselves; some clients want a common name all the same.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];

/// Files are read within it, so that the time of a rejection says nothing about what they hold.
const REJECTION_TIME: Duration = Duration::from_millis(50);

/// What limits the bytes under one key of AES-GCM and chacha20-poly1305 (RFC 4253 section 9).
const MAX_REKEY_BYTES: usize = 1 << 30;

pub(super) fn config(options: &Options) -> Config {
    let rekey_bytes = options.rekey.bytes.clamp(1 << 20, MAX_REKEY_BYTES);
    Config {
        server_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-Tapline_", env!("CARGO_PKG_VERSION")))),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: options.host_keys.clone(),
        certificates: options.host_certificates.clone(),
        limits: Limits {
            rekey_write_limit: rekey_bytes,
            rekey_read_limit: rekey_bytes,
            rekey_time_limit: options.rekey.time,
        },
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        channel_buffer_size: 1,
        event_buffer_size: 4,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            key: Cow::Borrowed(KEYS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(if has_aes() { CIPHERS_WITH_AES } else { CIPHERS_WITHOUT_AES }),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        // The request of method "none", with which clients ask for the methods, counts for russh.
        max_auth_attempts: options.max_auth_tries.saturating_add(1),
        inactivity_timeout: None,
        keepalive_interval: options.client_alive.map(|alive| alive.interval),
        keepalive_max: options.client_alive.map_or(0, |alive| alive.count_max),
        nodelay: true,
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
