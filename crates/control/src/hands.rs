//! In whose hands files and directories are. What others can write, remove or replace is neither believed nor written:
//! a symbolic link there would lead a privileged process to any file.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{libc, unistd::geteuid};

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Something is in others' hands.
#[derive(Debug, thiserror::Error)]
pub enum InOtherHands {
    #[error("{} can be written by others; run `chmod go-w {}`", path.display(), path.display())]
    Writable { path: PathBuf },
    #[error(
        "{} belongs to user {owner} and not to root or user {wanted}; run `chown {wanted} {}`",
        path.display(), path.display()
    )]
    Owner { path: PathBuf, owner: u32, wanted: u32 },
    #[error("{} is no regular file; move it away", path.display())]
    NoFile { path: PathBuf },
}

/// Checks an existing directory and those above it. Above, one with the sticky bit is safe, such as /tmp.
pub(crate) fn check_directory(path: &Path) -> io::Result<Result<(), InOtherHands>> {
    let real = fs::canonicalize(path)?;
    for (depth, directory) in real.ancestors().enumerate() {
        let found = fs::metadata(directory)?;
        // Inside a user namespace most users have no number, root outside among them: what is above is the system's.
        if depth > 0 && is_partly_mapped() {
            break;
        }
        if let Err(hands) = check_owner(directory, found.uid()) {
            return Ok(Err(hands));
        }
        let is_safe = found.mode() & OTHERS_WRITE == 0 || depth > 0 && found.mode() & STICKY != 0;
        if !is_safe {
            return Ok(Err(InOtherHands::Writable { path: directory.to_owned() }));
        }
    }
    Ok(Ok(()))
}

/// Checks a file that is open.
pub(crate) fn check_file(path: &Path, file: &File) -> io::Result<Result<(), InOtherHands>> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(Err(InOtherHands::NoFile { path: path.to_owned() }));
    }
    Ok(match check_owner(path, found.uid()) {
        Ok(()) if found.mode() & OTHERS_WRITE != 0 => Err(InOtherHands::Writable { path: path.to_owned() }),
        checked => checked,
    })
}

/// To open what is there under this name and never what a link of the name leads to; a pipe does not hold it up.
pub(crate) fn no_link() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

/// A new file that only its owner can read. What a process that was killed has left under the name goes; a link goes
/// as such.
pub(crate) fn create_anew(path: &Path) -> io::Result<File> {
    let create = || no_link().write(true).create_new(true).mode(0o600).open(path);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        created => created,
    }
}

fn check_owner(path: &Path, owner: u32) -> Result<(), InOtherHands> {
    let wanted = geteuid().as_raw();
    match owner == 0 || owner == wanted {
        true => Ok(()),
        false => Err(InOtherHands::Owner { path: path.to_owned(), owner, wanted }),
    }
}

fn is_partly_mapped() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let lengths = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    !map.is_empty() && lengths.sum::<u64>() < u64::from(u32::MAX)
}
