//! The thin shell: files, environment and users of this machine.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::{Uid, User, gethostname};

use super::{File, LocalUser, Scope, Surroundings};

/// Larger than any configuration; keeps a device file or a mistake from filling memory. In bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// Asks this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn home_of(&self, user: &str) -> Option<PathBuf> {
        User::from_name(user).ok().flatten().map(|user| user.dir)
    }

    fn include(&self, pattern: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        let pattern = pattern
            .to_str()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        // Two stars are one to glob(3), and any depth of directories to the crate.
        let mut pattern = pattern.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let paths = glob::glob_with(&pattern, options)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let mut files = Vec::new();
        for path in paths {
            let path = path.map_err(|error| io::Error::other(error.to_string()))?;
            match read_trusted(&path) {
                Ok(text) => files.push((path, text)),
                // As ssh does: a directory has no lines, and a link to nothing is no file.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }
}

/// Who runs this process. The home directory is that of the user database, as in OpenSSH, not `HOME`.
///
/// # Errors
/// When the user is in no user database.
pub fn local_user() -> io::Result<LocalUser> {
    let uid = Uid::current();
    let user = User::from_uid(uid)?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no user has the id {uid}; add one"))
    })?;
    Ok(LocalUser {
        name: user.name,
        uid: uid.as_raw(),
        home: user.dir,
        host_name: gethostname()?.to_string_lossy().into_owned(),
    })
}

/// `~/.ssh/config` and `/etc/ssh/ssh_config`, those that exist and may be read.
///
/// # Errors
/// When reading one fails, or the user's may be written by others.
pub fn read_default_files(local: &LocalUser) -> io::Result<Vec<File>> {
    let user = (local.home.join(".ssh/config"), Scope::User);
    let system = (PathBuf::from("/etc/ssh/ssh_config"), Scope::System);
    let mut files = Vec::new();
    for (path, scope) in [user, system] {
        let text = match scope {
            Scope::User => read_trusted(&path),
            Scope::System => read_text(&path),
        };
        match text {
            Ok(text) => files.push(File { path, text, scope }),
            // ssh goes on without a file that it may not read. In a user namespace that is the one of the real root.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// A file that the user names, as with `-F`: whoever owns it.
///
/// # Errors
/// When it cannot be read.
pub fn read_file(path: &Path) -> io::Result<File> {
    Ok(File { path: path.to_owned(), text: read_text(path)?, scope: Scope::User })
}

/// A file that must be root's or ours and that nobody else may write.
fn read_trusted(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path).map_err(|error| named(path, error))?;
    let metadata = file.metadata().map_err(|error| named(path, error))?;
    let owned = metadata.uid() == 0 || metadata.uid() == Uid::current().as_raw();
    if metadata.is_dir() {
        return Err(named(path, io::ErrorKind::IsADirectory.into()));
    }
    if !owned || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{0} could be written by others; make it yours and run `chmod go-w {0}`", path.display()),
        ));
    }
    read_all(path, file)
}

fn read_text(path: &Path) -> io::Result<String> {
    fs::File::open(path).map_err(|error| named(path, error)).and_then(|file| read_all(path, file))
}

fn read_all(path: &Path, file: fs::File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(|error| named(path, error))?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        let message =
            format!("{} is longer than {MAX_FILE_SIZE} bytes, which no ssh_config is", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // A comment in another encoding is no reason to refuse the rest.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
