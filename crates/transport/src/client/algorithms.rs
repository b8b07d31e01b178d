//! What the client negotiates: by which names it is chosen, and in russh's terms.

use std::borrow::Cow;

use russh_channels::client::Config;
use russh_channels::keys::Algorithm;
use russh_channels::{Preferred, cipher, kex, mac};

use super::Options;
use crate::algorithms::{self, KEYS};

/// What an algorithm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmKind {
    KeyExchange,
    Cipher,
    /// Of messages, with ciphers that do not authenticate by themselves.
    Mac,
    /// What the server proves itself with: kinds of keys, and of certificates.
    HostKey,
    /// What authorities sign host certificates with.
    CaSignature,
    /// What we log in with: kinds of keys, and of certificates.
    PublicKey,
}

/// What may be negotiated, in order of preference and by the names that SSH has for it; `None` is what
/// [`AlgorithmKind::defaults`] says. Names that [`AlgorithmKind::known`] does not have count for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Algorithms {
    pub key_exchange: Option<Vec<String>>,
    pub cipher: Option<Vec<String>>,
    pub mac: Option<Vec<String>>,
    pub host_key: Option<HostKeyAlgorithms>,
    pub ca_signature: Option<Vec<String>>,
    pub public_key: Option<Vec<String>>,
}

/// Kinds of host keys that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyAlgorithms {
    pub names: Vec<String>,
    /// Their order counts; otherwise kinds that are known of the host come first.
    pub ordered: bool,
}

const KEY_EXCHANGES: &[kex::Name] =
    &[kex::MLKEM768X25519_SHA256, kex::CURVE25519, kex::CURVE25519_PRE_RFC_8731];

/// Only where somebody asks for them.
const OTHER_KEY_EXCHANGES: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];

const OTHER_CIPHERS: &[cipher::Name] = &[cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];

const OTHER_MACS: &[mac::Name] = &[mac::HMAC_SHA512, mac::HMAC_SHA256];

const EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    // With it, a server that offers strict key exchange (OpenSSH's answer to Terrapin) gets nothing else.
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Keys in security tokens, which the agent has.
const TOKENS: &[Algorithm] = &[Algorithm::SkEd25519, Algorithm::SkEcdsaSha2NistP256];

impl AlgorithmKind {
    /// What is negotiated when nobody chooses.
    pub fn defaults(self) -> Vec<String> {
        match self {
            Self::KeyExchange => names(KEY_EXCHANGES),
            Self::Cipher => names(algorithms::ciphers()),
            Self::Mac => names(algorithms::MACS),
            Self::HostKey | Self::CaSignature | Self::PublicKey => self.known(),
        }
    }

    /// All there is to choose from.
    pub fn known(self) -> Vec<String> {
        let with_certificates = |keys: &[&Algorithm]| {
            let certificates = keys.iter().map(|key| key.to_certificate_type());
            certificates.chain(keys.iter().map(ToString::to_string)).collect()
        };
        match self {
            Self::KeyExchange => names(KEY_EXCHANGES).into_iter().chain(names(OTHER_KEY_EXCHANGES)).collect(),
            Self::Cipher => names(algorithms::ciphers()).into_iter().chain(names(OTHER_CIPHERS)).collect(),
            Self::Mac => names(algorithms::MACS).into_iter().chain(names(OTHER_MACS)).collect(),
            Self::HostKey => with_certificates(&KEYS.iter().collect::<Vec<_>>()),
            Self::CaSignature => KEYS.iter().map(ToString::to_string).collect(),
            Self::PublicKey => with_certificates(&KEYS.iter().chain(TOKENS).collect::<Vec<_>>()),
        }
    }
}

impl Algorithms {
    /// Whether a host certificate may be signed with this algorithm.
    pub(super) fn takes_ca_signature(&self, name: &str) -> bool {
        self.ca_signature.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
    }

    /// Whether a key may be offered that goes by this name on the wire: for a certificate the certificate's.
    pub(super) fn takes_public_key(&self, name: &str) -> bool {
        self.public_key.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
    }
}

/// `host_keys` in order of preference; their certificates come first if wanted.
pub(super) fn config(options: &Options, host_keys: Vec<Algorithm>, certificates: bool) -> Config {
    let chosen = &options.algorithms;
    let (key, host_key_certificates) = chosen_host_keys(chosen.host_key.as_ref(), host_keys, certificates);
    let mut kex = chosen_names(&chosen.key_exchange, KEY_EXCHANGES, |name| kex::Name::try_from(name).ok());
    kex.extend(EXTENSIONS);
    Config {
        client_id: algorithms::version(),
        limits: algorithms::rekey_limits(options.rekey_limit.bytes, options.rekey_limit.interval),
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        channel_buffer_size: 8,
        preferred: Preferred {
            kex: Cow::Owned(kex),
            host_key_certificates: Cow::Owned(host_key_certificates),
            key: Cow::Owned(key),
            cipher: Cow::Owned(chosen_names(&chosen.cipher, algorithms::ciphers(), |name| {
                cipher::Name::try_from(name).ok()
            })),
            mac: Cow::Owned(chosen_names(&chosen.mac, algorithms::MACS, |name| {
                mac::Name::try_from(name).ok()
            })),
            compression: Cow::Borrowed(algorithms::COMPRESSIONS),
        },
        inactivity_timeout: None,
        keepalive_interval: options.server_alive_interval.filter(|interval| !interval.is_zero()),
        keepalive_max: usize::try_from(options.server_alive_count_max).unwrap_or(usize::MAX),
        nodelay: true,
        ..Config::default()
    }
}

/// Plain kinds of keys, and those of which certificates are asked for.
fn chosen_host_keys(
    chosen: Option<&HostKeyAlgorithms>,
    host_keys: Vec<Algorithm>,
    certificates: bool,
) -> (Vec<Algorithm>, Vec<Algorithm>) {
    let Some(HostKeyAlgorithms { names, ordered }) = chosen else {
        let certified = if certificates { host_keys.clone() } else { Vec::new() };
        return (host_keys, certified);
    };
    let pick = |name_of: &dyn Fn(&Algorithm) -> String| -> Vec<Algorithm> {
        match ordered {
            true => {
                let of = |name: &String| host_keys.iter().find(|key| name_of(key) == *name).cloned();
                names.iter().filter_map(of).collect()
            }
            false => host_keys.iter().filter(|key| names.contains(&name_of(key))).cloned().collect(),
        }
    };
    let certified = if certificates { pick(&Algorithm::to_certificate_type) } else { Vec::new() };
    (pick(&ToString::to_string), certified)
}

fn chosen_names<N: Copy>(
    chosen: &Option<Vec<String>>,
    defaults: &[N],
    of_name: impl Fn(&str) -> Option<N>,
) -> Vec<N> {
    match chosen {
        Some(names) => names.iter().filter_map(|name| of_name(name)).collect(),
        None => defaults.to_vec(),
    }
}

fn names<N: AsRef<str>>(algorithms: &[N]) -> Vec<String> {
    algorithms.iter().map(|name| name.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests;
