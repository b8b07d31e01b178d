//! What the server negotiates, in russh's terms.

use std::borrow::Cow;
use std::time::Duration;

use russh_channels::{MethodKind, MethodSet, Preferred, kex, server::Config};

use super::Options;
use crate::algorithms;

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    // With it, a client that offers strict key exchange (OpenSSH's answer to Terrapin) gets nothing else.
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Files are read within it, so that the time of a rejection says nothing about what they hold.
const REJECTION_TIME: Duration = Duration::from_millis(50);

pub(super) fn config(options: &Options) -> Config {
    Config {
        server_id: algorithms::version(),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: options.host_keys.clone(),
        certificates: options.host_certificates.clone(),
        limits: algorithms::rekey_limits(options.rekey.bytes, options.rekey.time),
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        channel_buffer_size: 1,
        event_buffer_size: 4,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            key: Cow::Borrowed(algorithms::KEYS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(algorithms::ciphers()),
            mac: Cow::Borrowed(algorithms::MACS),
            compression: Cow::Borrowed(algorithms::COMPRESSIONS),
        },
        // The request of method "none", with which clients ask for the methods, counts for russh.
        max_auth_attempts: options.max_auth_tries.saturating_add(1),
        inactivity_timeout: None,
        keepalive_interval: options.client_alive.map(|alive| alive.interval),
        keepalive_max: options.client_alive.map_or(0, |alive| alive.count_max),
        nodelay: true,
    }
}
