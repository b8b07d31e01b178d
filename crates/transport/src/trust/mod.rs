//! Who is trusted: host keys for the client, users' keys for the server, certificates for both.
//!
//! Everything here follows OpenSSH's files and rules, and everything but [`known_hosts::append`], [`strict_file`] and
//! the `read` functions is pure: text, keys and the time go in, a verdict comes out. Times are seconds since 1970-01-01 00:00 UTC.
//!
//! Where this is stricter than OpenSSH, because a link has no user who looks at warnings:
//! - an option of `authorized_keys` that cannot be honoured refuses the key instead of being passed over, also to later
//!   lines about it;
//! - a certificate for users by name needs a list of names that may log in, since any peer calls itself as it likes;
//! - a changed or revoked host key is refused also with `StrictHostKeyChecking no`, where OpenSSH would connect but
//!   open no tunnel;
//! - keys of security tokens are accepted only with `no-touch-required`, since the touch cannot be verified here;
//! - `restrict` on a certificate authority's line holds for its certificates as well.

pub mod authorized_keys;
pub mod certificate;
pub mod host_key;
pub mod known_hosts;
pub mod revocation;

#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod key_text;
mod network;
mod pattern;
pub(crate) mod strength;
pub mod strict_file;
mod text_file;

use std::{fmt, path::PathBuf};

use ssh_key::{Certificate, public::KeyData};

pub(crate) use key_text::type_name;

/// A line of a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file's path.
    pub file: PathBuf,
    /// The line's number.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What a peer proves its identity with. That it has the private key is for the SSH session to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered<'a> {
    /// A plain public key.
    Key(&'a KeyData),
    /// A public key in a certificate.
    Certificate(&'a Certificate),
}

impl<'a> Offered<'a> {
    /// The public key itself, of which the peer has the private half.
    pub fn key(self) -> &'a KeyData {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.public_key(),
        }
    }
}

impl<'a> From<&'a KeyData> for Offered<'a> {
    fn from(key: &'a KeyData) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a ssh_key::PublicKey> for Offered<'a> {
    fn from(key: &'a ssh_key::PublicKey) -> Self {
        Self::Key(key.key_data())
    }
}

impl<'a> From<&'a Certificate> for Offered<'a> {
    fn from(certificate: &'a Certificate) -> Self {
        Self::Certificate(certificate)
    }
}
