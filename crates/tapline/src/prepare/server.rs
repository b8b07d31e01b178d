//! What the server needs of this host's files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::{AccessFlags, access};
use russh_channels::keys::{Certificate, PublicKey};
use tapline_config::{Diagnostic, PathPattern, Places, Server};
use tapline_transport::server::{HostKeyError, load_host_certificate, load_host_key};

use super::split;
use crate::daemon::server_path;

/// What is found about the server.
#[derive(Default)]
pub(super) struct Found {
    /// The file is wrong.
    pub(super) mistakes: Vec<Diagnostic>,
    /// The server does not start until it is mended.
    pub(super) waits: Vec<Diagnostic>,
    /// Peers cannot log in.
    pub(super) warnings: Vec<Diagnostic>,
}

/// What keeps the server from starting, and what keeps peers from logging in.
pub(super) fn inspect(config: &Server, places: &Places) -> Found {
    let mut found = Found::default();
    let mut keys = Vec::new();
    for (path, at) in paths("host-keys", &config.host_keys, places, &mut found) {
        match load_host_key(&path) {
            Ok(key) => keys.push(Some(key.public_key().clone())),
            Err(HostKeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                keys.push(None);
                if let Err(error) = can_be_created(&path) {
                    let message = format!("cannot create the host key {}: {error}", path.display());
                    let hint = "create the directory, or correct the path";
                    found.waits.push(places.error(&at.path(), message, hint));
                }
            }
            Err(error) => {
                let (message, hint) = split(&error.to_string());
                found.waits.push(places.error(&at.path(), message, hint));
            }
        }
    }
    for (path, at) in paths("host-certificates", &config.host_certificates, places, &mut found) {
        match load_host_certificate(&path) {
            Ok(certificate) => certified(&certificate, &keys, &at, places, &mut found),
            Err(error) => {
                let (message, hint) = split(&error.to_string());
                let hint = if hint.is_empty() { "correct the path, or remove it".to_owned() } else { hint };
                found.waits.push(places.error(&at.path(), message, hint));
            }
        }
    }
    let key_files = paths("authorized-keys-files", &config.authorized_keys_files, places, &mut found);
    let authorities = paths("trusted-user-ca-keys", &config.trusted_user_ca_keys, places, &mut found);
    let mut admits = !config.accept.is_empty();
    for (path, at) in &key_files {
        match File::open(path) {
            Ok(_) => admits = true,
            // Only a file that is not there means that it says nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                admits = true;
                let message = format!("cannot read {}: {error}", path.display());
                let hint = "nobody logs in while that is so; correct the path or its permissions";
                found.warnings.push(places.warning(&at.path(), message, hint));
            }
        }
    }
    for (path, at) in &authorities {
        admits = true;
        if let Err(error) = File::open(path) {
            let message = format!("cannot read {}: {error}", path.display());
            found.warnings.push(places.warning(
                &at.path(),
                message,
                "no certificate of its authority logs in",
            ));
        }
    }
    let single = [
        ("revoked-keys", &config.revoked_keys, "nobody logs in while that is so"),
        (
            "authorized-principals-file",
            &config.authorized_principals_file,
            "no certificate logs in while that is so",
        ),
    ];
    for (key, file, consequence) in single {
        for (path, at) in paths(key, file.as_slice(), places, &mut found) {
            if let Err(error) = File::open(&path) {
                let message = format!("cannot read {}: {error}", path.display());
                found.warnings.push(places.warning(&at.path(), message, consequence));
            }
        }
    }
    if !admits {
        let message = "nobody can log in: there is no `accept`, and none of the authorized-keys-files exists";
        let hint = "add the peer under `accept`, with its `public-key`";
        found.warnings.push(places.warning(&["server"], message, hint));
    }
    for (name, accept) in &config.accept {
        let Some(key) = &accept.public_key else { continue };
        if let Err(error) = PublicKey::from_bytes(key.blob()) {
            let path = ["server", "accept", name.as_str(), "public-key"];
            let message = format!("this key cannot be read: {error}");
            found.mistakes.push(places.error(&path, message, "paste the line of the peer's .pub file"));
        }
    }
    found
}

/// One item of a list of the server's.
struct At {
    key: &'static str,
    index: String,
}

impl At {
    fn path(&self) -> [&str; 3] {
        ["server", self.key, &self.index]
    }
}

/// The paths of a list, and the mistakes in it.
fn paths(
    key: &'static str,
    patterns: &[PathPattern],
    places: &Places,
    found: &mut Found,
) -> Vec<(PathBuf, At)> {
    let mut paths = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let at = At { key, index: index.to_string() };
        match server_path(pattern) {
            Ok(path) => paths.push((path, at)),
            Err(error) => {
                let text = error.to_string();
                let (message, hint) = split(text.trim_start_matches("server: "));
                found.mistakes.push(places.error(&at.path(), message, hint));
            }
        }
    }
    paths
}

/// Whether the file could be made: its directory is there and may be written.
fn can_be_created(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !fs::metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(Into::into)
}

/// A certificate is of one of the host keys, and of this time.
fn certified(
    certificate: &Certificate,
    keys: &[Option<PublicKey>],
    at: &At,
    places: &Places,
    found: &mut Found,
) {
    let belongs = keys.iter().flatten().any(|key| key.key_data() == certificate.public_key());
    if !belongs {
        let message =
            format!("the host certificate \"{}\" is for none of the host keys", certificate.key_id());
        found.waits.push(places.error(&at.path(), message, "add its key to `host-keys`, or remove it"));
        return;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    if now < certificate.valid_after() || certificate.valid_before() <= now {
        let message = format!("the host certificate \"{}\" is not valid now", certificate.key_id());
        let hint = "clients refuse it; have the host key signed again";
        found.warnings.push(places.warning(&at.path(), message, hint));
    }
}
