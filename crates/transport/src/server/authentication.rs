//! Whether a client may log in: its key or certificate against what the files say at this moment.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use russh_channels::keys::ssh_key::public::KeyData;
use russh_channels::keys::{Algorithm, HashAlg};

use super::{Options, log::printable};
use crate::trust::Offered;
use crate::trust::authorized_keys::{
    AuthorizedKeys, Decision, Diagnostic, Grant, Refusals, Request, TunnelGrant,
};

/// Shorter moduli are within reach (NIST SP 800-131A).
const MIN_RSA_BITS: u32 = 2048;

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
    #[error("an RSA key of {0} bits, {MIN_RSA_BITS} are needed")]
    WeakKey(u32),
    #[error("ssh-rsa signs with SHA-1; the client has to offer rsa-sha2-256 or rsa-sha2-512")]
    Sha1,
    /// The key is known and still not let in.
    #[error(transparent)]
    Refused(RefusedLines),
    #[error("no authorized_keys line and no accepted link has this key")]
    Unknown,
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

/// Decides, and remembers which bad lines of the files it has told about.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    reported: Mutex<Vec<Report>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Report {
    Line(Diagnostic),
    Unsafe(String),
}

impl Authentication {
    /// Reads the files now and tells the log which of their lines are refused.
    pub(super) fn inspect(&self, options: &Options) {
        let _ = self.read(options);
    }

    /// Whether a key or certificate may log in, of which the client has proved possession.
    pub(super) fn authorize(&self, options: &Options, login: &Login<'_>) -> Result<Credential, Denial> {
        decide(options, &self.read(options), login)
    }

    /// Whether to let the client prove possession of a key. It may turn out to be in a certificate, which is seen only
    /// then, so where there is a trusted authority every key may go on.
    pub(super) fn may_prove(&self, options: &Options, login: &Login<'_>) -> Result<(), Denial> {
        let keys = self.read(options);
        match decide(options, &keys, login) {
            Err(Denial::Unknown | Denial::Refused(_))
                if keys.entries().iter().any(|entry| entry.is_authority) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn read(&self, options: &Options) -> AuthorizedKeys {
        let mut keys = AuthorizedKeys::new();
        let mut reports = Vec::new();
        for file in &options.authorized_keys_files {
            match check_file(file) {
                Ok(()) => keys.read(file),
                Err(problem) => reports.push(Report::Unsafe(problem)),
            }
        }
        for file in &options.trusted_user_ca_keys {
            match check_file(file) {
                Ok(()) => keys.read_authorities(file),
                Err(problem) => reports.push(Report::Unsafe(problem)),
            }
        }
        reports.extend(keys.diagnostics().iter().cloned().map(Report::Line));
        self.tell(reports);
        keys
    }

    /// Each bad line is told once, and again when it has changed.
    fn tell(&self, reports: Vec<Report>) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for report in reports.iter().filter(|report| !reported.contains(report)) {
            match report {
                Report::Line(diagnostic) => tracing::error!("{diagnostic}"),
                Report::Unsafe(problem) => tracing::error!("{problem}"),
            }
        }
        *reported = reports;
    }
}

fn decide(options: &Options, keys: &AuthorizedKeys, login: &Login<'_>) -> Result<Credential, Denial> {
    let Login { offered, user, peer, now } = *login;
    check_user(options, user)?;
    check_strength(offered.key())?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let request = Request { offered, user, peer: peer.to_canonical(), now };
    let accepted = options.accept.iter().find(|accepted| accepted.key.key_data() == offered.key());
    let accept = accepted.map(|accepted| accepted.name.clone());
    match (keys.authorize(&request), accept) {
        (Decision::Granted(grant), accept) => Ok(by_file(&grant, accept)),
        // A line that takes the key back holds for an accepted key as well.
        (Decision::Refused(refusals), _) if !refusals.0.is_empty() => {
            Err(Denial::Refused(RefusedLines(refusals)))
        }
        (Decision::Refused(_), Some(name)) if matches!(offered, Offered::Key(_)) => Ok(Credential {
            name: name.clone(),
            accept: Some(name),
            tunnel: TunnelGrant::Free,
            fingerprint: fingerprint(offered.key()),
        }),
        (Decision::Refused(_), _) => Err(Denial::Unknown),
    }
}

fn check_user(options: &Options, user: &str) -> Result<(), Denial> {
    match &options.permit_users {
        Some(permitted) if !permitted.iter().any(|permitted| permitted == user) => Err(Denial::User),
        _ => Ok(()),
    }
}

fn check_strength(key: &KeyData) -> Result<(), Denial> {
    match key {
        KeyData::Rsa(rsa) => {
            let bits = rsa.key_size();
            if bits < MIN_RSA_BITS { Err(Denial::WeakKey(bits)) } else { Ok(()) }
        }
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

/// As sshd's StrictModes: a file that others can write says nothing about who may log in.
fn check_file(file: &Path) -> Result<(), String> {
    let found = match fs::metadata(file) {
        Ok(found) => found,
        // Left to whoever reads it; a file that is not there authorizes nobody.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
    };
    if !found.is_file() {
        return Err(format!("{} is no regular file and authorizes nobody; correct the path", file.display()));
    }
    if found.mode() & 0o022 != 0 {
        return Err(format!(
            "{} can be written by others and authorizes nobody; run `chmod go-w {}`",
            file.display(),
            file.display()
        ));
    }
    let user = nix::unistd::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != user {
        return Err(format!(
            "{} belongs to another user and authorizes nobody; run `chown {user} {}`",
            file.display(),
            file.display()
        ));
    }
    Ok(())
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
