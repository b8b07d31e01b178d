//! Which keys to offer, and in which order.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use russh_channels::keys::agent::AgentIdentity;
use russh_channels::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use ssh_key::public::KeyData;
use zeroize::Zeroizing;

use super::prompt::printable;
use crate::trust::Offered;
use crate::trust::key_text;
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
    /// Where the private key is, if it is there too.
    pub(super) private: Option<PathBuf>,
    /// The file is a certificate, and the key is not offered without it.
    pub(super) only_certified: bool,
}

/// What is offered, and what is not.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) candidates: Vec<Candidate>,
    /// With the reason.
    pub(super) skipped: Vec<String>,
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

/// The end of the names of certificates' types.
pub(super) const CERTIFICATE: &str = "-cert-v01@openssh.com";

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
) -> Offers {
    let in_agent = |key: &KeyData| agent.iter().any(|identity| identity.public_key().key_data() == key);
    let signer_of = |key: &KeyData| match in_agent(key) {
        true => Some(SignerKind::Agent),
        false => files
            .iter()
            .filter(|file| file.key.key_data() == key)
            .find_map(|file| Some(SignerKind::File(file.private.clone()?))),
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
            None => offers.skipped.push(format!(
                "certificate {} (its private key is neither beside it nor in the agent)",
                path.display()
            )),
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
    for file in files.iter().filter(|file| !file.only_certified) {
        match signer_of(file.key.key_data()) {
            Some(signer) => offers.add(file.path.display().to_string(), file.key.clone().into(), signer),
            None => offers.skipped.push(format!(
                "{} (it is a public key, and the agent does not have its private half; name the private key instead)",
                file.path.display()
            )),
        }
    }
    for identity in &agent {
        if matches!(identity, AgentIdentity::PublicKey { .. }) && !only_configured {
            offers.add(format!("agent key {}", identity.comment()), identity.clone(), SignerKind::Agent);
        }
    }
    offers
}

/// Reads what can be read of a private key without its passphrase, or a public key, or a certificate.
pub(super) fn read_identity(path: &Path) -> Result<FileIdentity, IdentityError> {
    let (key, private) = match read_private(path) {
        Ok(text) if text.contains("PRIVATE KEY-----") => (public_half(path, &text)?, Some(path.to_owned())),
        Ok(text) => match parse_public(&text)? {
            PublicText::Key(key) => (key, None),
            PublicText::Certificate(certificate) => return Ok(certified(path, *certificate)),
        },
        // The agent may have what is not here.
        Err(IdentityError::Missing) => (read_public_beside(path)?, None),
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
    Ok(FileIdentity { path: path.into(), key, certificate, private, only_certified: false })
}

/// The private key of `KEY-cert.pub` is `KEY`, if not the agent's.
fn certified(path: &Path, certificate: Certificate) -> FileIdentity {
    let beside = path.to_str().and_then(|path| path.strip_suffix("-cert.pub")).map(PathBuf::from);
    let private =
        beside.filter(|path| matches!(read_private(path), Ok(text) if text.contains("PRIVATE KEY-----")));
    FileIdentity {
        path: path.into(),
        key: PublicKey::from(certificate.public_key().clone()),
        certificate: Some(certificate),
        private,
        only_certified: true,
    }
}

pub(super) fn read_certificate(path: &Path) -> Result<Certificate, IdentityError> {
    match parse_public(&read(path)?)? {
        PublicText::Certificate(certificate) => Ok(*certificate),
        PublicText::Key(_) => Err(IdentityError::Damaged("a key without a certificate".to_owned())),
    }
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
    Ok(match parse_public(&read(&with_suffix(path, ".pub"))?)? {
        PublicText::Key(key) => key,
        PublicText::Certificate(certificate) => PublicKey::from(certificate.public_key().clone()),
    })
}

#[derive(Debug)]
enum PublicText {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// As ssh reads a `.pub` file: its first line that is a key, with blanks and tabs before and between, and whatever bytes
/// for a comment.
fn parse_public(text: &str) -> Result<PublicText, IdentityError> {
    let mut problem = "there is no key in it".to_owned();
    for line in text.lines() {
        let (kind, rest) = key_text::field(line);
        if kind.is_empty() || kind.starts_with('#') {
            continue;
        }
        if kind.ends_with(CERTIFICATE) {
            let (base64, _) = key_text::field(rest);
            match STANDARD.decode(base64).ok().and_then(|blob| decode_certificate(&blob)) {
                Some(certificate) => return Ok(PublicText::Certificate(Box::new(certificate))),
                None => problem = format!("the {} is damaged", printable(kind, 60)),
            }
            continue;
        }
        match key_text::parse(line) {
            Ok(key) => return Ok(PublicText::Key(key.key.into())),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(IdentityError::Damaged(problem))
}

/// A certificate as SSH sends it. An authority that is a certificate itself is none, and is not even looked into: there is
/// no end to how deep they could be nested.
pub(super) fn decode_certificate(blob: &[u8]) -> Option<Certificate> {
    let marks = blob.windows(CERTIFICATE.len()).filter(|window| *window == CERTIFICATE.as_bytes());
    if marks.count() > 1 {
        return None;
    }
    Certificate::from_bytes(blob).ok()
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
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SIZE as usize + 1));
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(IdentityError::Read)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(IdentityError::Size);
    }
    // Only a comment may be something else than ASCII.
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

impl Offers {
    fn add(&mut self, name: String, identity: AgentIdentity, signer: SignerKind) {
        let key = identity.public_key().into_owned();
        let certificate = match identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate),
            AgentIdentity::PublicKey { .. } => None,
        };
        let known = self
            .candidates
            .iter()
            .any(|other| other.key.key_data() == key.key_data() && other.certificate == certificate);
        if !known {
            self.candidates.push(Candidate { name, key, certificate, signer });
        }
    }
}

#[cfg(test)]
mod tests;
