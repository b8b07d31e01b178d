//! What to do about a server's key: `StrictHostKeyChecking` of `ssh_config(5)`.

#[cfg(test)]
mod tests;

use std::{net::IpAddr, path::Path};

use ssh_key::{HashAlg, public::KeyData};

use super::{
    certificate::CertificateError,
    key_text::type_name,
    known_hosts::{Host, Verdict},
};

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// `yes`: refuse unknown keys.
    Yes,
    /// `accept-new`: store unknown keys.
    AcceptNew,
    /// `ask`: ask about unknown keys.
    Ask,
    /// `no`: store unknown keys.
    No,
}

/// The server whose key it is.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The host as it is looked up.
    pub host: Host<'a>,
    /// The address that was connected to, unless a proxy was.
    pub address: Option<IpAddr>,
    /// The key it showed; of a certificate, the key in it.
    pub key: &'a KeyData,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Accept,
    /// Store the key, say so, and go on.
    AcceptAndStore {
        /// One line to log.
        notice: String,
    },
    /// Ask; go on and store the key if the answer is `yes` or the fingerprint.
    Ask {
        /// Several lines, without a newline at the end.
        prompt: String,
        /// The key's fingerprint.
        fingerprint: String,
        /// One line to say where nobody can be asked, or the answer is no.
        refusal: String,
    },
    /// End the connection.
    Refuse {
        /// One line that says why and what to do.
        message: String,
    },
}

/// What to do about the key of `server`, on which the known hosts files have given their `verdict`.
///
/// A key that has changed or is revoked is refused under every setting. (OpenSSH with `no` would connect, but without
/// the tunnel.)
pub fn decide(strictness: Strictness, verdict: &Verdict, server: &Server<'_>) -> Action {
    match verdict {
        Verdict::Known { .. } | Verdict::CertificateAccepted { .. } => Action::Accept,
        Verdict::Revoked { location } => Action::Refuse {
            message: format!(
                "the {kind} host key of {host} ({fingerprint}) is revoked by {location}: \
                 a stolen key may be in use to impersonate the host; have the host's key replaced",
                kind = type_name(server.key),
                host = server.host,
                fingerprint = fingerprint(server.key),
            ),
        },
        Verdict::Changed { location, known, certificate } => Action::Refuse {
            message: format!(
                "the host key of {host} has changed: it showed {kind} {fingerprint}, but {location} has {known_kind} \
                 {known}; somebody may be intercepting the connection{certificate}; if the change is expected, \
                 remove the old key: {command}",
                host = server.host,
                kind = type_name(server.key),
                fingerprint = fingerprint(server.key),
                known_kind = type_name(known),
                known = fingerprint(known),
                certificate = because(certificate),
                command = removal(&location.file, &server.host),
            ),
        },
        Verdict::Unknown { certificate } => unknown(strictness, certificate, server),
    }
}

/// The fingerprint as OpenSSH shows it: `SHA256:` and Base64.
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn unknown(strictness: Strictness, certificate: &Option<CertificateError>, server: &Server<'_>) -> Action {
    let kind = type_name(server.key);
    let host = server.host;
    let fingerprint = fingerprint(server.key);
    let refusal = format!(
        "no host key is known for {host}, which showed {kind} {fingerprint}{}; compare that with \
         `ssh-keygen -lf` on the host, then add the key to known_hosts or set StrictHostKeyChecking accept-new",
        because(certificate),
    );
    match strictness {
        Strictness::Yes => Action::Refuse { message: refusal },
        Strictness::AcceptNew | Strictness::No => Action::AcceptAndStore {
            notice: format!("added {host} with {kind} {fingerprint} to the known hosts"),
        },
        Strictness::Ask => {
            let address = server.address.map(|address| format!(" ({address})")).unwrap_or_default();
            let certificate = certificate
                .as_ref()
                .map(|error| format!("\nIts certificate does not help: {error}."))
                .unwrap_or_default();
            Action::Ask {
                prompt: format!(
                    "The authenticity of host '{host}{address}' cannot be established.{certificate}\n\
                     Its {kind} key has the fingerprint {fingerprint}.\n\
                     Connect and remember the key (yes/no/[fingerprint])? "
                ),
                fingerprint,
                refusal,
            }
        }
    }
}

fn because(certificate: &Option<CertificateError>) -> String {
    certificate.as_ref().map(|error| format!("; {error}")).unwrap_or_default()
}

/// The command that removes a host from a file, for a shell.
fn removal(file: &Path, host: &Host<'_>) -> String {
    format!("ssh-keygen -f {} -R {}", quoted(&file.to_string_lossy()), quoted(&host.lookup_name()))
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
