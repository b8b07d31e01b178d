//! Which keys to offer, and in which order.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use russh_channels::keys::agent::AgentIdentity;
use russh_channels::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use ssh_key::public::KeyData;
use zeroize::Zeroizing;

use crate::trust::Offered;
use crate::trust::strength::{self, WeakKey};

/// A key to offer, with its certificate if it has one.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// For messages.
    pub(super) name: String,
    pub(super) key: PublicKey,
    pub(super) certificate: Option<Certificate>,
    pub(super) signer: SignerKind,
}

impl Candidate {
    /// Whether its RSA key is long enough. What authority a server trusts is the server's matter.
    pub(super) fn check_strength(&self, least_rsa_bits: u32) -> Result<(), WeakKey> {
        strength::check(Offered::from(&self.key), least_rsa_bits)
    }
}

/// Who has the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignerKind {
    Agent,
    File(PathBuf),
}

/// A file that the user named, as far as it can be read without a passphrase.
#[derive(Debug, Clone)]
pub(super) struct FileIdentity {
    pub(super) path: PathBuf,
    pub(super) key: PublicKey,
    pub(super) certificate: Option<Certificate>,
    /// The private key is there too.
    pub(super) private: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("no such file")]
    Missing,
    #[error("{0}")]
    Read(io::Error),
    #[error("it is larger than any key")]
    Size,
    #[error("its permissions {mode:04o} are too open, run `chmod 600 {}`", path.display())]
    Permissions { path: PathBuf, mode: u32 },
    #[error("it is no key that is known here ({0})")]
    Damaged(String),
    #[error("it is encrypted and its public key is not beside it, run `ssh-keygen -y -f {0} > {0}.pub`", path.display())]
    NoPublicKey { path: PathBuf },
}

/// Longer than any key or certificate, in bytes.
const MAX_SIZE: u64 = 64 << 10;

/// The order in which keys are offered, each once: certificates, then the files that the user named, then what else the
/// agent has.
///
/// OpenSSH lets all keys of the agent go before files that are not in it. Here what is configured goes first, so that an
/// agent full of keys does not use up the attempts that a server allows; nobody is asked for a passphrase before the
/// server has said that it takes the key.
pub(super) fn candidates(
    files: Vec<FileIdentity>,
    certificates: Vec<(PathBuf, Certificate)>,
    agent: Vec<AgentIdentity>,
    only_configured: bool,
) -> Vec<Candidate> {
    let in_agent = |key: &KeyData| agent.iter().any(|identity| identity.public_key().key_data() == key);
    let signer_of = |key: &KeyData| match in_agent(key) {
        true => Some(SignerKind::Agent),
        false => files
            .iter()
            .find(|file| file.private && file.key.key_data() == key)
            .map(|file| SignerKind::File(file.path.clone())),
    };
    let configured = |key: &KeyData| {
        files.iter().any(|file| file.key.key_data() == key)
            || certificates.iter().any(|(_, certificate)| certificate.public_key() == key)
    };
    let mut offers = Offers::default();
    let own = files.iter().filter_map(|file| Some((&file.path, file.certificate.as_ref()?)));
    let named = certificates.iter().map(|(path, certificate)| (path, certificate));
    for (path, certificate) in named.chain(own) {
        match signer_of(certificate.public_key()) {
            Some(signer) => {
                offers.add(format!("certificate {}", path.display()), certificate.clone().into(), signer);
            }
            None => tracing::warn!("there is no private key for the certificate {}", path.display()),
        }
    }
    for identity in &agent {
        if matches!(identity, AgentIdentity::Certificate { .. })
            && (!only_configured || configured(identity.public_key().key_data()))
        {
            offers.add(
                format!("agent certificate {}", identity.comment()),
                identity.clone(),
                SignerKind::Agent,
            );
        }
    }
    for file in &files {
        if let Some(signer) = signer_of(file.key.key_data()) {
            offers.add(file.path.display().to_string(), file.key.clone().into(), signer);
        }
    }
    for identity in &agent {
        if matches!(identity, AgentIdentity::PublicKey { .. }) && !only_configured {
            offers.add(format!("agent key {}", identity.comment()), identity.clone(), SignerKind::Agent);
        }
    }
    offers.0
}

/// Reads what can be read of a private key without its passphrase, or a public key.
pub(super) fn read_identity(path: &Path) -> Result<FileIdentity, IdentityError> {
    let (key, private) = match read_private(path) {
        Ok(text) if text.contains("PRIVATE KEY-----") => (public_half(path, &text)?, true),
        Ok(text) => (parse_public(&text)?, false),
        // The agent may have what is not here.
        Err(IdentityError::Missing) => (read_public_beside(path)?, false),
        Err(error) => return Err(error),
    };
    let certificate = match read_certificate(&with_suffix(path, "-cert.pub")) {
        Ok(certificate) => Some(certificate),
        Err(IdentityError::Missing) => None,
        Err(error) => {
            tracing::warn!(
                "the certificate {} is not used: {error}",
                with_suffix(path, "-cert.pub").display()
            );
            None
        }
    };
    Ok(FileIdentity { path: path.into(), key, certificate, private })
}

pub(super) fn read_certificate(path: &Path) -> Result<Certificate, IdentityError> {
    let text = read(path)?;
    Certificate::from_openssh(text.trim()).map_err(|error| IdentityError::Damaged(error.to_string()))
}

/// The text of a private key that nobody else may read.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let text = read(path)?;
    if text.contains("PRIVATE KEY-----") {
        let metadata = std::fs::metadata(path).map_err(IdentityError::Read)?;
        let mode = metadata.mode() & 0o7777;
        // As in OpenSSH: files of others are their owners' business.
        if metadata.uid() == nix::unistd::getuid().as_raw() && mode & 0o077 != 0 {
            return Err(IdentityError::Permissions { path: path.into(), mode });
        }
    }
    Ok(text)
}

/// Whether a private key could not be decoded for want of its passphrase.
pub(super) fn is_encrypted(text: &str, error: &russh_channels::keys::Error) -> bool {
    matches!(error, russh_channels::keys::Error::KeyIsEncrypted) || text.contains("ENCRYPTED")
}

fn public_half(path: &Path, text: &str) -> Result<PublicKey, IdentityError> {
    // OpenSSH's own format has the public key in the clear.
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Ok(key.public_key().clone());
    }
    match decode_secret_key(text, None) {
        Ok(key) => Ok(key.public_key().clone()),
        Err(error) if is_encrypted(text, &error) => match read_public_beside(path) {
            Err(IdentityError::Missing) => Err(IdentityError::NoPublicKey { path: path.into() }),
            found => found,
        },
        Err(error) => Err(IdentityError::Damaged(error.to_string())),
    }
}

fn read_public_beside(path: &Path) -> Result<PublicKey, IdentityError> {
    parse_public(&read(&with_suffix(path, ".pub"))?)
}

fn parse_public(text: &str) -> Result<PublicKey, IdentityError> {
    PublicKey::from_openssh(text.trim()).map_err(|error| IdentityError::Damaged(error.to_string()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => IdentityError::Missing,
        _ => IdentityError::Read(error),
    })?;
    // Full capacity from the start: growing would leave copies in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SIZE as usize + 1));
    file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(IdentityError::Read)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(IdentityError::Size);
    }
    Ok(text)
}

#[derive(Default)]
struct Offers(Vec<Candidate>);

impl Offers {
    fn add(&mut self, name: String, identity: AgentIdentity, signer: SignerKind) {
        let key = identity.public_key().into_owned();
        let certificate = match identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate),
            AgentIdentity::PublicKey { .. } => None,
        };
        let known = self
            .0
            .iter()
            .any(|other| other.key.key_data() == key.key_data() && other.certificate == certificate);
        if !known {
            self.0.push(Candidate { name, key, certificate, signer });
        }
    }
}

#[cfg(test)]
mod tests;
