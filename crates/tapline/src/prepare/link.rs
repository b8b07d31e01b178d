//! The options of a link, or why there are none.

use std::fs::File;
use std::path::{Path, PathBuf};

use tapline_config::ssh_config::{LineError, Origin};
use tapline_config::{Diagnostic, Link, Name, PathPattern, Places};
use tapline_transport::client;

use super::{Unready, split};
use crate::client_options::{self, ClientOptionsError};
use crate::ssh_options::{SshFiles, SshOptionsError};

/// `ssh_config`'s keywords that a link has keys for.
const KEYS: [(&str, &str); 15] = [
    ("IdentityFile", "identity-file"),
    ("CertificateFile", "certificate-file"),
    ("UserKnownHostsFile", "user-known-hosts-file"),
    ("RevokedHostKeys", "revoked-host-keys"),
    ("StrictHostKeyChecking", "strict-host-key-checking"),
    ("ProxyJump", "proxy-jump"),
    ("ProxyCommand", "proxy-command"),
    ("LocalCommand", "local-command"),
    ("ServerAliveInterval", "server-alive-interval"),
    ("ServerAliveCountMax", "server-alive-count-max"),
    ("ConnectTimeout", "connect-timeout"),
    ("AddressFamily", "address-family"),
    ("BindAddress", "bind-address"),
    ("RekeyLimit", "rekey-limit"),
    ("User", "user"),
];

/// Resolves a link through `ssh_config`, its jump hosts included.
pub(super) fn options(
    files: &SshFiles,
    name: &Name,
    link: &Link,
    places: &Places,
) -> Result<client::Options, Unready> {
    client_options::of_link(files, link).map_err(|error| match error {
        ClientOptionsError::Ssh(SshOptionsError::Options(errors)) => {
            let is_own = |error: &LineError| !matches!(error.origin, Origin::File { .. });
            let own = errors.0.iter().any(is_own);
            let told = |error: &LineError| !own || is_own(error);
            let found =
                errors.0.iter().filter(|error| told(error)).map(|error| place(name, link, error, places));
            if own { Unready::Mistake(found.collect()) } else { Unready::Waits(found.collect()) }
        }
        error @ (ClientOptionsError::Ssh(_) | ClientOptionsError::NothingKnown { .. }) => {
            let (message, hint) = split(&error.to_string());
            Unready::Waits(vec![places.error(&["links", name.as_str(), "host"], message, hint)])
        }
        ClientOptionsError::JumpLoop => {
            let key = if link.proxy_jump.is_some() { "proxy-jump" } else { "host" };
            let message = "this leads from jump host to jump host without an end";
            let hint = "look for a loop of ProxyJump in the SSH configuration, or write `proxy-jump: none`";
            Unready::Waits(vec![places.error(&["links", name.as_str(), key], message, hint)])
        }
    })
}

/// Where the mistake stands: in the file what the link says itself, at its host what `ssh_config` says.
fn place(name: &Name, link: &Link, error: &LineError, places: &Places) -> Diagnostic {
    let (message, hint) = split(&error.problem.to_string());
    let hint = if hint.is_empty() { "correct it, or write its value out".to_owned() } else { hint };
    let link_path = ["links", name.as_str()];
    match &error.origin {
        Origin::File { path, line } => {
            let message = format!("the SSH configuration says, at {}:{line}: {message}", path.display());
            places.error(&[&link_path[..], &["host"]].concat(), message, hint)
        }
        Origin::Destination => places.error(&[&link_path[..], &["host"]].concat(), message, hint),
        Origin::CommandLine(argument) => {
            let (keyword, value) = argument.split_once('=').unwrap_or((argument, ""));
            let key = KEYS.iter().find(|(known, _)| *known == keyword).map_or("host", |(_, key)| key);
            let message = message.replace(keyword, &format!("`{key}`"));
            let item = item(link, key, value).map(|index| index.to_string());
            let path = [&link_path[..], &[key], item.as_deref().as_slice()].concat();
            places.error(&path, message, hint)
        }
    }
}

/// Which item of a list the value is.
fn item(link: &Link, key: &str, value: &str) -> Option<usize> {
    let files = match key {
        "identity-file" => &link.identity_file,
        "certificate-file" => &link.certificate_file,
        _ => return None,
    };
    files.iter().position(|file| value.trim_matches('"') == file.as_str())
}

/// Files that the link names and that are not there. ssh goes on without them, and so does a link.
pub(super) fn files(name: &Name, link: &Link, places: &Places) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let lists = [
        ("identity-file", &link.identity_file, "it is passed over; without a key nobody logs in"),
        ("certificate-file", &link.certificate_file, "it is passed over"),
        ("revoked-host-keys", &link.revoked_host_keys, "no host key is taken while it cannot be read"),
    ];
    for (key, list, consequence) in lists {
        for (index, file) in list.iter().enumerate() {
            let Some(path) = plain(file) else { continue };
            if let Err(error) = File::open(&path) {
                let index = index.to_string();
                let message = format!("cannot read {}: {error}", path.display());
                found.push(places.warning(&["links", name.as_str(), key, &index], message, consequence));
            }
        }
    }
    found
}

/// The path of a pattern in which nothing but `~` is to be replaced.
fn plain(file: &PathPattern) -> Option<PathBuf> {
    let text = file.as_str();
    if text.contains('%') || text.contains("${") || text.eq_ignore_ascii_case("none") {
        return None;
    }
    match text.strip_prefix('~') {
        None => Some(PathBuf::from(text)),
        Some(rest) => {
            let home = tapline_config::ssh_config::local_user().ok()?.home;
            rest.strip_prefix('/').map(|rest| Path::new(&home).join(rest))
        }
    }
}
