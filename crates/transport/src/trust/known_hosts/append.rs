//! Storing a new host key.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use ssh_key::{PublicKey, public::KeyData};
use thiserror::Error;

use super::{
    Host, KnownHosts, Verdict,
    entry::{HASH_LENGTH, hashed_name},
};
use crate::trust::Offered;

/// Why a key could not be stored.
#[derive(Debug, Error)]
pub enum AppendError {
    /// A name that would mean something else in the file.
    #[error("the host name `{0}` cannot be stored in a known hosts file; set HostKeyAlias")]
    Name(String),
    /// A key that has no text form.
    #[error("the host key cannot be written as text")]
    Key,
    /// The operating system gave no random salt.
    #[error("no random numbers for the hashed name: {0}")]
    Random(getrandom::Error),
    /// Since it was read, the file got another key of the host, or a revocation of this one.
    #[error("{file} has got another key of {host} meanwhile; connect again to have them compared")]
    Contradicted {
        /// The file.
        file: PathBuf,
        /// The host as it is looked up.
        host: String,
    },
    /// Something that keeps nothing, such as `/dev/null`.
    #[error("cannot add the host key to {file}: it is not a file")]
    NotAFile {
        /// The path.
        file: PathBuf,
    },
    /// The file or its directory.
    #[error("cannot add the host key to {file}: {source}; check its permissions")]
    Io {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Adds the key of a host at the end of `file`, with the name hashed if `hash`.
///
/// A missing file is created with mode 0600, a missing directory with 0700. The file is locked while it is extended,
/// and a key that it has by then is not added again, so concurrent calls are harmless.
///
/// # Errors
/// When the name cannot be stored, or the file not written.
pub fn append(file: &Path, host: &Host<'_>, key: &KeyData, hash: bool) -> Result<(), AppendError> {
    append_with(OpenOptions::new().create(true).mode(0o600), file, host, key, hash)
}

/// [`append`] for a file that is opened in a way of its own.
pub(super) fn append_with(
    open: &mut OpenOptions,
    file: &Path,
    host: &Host<'_>,
    key: &KeyData,
    hash: bool,
) -> Result<(), AppendError> {
    let salt = match hash {
        true => {
            let mut salt = [0; HASH_LENGTH];
            getrandom::fill(&mut salt).map_err(AppendError::Random)?;
            Some(salt)
        }
        false => None,
    };
    let line = line(host, key, salt.as_ref())?;
    let failed = |source| AppendError::Io { file: file.to_owned(), source };
    let mut opened = open_to_append(open, file).map_err(failed)?;
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(AppendError::NotAFile { file: file.to_owned() });
    }
    opened.lock().map_err(failed)?;
    let text = read_all(&mut opened).map_err(failed)?;
    let mut known = KnownHosts::new();
    known.add(file, &text);
    // The plain key's own line is what counts, whatever the time.
    match known.check(host, Offered::Key(key), 0) {
        Verdict::Known { .. } | Verdict::CertificateAccepted { .. } => return Ok(()),
        Verdict::Changed { .. } | Verdict::Revoked { .. } => {
            return Err(AppendError::Contradicted { file: file.to_owned(), host: host.to_string() });
        }
        Verdict::Unknown { .. } => {}
    }
    // One write, so that a reader never sees half a line.
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    opened.write_all(format!("{separator}{line}\n").as_bytes()).map_err(failed)?;
    opened.unlock().map_err(failed)
}

/// The line for a host's key, without its newline: the name in lower case, hashed with `salt` if there is one.
///
/// # Errors
/// When the name has characters that mean something in the file.
pub fn line(host: &Host<'_>, key: &KeyData, salt: Option<&[u8; HASH_LENGTH]>) -> Result<String, AppendError> {
    let stored = host.alias.unwrap_or(host.name);
    let special = |c: char| c.is_whitespace() || c.is_control() || "@?*#[]|'\"\\,!".contains(c);
    if stored.is_empty() || stored.contains(special) {
        return Err(AppendError::Name(stored.to_owned()));
    }
    let name = host.lookup_name();
    let name = match salt {
        Some(salt) => hashed_name(salt, &name),
        None => name,
    };
    let key = PublicKey::from(key.clone()).to_openssh().map_err(|_| AppendError::Key)?;
    Ok(format!("{name} {}", key.trim_end()))
}

fn open_to_append(open: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent()
        && !directory.as_os_str().is_empty()
        && !directory.exists()
    {
        fs::DirBuilder::new().mode(0o700).create(directory)?;
    }
    // Whoever put a link of his there would choose which file is written.
    if let Ok(found) = fs::symlink_metadata(path)
        && found.is_symlink()
        && found.uid() != 0
        && found.uid() != geteuid().as_raw()
    {
        return Err(io::Error::other(format!("it is a symbolic link of user {}", found.uid())));
    }
    open.read(true).append(true).open(path)
}

fn read_all(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
