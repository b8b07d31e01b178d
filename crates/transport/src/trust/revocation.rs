//! Keys and certificates that are revoked: sshd's `RevokedKeys`, ssh's `RevokedHostKeys`.
//!
//! A file of them is a key revocation list of OpenSSH (its PROTOCOL.krl; [`Krl`]) or has public keys, one a line. What
//! cannot be read or understood in full revokes everything, as in OpenSSH: [`RevokedKeys::read`] fails, and whoever
//! calls it lets nobody in then.

mod krl;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ssh_key::{Algorithm, PublicKey, public::KeyData};
use thiserror::Error;

use super::{
    Location, Offered,
    key_text::{self, KeyTextError},
    strict_file::{self, Distrust},
};

pub use self::krl::{Krl, KrlError};

/// Longer than any real list, in bytes. OpenSSH itself refuses beyond 128 MiB.
const MAX_SIZE: u64 = 64 << 20;

/// The end of the names of certificates' types.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The revoked keys of one file.
#[derive(Debug, Clone)]
pub struct RevokedKeys {
    file: PathBuf,
    list: List,
}

#[derive(Debug, Clone)]
enum List {
    Krl(Krl),
    /// The keys as SSH sends them.
    Keys(HashSet<Vec<u8>>),
}

/// Why a peer's key or certificate is refused. For a log or the user, not for the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} revokes {what}", file.display())]
pub struct Revoked {
    /// The list.
    pub file: PathBuf,
    /// What of it is revoked.
    pub what: RevokedPart,
}

/// What is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RevokedPart {
    /// The key, also as part of any certificate.
    #[error("the key")]
    Key,
    /// The key of the authority that signed the certificate, and so all of its certificates.
    #[error("the authority of the certificate")]
    Authority,
    /// The certificate, by its serial number.
    #[error("the certificate's serial number")]
    Serial,
    /// The certificate, by its identity.
    #[error("the certificate's identity")]
    KeyId,
}

/// Why a list of revoked keys cannot be used. Nobody may be trusted then.
#[derive(Debug, Error)]
pub enum RevokedKeysError {
    /// The file cannot be read, and a missing one is no empty one.
    #[error("cannot read the revoked keys {}: {source}; see that the file is there and readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not trustworthy.
    #[error("the revoked keys cannot be used: {0}")]
    Distrust(#[from] Distrust),
    /// Larger than any list.
    #[error("the revoked keys {} are more than {MAX_SIZE} bytes; correct the path", .0.display())]
    Size(PathBuf),
    /// A key revocation list that is damaged or has something that is not known here.
    #[error("the key revocation list {} cannot be used: {problem}; make it anew with `ssh-keygen -k`", file.display())]
    Krl {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: KrlError,
    },
    /// A line that is no public key.
    #[error("{location}: {problem}; the file is a list of `ssh-keygen -k`, or has one public key a line")]
    Line {
        /// Where.
        location: Location,
        /// Why.
        problem: KeyTextError,
    },
}

impl RevokedKeys {
    /// Reads a list. One that does not exist is an error.
    ///
    /// # Errors
    /// The list cannot be read, or not be understood in full.
    pub fn read(path: &Path) -> Result<Self, RevokedKeysError> {
        let failed = |source| RevokedKeysError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(RevokedKeysError::Size(path.to_owned()));
        }
        Self::parse(path, &bytes)
    }

    /// As [`RevokedKeys::read`], of a file that nobody else could have written or removed.
    ///
    /// # Errors
    /// As [`RevokedKeys::read`], and when the file or a directory above it is in others' hands.
    pub fn read_strictly(path: &Path) -> Result<Self, RevokedKeysError> {
        match strict_file::read(path)? {
            Some(bytes) => Self::parse(path, &bytes),
            None => {
                let source = io::ErrorKind::NotFound.into();
                Err(RevokedKeysError::Read { path: path.to_owned(), source })
            }
        }
    }

    /// What `bytes` say, found in `file`.
    ///
    /// # Errors
    /// They cannot be understood in full.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, RevokedKeysError> {
        let list = match Krl::is_one(bytes) {
            true => List::Krl(
                Krl::parse(bytes)
                    .map_err(|problem| RevokedKeysError::Krl { file: file.to_owned(), problem })?,
            ),
            false => List::Keys(parse_lines(file, bytes)?),
        };
        Ok(Self { file: file.to_owned(), list })
    }

    /// Whether `offered` is revoked: the key, or of a certificate its key, its authority, or itself.
    ///
    /// # Errors
    /// It is.
    pub fn check(&self, offered: Offered<'_>) -> Result<(), Revoked> {
        match self.find(offered) {
            None => Ok(()),
            Some(what) => Err(Revoked { file: self.file.clone(), what }),
        }
    }

    fn find(&self, offered: Offered<'_>) -> Option<RevokedPart> {
        if self.has_key(offered.key()) {
            return Some(RevokedPart::Key);
        }
        let Offered::Certificate(certificate) = offered else { return None };
        if self.has_key(certificate.signature_key()) {
            return Some(RevokedPart::Authority);
        }
        let List::Krl(krl) = &self.list else { return None };
        // What cannot be compared counts as found.
        let Some(authority) = blob(certificate.signature_key()) else { return Some(RevokedPart::Authority) };
        if krl.has_key_id(&authority, certificate.key_id()) {
            return Some(RevokedPart::KeyId);
        }
        krl.has_serial(&authority, certificate.serial()).then_some(RevokedPart::Serial)
    }

    fn has_key(&self, key: &KeyData) -> bool {
        let Some(blob) = blob(key) else { return true };
        match &self.list {
            List::Krl(krl) => krl.has_key(&blob),
            List::Keys(keys) => keys.contains(&blob),
        }
    }
}

/// The key as SSH sends it.
fn blob(key: &KeyData) -> Option<Vec<u8>> {
    PublicKey::from(key.clone()).to_bytes().ok()
}

fn parse_lines(file: &Path, bytes: &[u8]) -> Result<HashSet<Vec<u8>>, RevokedKeysError> {
    let mut keys = HashSet::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem| RevokedKeysError::Line {
            location: Location { file: file.to_owned(), line: index + 1 },
            problem,
        };
        let (kind, rest) = key_text::field(line);
        // Keys of this kind log in nowhere any more.
        if matches!(Algorithm::new(kind), Ok(Algorithm::Dsa)) {
            continue;
        }
        let key = match kind.ends_with(CERTIFICATE) {
            // A certificate stands for its key.
            true => {
                let text = format!("{kind} {}", key_text::field(rest).0);
                let certificate = ssh_key::Certificate::from_openssh(&text)
                    .map_err(|_| wrong(KeyTextError::Damaged(kind.chars().take(40).collect())))?;
                certificate.public_key().clone()
            }
            false => key_text::parse(line).map_err(wrong)?.key,
        };
        let Some(blob) = blob(&key) else { return Err(wrong(KeyTextError::Damaged(kind.to_owned()))) };
        keys.insert(blob);
    }
    Ok(keys)
}
