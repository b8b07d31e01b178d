//! Storing a new host key.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

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
    let salt = match hash {
        true => {
            let mut salt = [0; HASH_LENGTH];
            getrandom::fill(&mut salt).map_err(AppendError::Random)?;
            Some(salt)
        }
        false => None,
    };
    let line = line(host, key, salt.as_ref())?;
    append_line(file, host, key, &line).map_err(|source| AppendError::Io { file: file.to_owned(), source })
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

fn append_line(path: &Path, host: &Host<'_>, key: &KeyData, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent()
        && !directory.as_os_str().is_empty()
        && !directory.exists()
    {
        fs::DirBuilder::new().mode(0o700).create(directory)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    file.lock()?;
    let text = read_all(&mut file)?;
    let mut known = KnownHosts::new();
    known.add(path, &text);
    // The plain key's own line is what counts, whatever the time.
    if matches!(known.check(host, Offered::Key(key), 0), Verdict::Known { .. }) {
        return Ok(());
    }
    // One write, so that a reader never sees half a line.
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{separator}{line}\n").as_bytes())?;
    file.unlock()
}

fn read_all(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
