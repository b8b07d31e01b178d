//! The server's own keys and certificates: reading them, and making the first.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh_channels::keys::ssh_key::{self, LineEnding, certificate::CertType};
use russh_channels::keys::{Certificate, HashAlg, PrivateKey};

/// Longer than any key or certificate, in bytes.
const MAX_SIZE: u64 = 64 << 10;

/// Why there is no host key, or no host certificate.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot create the host key {}: {source}; create the directory, or correct the path", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error(
        "the permissions {mode:04o} of the host key {} are too open; run `chmod 600 {}`",
        path.display(), path.display()
    )]
    Permissions { path: PathBuf, mode: u32 },
    #[error("the host key {} belongs to user {owner}; run `chown {wanted} {}`", path.display(), path.display())]
    Owner { path: PathBuf, owner: u32, wanted: u32 },
    #[error("{} is no regular file; correct the path", path.display())]
    NoFile { path: PathBuf },
    #[error("{} is larger than any key; correct the path", path.display())]
    Size { path: PathBuf },
    #[error(
        "{} is no OpenSSH private key: {source}; make one with `ssh-keygen -t ed25519 -N '' -f FILE`, or convert with `ssh-keygen -p -N '' -f FILE`",
        path.display()
    )]
    NoKey { path: PathBuf, source: ssh_key::Error },
    #[error("the host key {} has a passphrase; remove it with `ssh-keygen -p -N '' -f {}`", path.display(), path.display())]
    Encrypted { path: PathBuf },
    #[error("the key type {algorithm} of {} is not served; use ed25519, ecdsa or rsa", path.display())]
    Algorithm { path: PathBuf, algorithm: String },
    #[error("{} is no host certificate: {reason}; sign the host key with `ssh-keygen -s CA -h`", path.display())]
    NoCertificate { path: PathBuf, reason: String },
    #[error("no random numbers for a host key: {0}; see that the kernel offers getrandom")]
    Random(getrandom::Error),
    #[error("the host key cannot be written as text: {0}")]
    Encode(#[from] ssh_key::Error),
}

/// Reads a private key in OpenSSH's format that only its owner can access.
///
/// # Errors
/// See [`HostKeyError`].
pub fn load_host_key(path: &Path) -> Result<PrivateKey, HostKeyError> {
    let (file, found) = open(path)?;
    let (owner, wanted) = (found.uid(), nix::unistd::geteuid().as_raw());
    if owner != 0 && owner != wanted {
        return Err(HostKeyError::Owner { path: path.into(), owner, wanted });
    }
    let mode = found.mode();
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Permissions { path: path.into(), mode: mode & 0o7777 });
    }
    let text = read_all(path, file)?;
    let key = PrivateKey::from_openssh(&text)
        .map_err(|source| HostKeyError::NoKey { path: path.into(), source })?;
    if key.is_encrypted() {
        return Err(HostKeyError::Encrypted { path: path.into() });
    }
    if !matches!(key.key_data(), KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) | KeypairData::Rsa(_)) {
        return Err(HostKeyError::Algorithm { path: path.into(), algorithm: key.algorithm().to_string() });
    }
    Ok(key)
}

/// Reads the host key, and makes an ed25519 key first when there is no file. The public half then goes to `path.pub`.
///
/// Two processes that do so at once end with the same key.
///
/// # Errors
/// See [`HostKeyError`].
pub fn create_host_key(path: &Path) -> Result<PrivateKey, HostKeyError> {
    match load_host_key(path) {
        Err(HostKeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(HostKeyError::Random)?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "tapline host key")?;
    let text = key.to_openssh(LineEnding::LF)?;
    let failed = |source| HostKeyError::Create { path: path.into(), source };
    if !publish(path, text.as_bytes(), 0o600).map_err(failed)? {
        return load_host_key(path);
    }
    let public = format!("{}\n", key.public_key().to_openssh()?);
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    if let Err(error) = publish(Path::new(&public_path), public.as_bytes(), 0o644) {
        tracing::warn!(path = %Path::new(&public_path).display(), %error, "cannot write the public half of the host key");
    }
    tracing::info!(path = %path.display(), fingerprint = %key.fingerprint(HashAlg::Sha256), "created a host key");
    Ok(key)
}

/// Reads a certificate for one of the host keys, as `ssh-keygen -s CA -h` writes it.
///
/// # Errors
/// See [`HostKeyError`].
pub fn load_host_certificate(path: &Path) -> Result<Certificate, HostKeyError> {
    let (file, _) = open(path)?;
    let text = read_all(path, file)?;
    let refused = |reason: String| HostKeyError::NoCertificate { path: path.into(), reason };
    let certificate = Certificate::from_openssh(String::from_utf8_lossy(&text).trim())
        .map_err(|e| refused(e.to_string()))?;
    match certificate.cert_type() {
        CertType::Host => Ok(certificate),
        CertType::User => Err(refused("it is a user certificate".to_owned())),
    }
}

/// A pipe or a terminal must not hold up the start.
fn open(path: &Path) -> Result<(File, Metadata), HostKeyError> {
    let failed = |source| HostKeyError::Read { path: path.into(), source };
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    match found.is_file() {
        true => Ok((file, found)),
        false => Err(HostKeyError::NoFile { path: path.into() }),
    }
}

fn read_all(path: &Path, file: File) -> Result<Vec<u8>, HostKeyError> {
    let mut text = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut text)
        .map_err(|source| HostKeyError::Read { path: path.into(), source })?;
    if text.len() as u64 > MAX_SIZE {
        return Err(HostKeyError::Size { path: path.into() });
    }
    Ok(text)
}

/// Makes a file appear whole, unless there is one of the name. Returns whether it did.
fn publish(path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:08x}.new", getrandom::u32().map_err(io::Error::other)?));
    let draft = PathBuf::from(draft);
    let written = write_draft(&draft, content, mode).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_draft(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
