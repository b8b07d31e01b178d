//! The file in which [`Owned`] outlives a crash.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Owned,
    hands::{self, InOtherHands},
};

/// Holds the record of what Tapline owns and keeps it in a file, if it was given one.
///
/// The file is replaced in one step and never half written. It is not synced to the disk: what it describes is lost
/// with the kernel's memory too. A file written before a reboot, or in another network namespace, is about interfaces
/// that are not there any more and counts as empty. Nothing owned means no file.
#[derive(Debug)]
pub struct Journal {
    owned: Owned,
    file: Option<Location>,
}

#[derive(Debug)]
struct Location {
    path: PathBuf,
    _lock: Lock,
    scope: Scope,
}

/// The file of the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}; check the directory and its permissions", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "the record of changed network state cannot be kept safely: {0}; or give another directory with --state-dir"
    )]
    Hands(#[from] InOtherHands),
    #[error("{} is in use by another process{}; stop that or give this one another file", path.display(), named(*.holder))]
    Busy {
        path: PathBuf,
        /// The number of the process.
        holder: Option<u32>,
    },
    #[error("{} is damaged ({reason}); move it away, then what it recorded stays in the kernel", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// What a record is valid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Scope {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    /// The inode of the network namespace.
    namespace: u64,
}

#[derive(Deserialize)]
struct Stored {
    version: u32,
    scope: Scope,
    owned: Owned,
}

#[derive(Serialize)]
struct Storing<'a> {
    version: u32,
    scope: &'a Scope,
    owned: &'a Owned,
}

const VERSION: u32 = 1;
/// A record of thousands of addresses has some hundred KiB.
const LONGEST: u64 = 16 << 20;

impl Journal {
    /// Reads the record at `path`, which need not exist, and locks it against other processes. The directory is
    /// created when missing, and neither it nor the file may be in others' hands. Call it on a thread that is in the network namespace to be controlled.
    ///
    /// # Errors
    /// The file cannot be read or locked, or is not what this module wrote.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        let scope = Scope::current().map_err(|source| JournalError::Read { path: path.clone(), source })?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .and_then(|()| hands::check_directory(directory))
                .map_err(|source| JournalError::Write { path: path.clone(), source })??;
        }
        let lock = Lock::take(&path)?;
        let owned = read(&path, &scope)?;
        Ok(Self { owned, file: Some(Location { path, _lock: lock, scope }) })
    }

    /// As [`Journal::open`], but `None` where the record is about another network namespace that is still there: it belongs
    /// to whoever takes it up in that one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_here(path: impl Into<PathBuf>) -> Result<Option<Self>, JournalError> {
        let journal = Self::open(path)?;
        let elsewhere =
            journal.file.as_ref().and_then(|file| stored(&file.path).ok()?).is_some_and(|stored| {
                let here = Scope::current().ok();
                let boot = here.as_ref().is_some_and(|here| here.boot == stored.scope.boot);
                boot && here != Some(stored.scope.clone()) && namespace_is_there(stored.scope.namespace)
            });
        Ok((!elsewhere).then_some(journal))
    }

    /// A record that ends with the process: for short-lived namespaces, whose state ends with them.
    pub fn in_memory() -> Self {
        Self { owned: Owned::default(), file: None }
    }

    /// The record.
    pub fn owned(&self) -> &Owned {
        &self.owned
    }

    /// Replaces the record, in the file first.
    ///
    /// # Errors
    /// The file cannot be written; then the record stays as it was.
    pub(crate) fn store(&mut self, owned: Owned) -> Result<(), JournalError> {
        if owned == self.owned {
            return Ok(());
        }
        if let Some(file) = &self.file {
            file.write(&owned).map_err(|source| JournalError::Write { path: file.path.clone(), source })?;
        }
        self.owned = owned;
        Ok(())
    }
}

fn named(process: Option<u32>) -> String {
    process.map_or_else(String::new, |process| format!(" ({process})"))
}

fn read(path: &Path, scope: &Scope) -> Result<Owned, JournalError> {
    let stored = stored(path)?;
    Ok(stored.filter(|stored| stored.scope == *scope).map(|stored| stored.owned).unwrap_or_default())
}

/// `None`: there is none.
fn stored(path: &Path) -> Result<Option<Stored>, JournalError> {
    let failed = |source| JournalError::Read { path: path.to_owned(), source };
    let damaged = |reason: String| JournalError::Damaged { path: path.to_owned(), reason };
    let mut text = Vec::new();
    match hands::no_link().read(true).open(path) {
        Ok(file) => {
            hands::check_file(path, &file).map_err(failed)??;
            file.take(LONGEST).read_to_end(&mut text).map_err(failed)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if stored.version != VERSION {
        return Err(damaged(format!("its version is {}, known is {VERSION}", stored.version)));
    }
    Ok(Some(stored))
}

/// Whether a process is in the network namespace with this inode, or `ip netns` has a name for it.
fn namespace_is_there(inode: u64) -> bool {
    let is_it = |path: PathBuf| fs::metadata(path).is_ok_and(|found| found.ino() == inode);
    let entries = |directory| fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries("/proc").any(|process| is_it(process.path().join("ns/net")))
        || entries("/run/netns").any(|name| is_it(name.path()))
}

impl Location {
    fn write(&self, owned: &Owned) -> io::Result<()> {
        if owned.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec(&Storing { version: VERSION, scope: &self.scope, owned })?;
        let next = beside(&self.path, ".new");
        hands::create_anew(&next)?.write_all(&text)?;
        fs::rename(&next, &self.path)
    }
}

impl Scope {
    fn current() -> io::Result<Self> {
        Ok(Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            namespace: fs::metadata("/proc/thread-self/ns/net")?.ino(),
        })
    }
}

/// A lock beside the file, since the file itself is replaced at every change. Removed when dropped.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(journal: &Path) -> Result<Self, JournalError> {
        let path = beside(journal, ".lock");
        let failed = |source| JournalError::Write { path: path.clone(), source };
        loop {
            let mut options = hands::no_link();
            let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let mut file = options.open(&path).map_err(failed)?;
            hands::check_file(&path, &file).map_err(failed)??;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.take(20).read_to_string(&mut holder);
                    return Err(JournalError::Busy {
                        path: journal.to_owned(),
                        holder: holder.trim().parse().ok(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The holder before us may have removed the file between our opening and locking it.
            let locked = file.metadata().map_err(failed)?.ino();
            if fs::metadata(&path).is_ok_and(|named| named.ino() == locked) {
                // For those who come later; the lock holds without.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
