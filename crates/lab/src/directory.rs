//! Where a lab's files lie: one directory for each host.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

/// The directory of a lab, accessible to its owner alone.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("cannot use {} for the lab's files: {source}; name an empty directory, or one that can be created", path.display())]
    Keep { path: PathBuf, source: io::Error },
    #[error("cannot mount a tmpfs for the lab's files: {0}; give a directory for them instead (--keep)")]
    Mount(io::Error),
    #[error("{} is in others' hands; name a directory of yours that nobody else can write", .0.display())]
    Hands(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Directories that every Debian has and no lab needs; the first that can be mounted over is.
const MOUNT_POINTS: [&str; 2] = ["/dev/shm", "/mnt"];
/// The logs of daemons are what could fill it.
const MOUNT_OPTIONS: &str = "mode=0700,size=64m";

impl Directory {
    /// A directory in memory, which nobody outside of the calling process's mount namespace sees and which goes with
    /// it.
    pub(crate) fn private() -> Result<Self, DirectoryError> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mut failed = io::ErrorKind::NotFound.into();
        for point in MOUNT_POINTS {
            match mount(Some("tapline-lab"), point, Some("tmpfs"), flags, Some(MOUNT_OPTIONS)) {
                Ok(()) => return Ok(Self(point.into())),
                Err(error) => failed = error.into(),
            }
        }
        Err(DirectoryError::Mount(failed))
    }

    /// A directory that stays.
    pub(crate) fn kept(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::Keep { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let found = fs::metadata(path).map_err(failed)?;
        let user = nix::unistd::geteuid().as_raw();
        if found.uid() != 0 && found.uid() != user || found.mode() & 0o022 != 0 {
            return Err(DirectoryError::Hands(path.to_owned()));
        }
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        Ok(Self(path.to_owned()))
    }

    /// The directory of one host, made when it is missing.
    pub(crate) fn of_host(&self, host: &str) -> Result<PathBuf, DirectoryError> {
        let path = self.0.join(host);
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(DirectoryError::Write { path, source }),
        }
    }
}

/// Writes a new file that only its owner can read.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), DirectoryError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| DirectoryError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
