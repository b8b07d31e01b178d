//! Whether a client may log in: its key or certificate against what the files say at this moment.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use russh_channels::keys::ssh_key::public::KeyData;
use russh_channels::keys::{Algorithm, HashAlg};

use super::{AcceptedKey, Options, log::printable};
use crate::trust::authorized_keys::{
    AuthorizedKeys, Decision, Diagnostic, Grant, Refusals, Request, TunnelGrant, is_token,
};
use crate::trust::revocation::{Revoked, RevokedKeys};
use crate::trust::strength::{self, WeakKey};
use crate::trust::strict_file::{self, Distrust};
use crate::trust::{Location, Offered};

/// A log-in that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) name: String,
    pub(super) accept: Option<String>,
    pub(super) tunnel: TunnelGrant,
    /// `SHA256:...` of the public key.
    pub(super) fingerprint: String,
}

/// Why a log-in goes no further; for this host's log alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denial {
    #[error("the user is not among permit-users")]
    User,
    #[error(transparent)]
    WeakKey(#[from] WeakKey),
    #[error("ssh-rsa signs with SHA-1; the client has to offer rsa-sha2-256 or rsa-sha2-512")]
    Sha1,
    /// The key is known and still not let in.
    #[error(transparent)]
    Refused(RefusedLines),
    #[error("no authorized_keys line and no accepted link has this key, with this user")]
    Unknown,
    /// What has not been read could limit the key.
    #[error("{0}")]
    Unread(Unread),
    #[error(
        "the key's line {0} is gone, and without one nothing limits a key under `accept`: if that is meant, reload the \
         configuration (SIGHUP)"
    )]
    LineGone(Location),
    #[error(
        "the key under `accept` is in a security token whose touch cannot be verified; to accept it without, give it a \
         line with no-touch-required in authorized_keys"
    )]
    Touch,
    #[error(transparent)]
    Revoked(#[from] Revoked),
    /// Nothing says which keys are revoked.
    #[error("{0}; until then nobody is let in")]
    RevokedKeys(String),
}

/// A file of authorized keys that ends the reading: neither the files after it, nor `accept`, nor listed authorities let
/// anybody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("{0}; until then only the lines of files before it let anybody in")]
    Distrusted(#[from] Distrust),
    #[error(
        "{} was there and is gone, and with it the limits of its keys: put it back, empty if no key is to be in it, or \
         remove it from authorized-keys-files and reload; until then only the lines of files before it let anybody in",
        .0.display()
    )]
    Gone(PathBuf),
}

/// What the lines about a key say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct RefusedLines(Refusals);

/// An attempt to log in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) offered: Offered<'a>,
    pub(super) user: &'a str,
    pub(super) peer: IpAddr,
    pub(super) now: SystemTime,
}

/// Decides, and remembers what it has seen of the files.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What has been told of the files as they are.
    reported: Vec<Report>,
    /// Files of authorized keys that were there once: only a file that never was has no lines.
    seen: HashSet<PathBuf>,
    /// Lines about keys of `accept`, by their fingerprints: whoever is seen without them may have caught a file that is
    /// being written.
    lines: HashMap<String, Location>,
}

#[derive(Debug, Clone, PartialEq)]
enum Report {
    Line(Diagnostic),
    File(String),
}

/// What the files say.
struct Files {
    keys: AuthorizedKeys,
    unread: Option<Unread>,
}

impl Authentication {
    /// Reads the files as at a start, and tells the log which of them and of their lines are refused.
    pub(super) fn inspect(&self, options: &Options) {
        self.memory().lines.clear();
        let mut reports = Vec::new();
        let files = self.read(options, &mut reports);
        if let Err(Denial::RevokedKeys(problem)) = revoked_keys(options) {
            reports.push(Report::File(format!("{problem}; until then nobody is let in")));
        }
        for accepted in &options.accept {
            let key = accepted.key.key_data();
            if is_token(key) && files.unread.is_none() && files.keys.line_about(key).is_none() {
                reports.push(Report::File(format!("accept: {}: {}", accepted.name, Denial::Touch)));
            }
        }
        self.tell(reports);
    }

    /// Whether a key or certificate may log in, if the client can prove or has proved possession. Unless it may, nothing
    /// of the answer depends on why not.
    pub(super) fn authorize(&self, options: &Options, login: &Login<'_>) -> Result<Credential, Denial> {
        let mut reports = Vec::new();
        let files = self.read(options, &mut reports);
        self.tell(reports);
        let credential = self.decide(options, &files, login)?;
        // Last, as the list may be long, and strangers are refused already.
        if let Some(revoked) = revoked_keys(options)? {
            revoked.check(login.offered)?;
        }
        Ok(credential)
    }

    /// The numbers of tunnel devices that lines of the files give to keys.
    pub(super) fn units(&self, options: &Options) -> BTreeSet<u32> {
        self.read(options, &mut Vec::new()).keys.units().collect()
    }

    fn decide(&self, options: &Options, files: &Files, login: &Login<'_>) -> Result<Credential, Denial> {
        let Login { offered, user, peer, now } = *login;
        check_user(options, user)?;
        strength::check(offered, options.required_rsa_size)?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let is_named = options.permit_users.is_some();
        let request = Request { offered, user, is_named, peer: peer.to_canonical(), now };
        let accept = accepted(options, offered.key(), user).map(|accepted| accepted.name.clone());
        match files.keys.authorize(&request) {
            Decision::Granted(grant) => return Ok(by_file(&grant, accept)),
            // A line that takes the key back holds for an accepted key as well.
            Decision::Refused(refusals) if !refusals.0.is_empty() => {
                return Err(Denial::Refused(RefusedLines(refusals)));
            }
            Decision::Refused(_) => {}
        }
        if let Some(unread) = &files.unread {
            return Err(Denial::Unread(unread.clone()));
        }
        let (Some(name), Offered::Key(key)) = (accept, offered) else { return Err(Denial::Unknown) };
        let fingerprint = fingerprint(key);
        if let Some(line) = self.memory().lines.get(&fingerprint) {
            return Err(Denial::LineGone(line.clone()));
        }
        match is_token(key) {
            true => Err(Denial::Touch),
            false => Ok(Credential {
                name: name.clone(),
                accept: Some(name),
                tunnel: TunnelGrant::Free,
                fingerprint,
            }),
        }
    }

    fn read(&self, options: &Options, reports: &mut Vec<Report>) -> Files {
        let mut keys = AuthorizedKeys::new();
        let mut unread = None;
        for path in &options.authorized_keys_files {
            match self.read_authorized_keys(path) {
                Ok(text) => keys.add(path, &text),
                Err(problem) => {
                    reports.push(Report::File(problem.to_string()));
                    unread = Some(problem);
                    break;
                }
            }
        }
        // What is missing of these only lets in fewer, but a line that has not been read could limit an authority.
        for path in options.trusted_user_ca_keys.iter().filter(|_| unread.is_none()) {
            keys.add_authorities(path, &text_or_report(path, reports));
        }
        if let Some(path) = &options.authorized_principals_file {
            keys.add_principals(path, &text_or_report(path, reports));
        }
        if unread.is_none() {
            let mut memory = self.memory();
            for key in options.accept.iter().map(|accepted| accepted.key.key_data()) {
                if let Some(location) = keys.line_about(key) {
                    memory.lines.insert(fingerprint(key), location.clone());
                }
            }
        }
        reports.extend(keys.diagnostics().cloned().map(Report::Line));
        Files { keys, unread }
    }

    fn read_authorized_keys(&self, path: &Path) -> Result<String, Unread> {
        match strict_file::read(path)? {
            Some(bytes) => {
                self.memory().seen.insert(path.to_owned());
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            None if self.memory().seen.contains(path) => Err(Unread::Gone(path.to_owned())),
            None => Ok(String::new()),
        }
    }

    /// Each problem is told once, and again when it has changed.
    fn tell(&self, reports: Vec<Report>) {
        let mut memory = self.memory();
        for report in reports.iter().filter(|report| !memory.reported.contains(report)) {
            match report {
                Report::Line(diagnostic) => tracing::error!("{diagnostic}"),
                Report::File(problem) => tracing::error!("{problem}"),
            }
        }
        memory.reported = reports;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_or_report(path: &Path, reports: &mut Vec<Report>) -> String {
    match strict_file::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned(),
        Err(problem) => {
            reports.push(Report::File(format!("{problem}; until then it lets nobody in")));
            String::new()
        }
    }
}

fn revoked_keys(options: &Options) -> Result<Option<RevokedKeys>, Denial> {
    let read = options.revoked_keys.as_deref().map(RevokedKeys::read_strictly);
    read.transpose().map_err(|error| Denial::RevokedKeys(error.to_string()))
}

/// The accepted link of a key: the one for the user, else the one for all.
fn accepted<'a>(options: &'a Options, key: &KeyData, user: &str) -> Option<&'a AcceptedKey> {
    let has = |name: Option<&str>| {
        options.accept.iter().find(|it| it.key.key_data() == key && it.user.as_deref() == name)
    };
    has(Some(user)).or_else(|| has(None))
}

fn check_user(options: &Options, user: &str) -> Result<(), Denial> {
    match &options.permit_users {
        Some(permitted) if !permitted.iter().any(|permitted| permitted == user) => Err(Denial::User),
        _ => Ok(()),
    }
}

/// Refuses signatures with SHA-1, whatever the key.
pub(super) fn check_algorithm(algorithm: &Algorithm) -> Result<(), Denial> {
    match algorithm {
        Algorithm::Rsa { hash: None } => Err(Denial::Sha1),
        _ => Ok(()),
    }
}

fn by_file(grant: &Grant, accept: Option<String>) -> Credential {
    let fingerprint = fingerprint(&grant.key);
    let key_id = grant.certificate.as_ref().map(|certificate| printable(&certificate.key_id));
    let comment = printable(&grant.comment);
    let name = accept
        .clone()
        .or(key_id.filter(|id| !id.is_empty()))
        .or(Some(comment).filter(|comment| !comment.is_empty()))
        .unwrap_or_else(|| fingerprint.clone());
    Credential { name, accept, tunnel: grant.tunnel, fingerprint }
}

pub(super) fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests;
