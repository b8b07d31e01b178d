use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Key pairs of one test, made by ssh-keygen, in a directory of their own.
#[derive(Debug)]
pub struct Keys {
    directory: TempDir,
}

impl Keys {
    /// With an ed25519 key for each name.
    pub fn new(names: &[&str]) -> Self {
        let keys = Self { directory: tempfile::tempdir().unwrap() };
        for name in names {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(keys.path(name))
                .status();
            assert!(status.unwrap().success());
        }
        keys
    }

    /// The private key.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The line of the public key.
    pub fn public(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
