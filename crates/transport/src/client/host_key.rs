//! Whether the server is who it should be.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use russh_channels::keys::{Algorithm, PublicKeyOrCertificate};
use ssh_key::public::KeyData;

use super::prompt::{self, Prompter};
use super::{HostKeyRefusal, HostKeyRefusalKind, Options};
use crate::algorithms::KEYS;
use crate::trust::Offered;
use crate::trust::host_key::{Action, Server, Strictness, decide};
use crate::trust::known_hosts::{self, Host, KnownHosts, Verdict};

/// What is known about one host, and what to do about the rest.
#[derive(Debug)]
pub(super) struct HostKeyCheck {
    name: String,
    port: u16,
    alias: Option<String>,
    address: Option<IpAddr>,
    known: KnownHosts,
    strictness: Strictness,
    /// Where a new key goes, and whether its name is hashed.
    store: Option<PathBuf>,
    hash: bool,
}

impl HostKeyCheck {
    /// Reads the known hosts. `address` is what was connected to, unless that was a proxy.
    pub(super) fn read(options: &Options, address: Option<IpAddr>, interactive: bool) -> Self {
        let files = options.user_known_hosts_files.iter().chain(&options.global_known_hosts_files);
        let known = KnownHosts::read(files);
        for problem in known.problems() {
            tracing::warn!("{problem}");
        }
        let strictness = match options.strict_host_key_checking {
            Strictness::Ask if !interactive => Strictness::Yes,
            strictness => strictness,
        };
        Self {
            name: options.host.clone(),
            port: options.port,
            alias: options.host_key_alias.clone(),
            address,
            known,
            strictness,
            store: options.user_known_hosts_files.first().cloned(),
            hash: options.hash_known_hosts,
        }
    }

    /// Kinds of keys to ask the server for, those that can be compared first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.known.prefer_known(&self.host(), KEYS)
    }

    /// Whether a certificate would help.
    pub(super) fn wants_certificates(&self) -> bool {
        self.known.has_authority(&self.host())
    }

    pub(super) async fn verify(
        &self,
        shown: &PublicKeyOrCertificate,
        prompter: &Arc<dyn Prompter>,
    ) -> Result<(), HostKeyRefusal> {
        let offered = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => Offered::from(key),
            PublicKeyOrCertificate::Certificate(certificate) => Offered::from(certificate),
        };
        let key = offered.key();
        let host = self.host();
        let verdict = self.known.check(&host, offered, now());
        let refusal = |message| HostKeyRefusal { kind: kind(&verdict), message };
        match decide(self.strictness, &verdict, &Server { host, address: self.address, key }) {
            Action::Accept => Ok(()),
            Action::AcceptAndStore { notice } => {
                self.store(key, &notice);
                Ok(())
            }
            Action::Refuse { message } => Err(refusal(message)),
            Action::Ask { prompt, fingerprint, refusal: message } => {
                if !confirmed(prompter, prompt, &fingerprint).await {
                    return Err(refusal(message));
                }
                self.store(key, &format!("added {host} with {fingerprint} to the known hosts"));
                Ok(())
            }
        }
    }

    fn host(&self) -> Host<'_> {
        Host { name: &self.name, port: self.port, alias: self.alias.as_deref() }
    }

    /// A key that cannot be stored is accepted all the same: that was the decision.
    fn store(&self, key: &KeyData, notice: &str) {
        let Some(file) = &self.store else {
            tracing::warn!("there is no known hosts file to store the key of {} in", self.host());
            return;
        };
        match known_hosts::append(file, &self.host(), key, self.hash) {
            Ok(()) => tracing::info!("{notice}"),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

async fn confirmed(prompter: &Arc<dyn Prompter>, prompt: String, fingerprint: &str) -> bool {
    let mut prompt = prompt;
    loop {
        let Ok(answer) = prompt::ask(prompter, prompt, true).await else { return false };
        match answer.trim() {
            "yes" => return true,
            "no" => return false,
            answer if answer == fingerprint => return true,
            _ => prompt = "Please type 'yes', 'no' or the fingerprint: ".to_owned(),
        }
    }
}

fn kind(verdict: &Verdict) -> HostKeyRefusalKind {
    match verdict {
        Verdict::Revoked { .. } => HostKeyRefusalKind::Revoked,
        Verdict::Changed { .. } => HostKeyRefusalKind::Changed,
        Verdict::Known { .. } | Verdict::CertificateAccepted { .. } | Verdict::Unknown { .. } => {
            HostKeyRefusalKind::Unknown
        }
    }
}

/// Seconds since 1970. A clock before that makes every certificate one of the future, which is refused.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
