//! Host keys that were believed at first sight and have no place in the known hosts files.

#[cfg(test)]
mod tests;

use std::{
    fs::OpenOptions,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use nix::libc::O_NOFOLLOW;
use ssh_key::public::KeyData;
use thiserror::Error;

use super::{AppendError, Host, append::append_with};

/// Where host keys are kept when the user's known hosts file does not take them: a file of our own, read as one more
/// known hosts file, and the memory of this process.
#[derive(Debug, Default)]
pub struct Pins {
    file: Option<PathBuf>,
    held: Mutex<Vec<(String, KeyData)>>,
}

/// Why a key is not kept.
#[derive(Debug, Error)]
pub enum PinError {
    /// There is no such file.
    #[error("there is no state directory to keep it in")]
    Nowhere,
    /// Somebody else may have had a hand in it.
    #[error("{path} belongs to another user or may be written by others; remove it")]
    NotOurs {
        /// The directory or the file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The process knows another key of the host.
    #[error(
        "another connection of this process got another key from {host}; somebody may be intercepting one of them"
    )]
    Contradicted {
        /// The host as it is looked up.
        host: String,
    },
    /// More hosts than anybody has.
    #[error(
        "this process holds {MAX_HELD} host keys in memory already; give it a known hosts file that it can write"
    )]
    Full,
}

/// Keys in memory.
const MAX_HELD: usize = 4096;

impl Pins {
    /// In memory alone.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// With a file `known_hosts` in this directory, which need not exist yet.
    pub fn in_directory(directory: &Path) -> Self {
        Self { file: Some(directory.join("known_hosts")), held: Mutex::default() }
    }

    /// The file to read after the user's and the system's, if there is one.
    ///
    /// # Errors
    /// It, or its directory, is in other hands.
    pub fn file(&self) -> Result<Option<&Path>, PinError> {
        match &self.file {
            Some(file) if file.symlink_metadata().is_ok() => self.are_ours().map(|()| Some(file.as_path())),
            _ => Ok(None),
        }
    }

    fn are_ours(&self) -> Result<(), PinError> {
        let Some(file) = &self.file else { return Ok(()) };
        for path in [file.parent(), Some(file)].into_iter().flatten() {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let ours = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
            if !ours || metadata.mode() & 0o022 != 0 || metadata.is_symlink() {
                return Err(PinError::NotOurs { path: path.to_owned() });
            }
        }
        Ok(())
    }

    /// Writes a key to the file.
    ///
    /// # Errors
    /// There is no file, or it cannot be written, or it is in other hands.
    pub fn store(&self, host: &Host<'_>, key: &KeyData) -> Result<&Path, PinError> {
        let file = self.file.as_deref().ok_or(PinError::Nowhere)?;
        self.are_ours()?;
        let mut open = OpenOptions::new();
        open.create(true).mode(0o600).custom_flags(O_NOFOLLOW);
        append_with(&mut open, file, host, key, false)?;
        Ok(file)
    }

    /// Keeps a key in memory while the process lives. Once per host: the first key stays.
    ///
    /// # Errors
    /// The host has another key here, or there are too many.
    pub fn hold(&self, host: &Host<'_>, key: &KeyData) -> Result<(), PinError> {
        let name = host.lookup_name();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.iter().find(|(other, _)| *other == name) {
            Some((_, known)) if known == key => Ok(()),
            Some(_) => Err(PinError::Contradicted { host: name }),
            None if held.len() >= MAX_HELD => Err(PinError::Full),
            None => {
                held.push((name, key.clone()));
                Ok(())
            }
        }
    }

    /// The key that the host has in memory.
    pub fn held(&self, host: &Host<'_>) -> Option<KeyData> {
        let name = host.lookup_name();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|(other, _)| *other == name).map(|(_, key)| key.clone())
    }
}

impl PinError {
    /// Whether keeping the key failed because the host has another one.
    pub(crate) fn is_contradiction(&self) -> bool {
        matches!(self, Self::Contradicted { .. } | Self::Append(AppendError::Contradicted { .. }))
    }
}

/// Whether a path is `/dev/null`: the user wants nothing to be stored.
pub(crate) fn is_null(path: &Path) -> bool {
    let null = nix::libc::makedev(1, 3);
    matches!(path.metadata(), Ok(metadata) if metadata.file_type().is_char_device() && metadata.rdev() == null)
}
