//! What the client negotiates, in russh's terms.

use std::borrow::Cow;

use russh_channels::client::Config;
use russh_channels::keys::Algorithm;
use russh_channels::{Preferred, kex};

use super::Options;
use crate::algorithms;

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    // With it, a server that offers strict key exchange (OpenSSH's answer to Terrapin) gets nothing else.
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// `host_keys` in order of preference; their certificates come first if wanted.
pub(super) fn config(options: &Options, host_keys: Vec<Algorithm>, certificates: bool) -> Config {
    Config {
        client_id: algorithms::version(),
        limits: algorithms::rekey_limits(options.rekey_limit.bytes, options.rekey_limit.interval),
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        channel_buffer_size: 8,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            host_key_certificates: Cow::Owned(if certificates { host_keys.clone() } else { Vec::new() }),
            key: Cow::Owned(host_keys),
            cipher: Cow::Borrowed(algorithms::ciphers()),
            mac: Cow::Borrowed(algorithms::MACS),
            compression: Cow::Borrowed(algorithms::COMPRESSIONS),
        },
        inactivity_timeout: None,
        keepalive_interval: options.server_alive_interval.filter(|interval| !interval.is_zero()),
        keepalive_max: usize::try_from(options.server_alive_count_max).unwrap_or(usize::MAX),
        nodelay: true,
        ..Config::default()
    }
}
