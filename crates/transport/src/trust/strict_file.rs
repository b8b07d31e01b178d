//! Files that decide who is trusted: read only where nobody but their owner and root could have written, removed or
//! replaced them, as sshd's `StrictModes` has it.
//!
//! A file is opened before anything is asked about it, so that what is judged is what is read.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

use nix::libc;
use thiserror::Error;

/// Longer than any real file; keeps a mistake from filling memory. In bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Symbolic links that a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Readings of a file that changes meanwhile before it is given up.
const MAX_READINGS: usize = 3;

/// Writable by the group or by everybody.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a file that decides about trust is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Distrust {
    /// The operating system does not let it be read.
    #[error("cannot read {}: {reason}; see that the file is there and readable", path.display())]
    Unreadable {
        /// What cannot be read: the file, or a directory above it.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// A directory, a device or a pipe.
    #[error("{} is no regular file; correct the path", .0.display())]
    NoFile(PathBuf),
    /// Too large.
    #[error("{} is longer than {MAX_SIZE} bytes; remove lines that are no longer needed", .0.display())]
    TooLong(PathBuf),
    /// The file or a directory above it.
    #[error("{} can be written by others; run `chmod go-w {}`", .0.display(), .0.display())]
    Writable(PathBuf),
    /// The file, a directory above it, or a symbolic link that leads to it.
    #[error(
        "{} belongs to user {owner} and not to root or user {wanted}; run `chown {wanted} {}`",
        path.display(), path.display()
    )]
    Owner {
        /// What has the wrong owner.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// The user as whom this process runs.
        wanted: u32,
    },
    /// A symbolic link to nothing, or in a circle.
    #[error("{} is a symbolic link that leads to no file; correct or remove it", .0.display())]
    Dangling(PathBuf),
    /// Written to or replaced at every attempt to read it.
    #[error("{} changes while it is read; it is read again at the next log-in", .0.display())]
    Changing(PathBuf),
}

/// The bytes of a file, or `None` when there is none and nobody else could have removed it.
///
/// # Errors
/// Whatever else keeps the file from being read or trusted.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Distrust> {
    let owners = Owners::current();
    for _ in 0..MAX_READINGS {
        if let Reading::Done(found) = read_once(path, &owners)? {
            return Ok(found);
        }
    }
    Err(Distrust::Changing(path.to_owned()))
}

enum Reading {
    Done(Option<Vec<u8>>),
    /// It was replaced or written to meanwhile.
    Again,
}

fn read_once(path: &Path, owners: &Owners) -> Result<Reading, Distrust> {
    let unreadable = |error: io::Error| unreadable(path, &error);
    // A pipe or a terminal must not hold up the log-in.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(match walk(path, owners)? {
                None => Reading::Done(None),
                Some(_) => Reading::Again,
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    let opened = file.metadata().map_err(unreadable)?;
    check_file(path, &opened, owners)?;
    match walk(path, owners)? {
        Some(named) if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) => {}
        _ => return Ok(Reading::Again),
    }
    let bytes = read_all(path, &mut file)?;
    let now = file.metadata().map_err(unreadable)?;
    let version = |of: &Metadata| (of.size(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
    match version(&now) == version(&opened) {
        true => Ok(Reading::Done(Some(bytes))),
        false => Ok(Reading::Again),
    }
}

fn read_all(path: &Path, file: &mut File) -> Result<Vec<u8>, Distrust> {
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    match bytes.len() as u64 > MAX_SIZE {
        true => Err(Distrust::TooLong(path.to_owned())),
        false => Ok(bytes),
    }
}

fn check_file(path: &Path, found: &Metadata, owners: &Owners) -> Result<(), Distrust> {
    if !found.is_file() {
        return Err(Distrust::NoFile(path.to_owned()));
    }
    owners.check(path, found.uid())?;
    match found.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(Distrust::Writable(path.to_owned())),
    }
}

/// Follows the path from the root and checks each directory and link on the way. What it leads to, if that exists.
fn walk(path: &Path, owners: &Owners) -> Result<Option<Metadata>, Distrust> {
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let mut at = PathBuf::from("/");
    check_directory(&at, &look(&at)?, owners)?;
    let mut rest: VecDeque<OsString> = names(&absolute);
    let mut links = 0;
    // How many of the names that come next are from a link.
    let mut of_link = 0usize;
    while let Some(name) = rest.pop_front() {
        let is_of_link = of_link > 0;
        of_link = of_link.saturating_sub(1);
        if name == OsStr::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let found = match fs::symlink_metadata(&next) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match is_of_link {
                    true => Err(Distrust::Dangling(path.to_owned())),
                    false => Ok(None),
                };
            }
            Err(error) => return Err(unreadable(&next, &error)),
        };
        if found.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(Distrust::Dangling(path.to_owned()));
            }
            owners.check(&next, found.uid())?;
            let target = fs::read_link(&next).map_err(|error| unreadable(&next, &error))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut before = names(&target);
            of_link += before.len();
            before.append(&mut rest);
            rest = before;
            continue;
        }
        if rest.is_empty() {
            return Ok(Some(found));
        }
        check_directory(&next, &found, owners)?;
        at = next;
    }
    // `/`, or a path that ends with `..`: a directory, which has been opened and refused by now.
    look(&at).map(Some)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let components = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    components.collect()
}

/// In a directory with the sticky bit, such as /tmp, only its owner replaces or removes a file; and what others make
/// there belongs to them, which is looked at as well.
fn check_directory(path: &Path, found: &Metadata, owners: &Owners) -> Result<(), Distrust> {
    if !found.is_dir() {
        return Err(Distrust::Unreadable {
            path: path.to_owned(),
            reason: io::Error::from(io::ErrorKind::NotADirectory).to_string(),
        });
    }
    owners.check_directory(path, found.uid())?;
    // The group of a lab's user is often his alone, and his directories are writable by it.
    let others = if owners.unmapped.is_some() { OTHERS_WRITE & !0o020 } else { OTHERS_WRITE };
    match found.mode() & others != 0 && found.mode() & STICKY == 0 {
        true => Err(Distrust::Writable(path.to_owned())),
        false => Ok(()),
    }
}

fn look(path: &Path) -> Result<Metadata, Distrust> {
    fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Distrust {
    Distrust::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

/// Whose files are trusted.
struct Owners {
    user: u32,
    /// Inside a user namespace that knows not all users: what root outside owns belongs to this one here.
    unmapped: Option<u32>,
}

impl Owners {
    fn current() -> Self {
        Self { user: nix::unistd::geteuid().as_raw(), unmapped: unmapped_user() }
    }

    fn check(&self, path: &Path, owner: u32) -> Result<(), Distrust> {
        match owner == 0 || owner == self.user {
            true => Ok(()),
            false => Err(Distrust::Owner { path: path.to_owned(), owner, wanted: self.user }),
        }
    }

    /// The directories above those of a lab's user are the system's own.
    fn check_directory(&self, path: &Path, owner: u32) -> Result<(), Distrust> {
        match self.unmapped == Some(owner) {
            true => Ok(()),
            false => self.check(path, owner),
        }
    }
}

fn unmapped_user() -> Option<u32> {
    const ALL_USERS: u64 = u32::MAX as u64;
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let lengths = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    if lengths.sum::<u64>() >= ALL_USERS {
        return None;
    }
    fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()
}
