//! One line of a known hosts file.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use ssh_key::public::KeyData;
use thiserror::Error;

use super::super::{
    Location,
    key_text::{self, KeyTextError},
    pattern,
};
use super::name::canonical_pattern;

/// Length of salt and hash of a hashed name, in bytes.
pub(super) const HASH_LENGTH: usize = 20;

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) marker: Marker,
    pub(super) key: KeyData,
    pub(super) location: Location,
    hosts: Hosts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    None,
    /// `@cert-authority`
    Authority,
    /// `@revoked`
    Revoked,
}

#[derive(Debug, Clone)]
enum Hosts {
    /// In the form that names are compared in.
    Patterns(Vec<String>),
    /// `|1|salt|hash`: one name.
    Hashed { salt: [u8; HASH_LENGTH], hash: [u8; HASH_LENGTH] },
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// A marker that is unknown, or two of them.
    #[error("the marker is not @cert-authority or @revoked; correct or remove the line")]
    Marker,
    /// A hashed name that is no such thing.
    #[error("the hashed host name is damaged; remove the line")]
    Hash,
    /// There is no key, or a damaged one.
    #[error("{0}")]
    Key(#[from] KeyTextError),
}

impl Entry {
    /// Nothing for blank lines and comments, and for keys of kinds that are not known here, which a newer OpenSSH may
    /// have stored.
    pub(super) fn parse(line: &str, location: impl Fn() -> Location) -> Result<Option<Self>, LineProblem> {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (marker, line) = match line.starts_with('@') {
            false => (Marker::None, line),
            true => match key_text::field(line) {
                ("@cert-authority", rest) => (Marker::Authority, rest),
                ("@revoked", rest) => (Marker::Revoked, rest),
                _ => return Err(LineProblem::Marker),
            },
        };
        let (hosts, key) = key_text::field(line);
        if hosts.starts_with('@') {
            return Err(LineProblem::Marker);
        }
        let hosts = Hosts::parse(hosts)?;
        match key_text::parse(key) {
            Ok(text) => Ok(Some(Self { marker, key: text.key, location: location(), hosts })),
            // To pass over a revocation could mean trust, so that is said; the rest cannot.
            Err(KeyTextError::UnknownType(_)) if marker != Marker::Revoked => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the line is about a host that has these names, all of them its own.
    pub(super) fn is_about(&self, names: &[String]) -> bool {
        match &self.hosts {
            Hosts::Patterns(list) => pattern::matches_host_list(names, list),
            Hosts::Hashed { salt, hash } => names.iter().any(|name| hash_name(salt, name) == *hash),
        }
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, LineProblem> {
        if !text.starts_with('|') {
            return Ok(Self::Patterns(text.split(',').map(canonical_pattern).collect()));
        }
        let decode = |part: &str| {
            STANDARD.decode(part).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(LineProblem::Hash)
        };
        let (salt, hash) =
            text.strip_prefix("|1|").and_then(|parts| parts.split_once('|')).ok_or(LineProblem::Hash)?;
        Ok(Self::Hashed { salt: decode(salt)?, hash: decode(hash)? })
    }
}

/// `|1|salt|hash` for a name in lower case.
pub(super) fn hashed_name(salt: &[u8; HASH_LENGTH], name: &str) -> String {
    let hash = hash_name(salt, name);
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

/// The name's HMAC-SHA1 with the salt as its key.
fn hash_name(salt: &[u8; HASH_LENGTH], name: &str) -> [u8; HASH_LENGTH] {
    // Padded as RFC 2104 does it, which leaves no length that could be wrong.
    let mut key = [0; 64];
    for (padded, byte) in key.iter_mut().zip(salt) {
        *padded = *byte;
    }
    Hmac::<Sha1>::new(&key.into()).chain_update(name).finalize().into_bytes().into()
}
