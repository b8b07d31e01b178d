//! `known_hosts`: which host has which key (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

mod append;
mod entry;
mod name;
mod pins;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ssh_key::{Algorithm, public::KeyData};
use thiserror::Error;

use self::entry::{Entry, Marker};
use self::name::Names;
use super::{
    Location, Offered,
    certificate::{self, CertificateError},
    text_file,
};

pub use self::append::{AppendError, append, line};
pub use self::entry::LineProblem;
pub(crate) use self::pins::is_null;
pub use self::pins::{PinError, Pins};

/// SSH's own port, which names in the file leave out.
const DEFAULT_PORT: u16 = 22;

/// The host that is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// The name or address that was connected to.
    pub name: &'a str,
    /// The port that was connected to.
    pub port: u16,
    /// `HostKeyAlias`: looked up instead of name and port.
    pub alias: Option<&'a str>,
}

/// All known hosts files of a connection, the user's before the system's.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

/// A line or a file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A line that says nothing.
    #[error("{location}: {problem}")]
    Line {
        /// Where.
        location: Location,
        /// Why.
        problem: LineProblem,
    },
    /// A file that exists but cannot be read.
    #[error(
        "cannot read the known hosts file {file}: {reason}; a revocation may stand in it, so make it readable, or take it out of \
         UserKnownHostsFile and GlobalKnownHostsFile"
    )]
    File {
        /// The file.
        file: String,
        /// The operating system's reason.
        reason: String,
    },
}

/// What the files say about a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The host has this key.
    Known {
        /// The line that says so.
        location: Location,
    },
    /// The key's certificate is valid and its authority trusted for this host.
    CertificateAccepted {
        /// The line of the authority.
        authority: Location,
        /// The certificate's identity.
        key_id: String,
    },
    /// Nothing is known about the host.
    Unknown {
        /// Why a certificate of a trusted authority did not help.
        certificate: Option<CertificateError>,
    },
    /// The host has another key, or keys.
    Changed {
        /// The line with the known key: one of the same kind, if there is one.
        location: Location,
        /// The known key.
        known: KeyData,
        /// Why a certificate of a trusted authority did not help.
        certificate: Option<CertificateError>,
    },
    /// The key, or the key of the certificate's authority, is revoked.
    Revoked {
        /// The line that says so.
        location: Location,
    },
}

impl KnownHosts {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads files in order of precedence. A file that does not exist is empty; one that cannot be read is
    /// [`unreadable`](Self::unreadable), and nobody may be trusted then.
    pub fn read<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Self {
        let mut known = Self::new();
        for file in files {
            let file = file.as_ref();
            match text_file::read(file) {
                Ok(text) => known.add(file, &text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => known
                    .problems
                    .push(Problem::File { file: file.display().to_string(), reason: error.to_string() }),
            }
        }
        known
    }

    /// Adds the lines of `text`, found in `file`. What was added before has precedence.
    pub fn add(&mut self, file: &Path, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            let location = || Location { file: PathBuf::from(file), line: index + 1 };
            match Entry::parse(line, location) {
                Ok(Some(entry)) => self.entries.push(entry),
                Ok(None) => {}
                Err(problem) => self.problems.push(Problem::Line { location: location(), problem }),
            }
        }
    }

    /// The lines and files that could not be used. Worth a warning each: a revocation may be among them.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// A file that exists and cannot be read: whatever it says, it may be against the host.
    pub fn unreadable(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| matches!(problem, Problem::File { .. }))
    }

    /// How many lines are in use.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no line is in use.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the files say about `offered` as the key of `host` at the time `now`, in seconds since 1970.
    ///
    /// As in OpenSSH: a name on another port than 22 is looked up as `[name]:port` and, if that knows nothing, as the
    /// name alone; any other key of the host, of whatever kind, means the key has changed; and a certificate that
    /// does not help leaves its plain key to be looked up. Unlike there, a key that is revoked under the name alone is
    /// revoked on every port, and an address is the same however it is written.
    pub fn check(&self, host: &Host<'_>, offered: Offered<'_>, now: u64) -> Verdict {
        let names = Names::of(host);
        if let Some(location) = self.revocation(&names.revocable, offered) {
            return Verdict::Revoked { location };
        }
        let verdict = self.check_names(&names.own, host, offered, now);
        match verdict {
            Verdict::Unknown { .. } if host.has_port() => {
                match self.check_names(&names.plain, host, offered, now) {
                    Verdict::Changed { certificate, .. } => Verdict::Unknown { certificate },
                    found => found,
                }
            }
            verdict => verdict,
        }
    }

    /// The lines about a host under the name that it is looked up by, whatever their marker: what `ssh-keygen -F` finds.
    pub fn lines_about(&self, host: &Host<'_>) -> impl Iterator<Item = &Location> {
        let names = Names::of(host).own;
        self.entries.iter().filter(move |entry| entry.is_about(&names)).map(|entry| &entry.location)
    }

    /// `supported` with the algorithms of the host's known keys first, so that the server shows a key that can be
    /// compared.
    pub fn prefer_known(&self, host: &Host<'_>, supported: &[Algorithm]) -> Vec<Algorithm> {
        let known = self.known_algorithms(host);
        let is_known = |algorithm: &&Algorithm| known.iter().any(|known| same_key_kind(known, algorithm));
        let (mut first, last): (Vec<_>, Vec<_>) = supported.iter().partition(is_known);
        first.extend(last);
        first.into_iter().cloned().collect()
    }

    /// The kinds of plain keys known for the host, each once.
    pub fn known_algorithms(&self, host: &Host<'_>) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for entry in self.matching_any(host) {
            let algorithm = entry.key.algorithm();
            if entry.marker == Marker::None && !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        algorithms
    }

    /// Whether a certificate authority is trusted for the host, so that asking for certificates makes sense.
    pub fn has_authority(&self, host: &Host<'_>) -> bool {
        self.matching_any(host).any(|entry| entry.marker == Marker::Authority)
    }

    fn revocation(&self, names: &[String], offered: Offered<'_>) -> Option<Location> {
        let authority = match offered {
            Offered::Key(_) => None,
            Offered::Certificate(certificate) => Some(certificate.signature_key()),
        };
        self.entries
            .iter()
            .filter(|entry| entry.marker == Marker::Revoked)
            .filter(|entry| &entry.key == offered.key() || Some(&entry.key) == authority)
            .find(|entry| entry.is_about(names))
            .map(|entry| entry.location.clone())
    }

    fn check_names(&self, names: &[String], host: &Host<'_>, offered: Offered<'_>, now: u64) -> Verdict {
        let entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_about(names)).collect();
        let mut refused = None;
        if let Offered::Certificate(certificate) = offered {
            let authority = entries
                .iter()
                .find(|entry| entry.marker == Marker::Authority && &entry.key == certificate.signature_key());
            if let Some(authority) = authority {
                match certificate::check_host(certificate, &authority.key, host.principal(), now) {
                    Ok(()) => {
                        return Verdict::CertificateAccepted {
                            authority: authority.location.clone(),
                            key_id: certificate::key_id(certificate),
                        };
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
        check_plain(&entries, offered.key(), refused)
    }

    fn matching_any<'a>(&'a self, host: &Host<'_>) -> impl Iterator<Item = &'a Entry> {
        let names = Names::of(host);
        self.entries.iter().filter(move |entry| entry.is_about(&names.own) || entry.is_about(&names.plain))
    }
}

impl Host<'_> {
    /// The name as the files have it: `name`, `[name]:port` or the alias, in lower case, an address in its one form.
    pub fn lookup_name(&self) -> String {
        Names::of(self).own.into_iter().next().unwrap_or_default()
    }

    /// The name that a certificate has to be for.
    fn principal(&self) -> &str {
        self.alias.unwrap_or(self.name)
    }

    fn has_port(&self) -> bool {
        self.alias.is_none() && self.port != DEFAULT_PORT
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lookup_name())
    }
}

fn check_plain(entries: &[&Entry], key: &KeyData, certificate: Option<CertificateError>) -> Verdict {
    let mut plain = entries.iter().filter(|entry| entry.marker == Marker::None);
    if let Some(entry) = plain.clone().find(|entry| &entry.key == key) {
        return Verdict::Known { location: entry.location.clone() };
    }
    let same_kind = plain.clone().find(|entry| same_key_kind(&entry.key.algorithm(), &key.algorithm()));
    match same_kind.or_else(|| plain.next()) {
        Some(entry) => {
            Verdict::Changed { location: entry.location.clone(), known: entry.key.clone(), certificate }
        }
        None => Verdict::Unknown { certificate },
    }
}

/// Whether both are for the same kind of key: RSA has one kind of key for its algorithms of signatures.
fn same_key_kind(a: &Algorithm, b: &Algorithm) -> bool {
    match (a, b) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => a == b,
    }
}
