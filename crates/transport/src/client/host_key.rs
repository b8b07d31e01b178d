//! Whether the server is who it should be.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh_channels::keys::{Algorithm, PublicKeyOrCertificate};
use ssh_key::public::KeyData;

use super::known_hosts_command::{KnownHostsCommand, Purpose};
use super::prompt::{self, Prompter};
use super::{Algorithms, HostKeyRefusal, HostKeyRefusalKind, Options};
use crate::algorithms::KEYS;
use crate::trust::Offered;
use crate::trust::host_key::{Action, Server, Strictness, decide, fingerprint};
use crate::trust::known_hosts::{self, AppendError, Host, KnownHosts, Pins, Problem, Verdict};
use crate::trust::revocation::{Revoked, RevokedKeys};
use crate::trust::strength::{self, WeakKey};
use crate::trust::type_name;

/// What is known about one host, and what to do about the rest.
#[derive(Debug)]
pub(super) struct HostKeyCheck {
    name: String,
    port: u16,
    alias: Option<String>,
    address: Option<IpAddr>,
    known: KnownHosts,
    /// `RevokedHostKeys`
    revoked: Vec<RevokedKeys>,
    command: Option<KnownHostsCommand>,
    algorithms: Vec<Algorithm>,
    certificates: bool,
    strictness: Strictness,
    /// Somebody is there who is told what happens.
    attended: bool,
    chosen: Algorithms,
    /// Where a new key goes, and whether its name is hashed.
    store: Option<PathBuf>,
    hash: bool,
    required_rsa_size: u32,
    pins: Arc<Pins>,
}

impl HostKeyCheck {
    /// Reads the known hosts. `address` is what was connected to, unless that was a proxy.
    ///
    /// # Errors
    /// Something of them is there and cannot be read.
    pub(super) async fn read(
        options: &Options,
        address: Option<IpAddr>,
        interactive: bool,
    ) -> Result<Self, HostKeyRefusal> {
        let pins = options.pins.file().map_err(|error| unreadable(&error))?;
        let files = options.user_known_hosts_files.iter().chain(&options.global_known_hosts_files);
        let known = KnownHosts::read(files.map(PathBuf::as_path).chain(pins));
        if let Some(problem) = known.unreadable() {
            return Err(unreadable(problem));
        }
        tracing::debug!("the known hosts files have {} lines", known.len());
        for problem in known.problems() {
            warn_once(problem);
        }
        let revoked = options.revoked_host_keys.iter().map(|file| RevokedKeys::read(file));
        let revoked = revoked.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
        let strictness = match options.strict_host_key_checking {
            Strictness::Ask if !interactive => Strictness::Yes,
            strictness => strictness,
        };
        let mut check = Self {
            name: options.host.clone(),
            port: options.port,
            alias: options.host_key_alias.clone(),
            address,
            known,
            revoked,
            command: options.known_hosts_command.clone(),
            algorithms: Vec::new(),
            certificates: false,
            strictness,
            attended: interactive,
            chosen: options.algorithms.clone(),
            store: options.user_known_hosts_files.first().cloned(),
            hash: options.hash_known_hosts,
            required_rsa_size: options.required_rsa_size,
            pins: Arc::clone(&options.pins),
        };
        check.prefer().await?;
        Ok(check)
    }

    /// What to ask the server for. The command's lines are for this alone: about the key it is asked again.
    async fn prefer(&mut self) -> Result<(), HostKeyRefusal> {
        let host = self.host();
        let known = match self.ask_command(Purpose::Order).await? {
            Some(lines) => &with_lines(&self.known, &lines),
            None => &self.known,
        };
        let (algorithms, certificates) = (known.prefer_known(&host, KEYS), known.has_authority(&host));
        (self.algorithms, self.certificates) = (algorithms, certificates);
        Ok(())
    }

    /// Kinds of keys to ask the server for, those that can be compared first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.clone()
    }

    /// Whether a certificate would help.
    pub(super) fn wants_certificates(&self) -> bool {
        self.certificates
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
        strength::check(offered, self.required_rsa_size).map_err(|weak| self.too_weak(&weak))?;
        tracing::debug!("host key of {host}: {} {}", type_name(key), fingerprint(key));
        for list in &self.revoked {
            list.check(offered).map_err(|revoked| self.is_revoked(key, &revoked))?;
        }
        self.check_signature(shown)?;
        let mut verdict = self.known.check(&host, offered, now());
        if let Some(lines) = self.ask_command(Purpose::HostName(key)).await? {
            verdict = with_lines(&self.known, &lines).check(&host, offered, now());
        }
        match &verdict {
            Verdict::Known { location } => tracing::debug!("{host} is known by {location}"),
            Verdict::CertificateAccepted { authority, key_id } => {
                tracing::debug!(
                    "{host} is known by its certificate {key_id} of the authority in {authority}"
                );
            }
            _ => {}
        }
        if matches!(verdict, Verdict::Unknown { .. })
            && let Some(held) = self.pins.held(&host)
        {
            return self.compare_with_held(key, &held);
        }
        let refusal = |message| HostKeyRefusal { kind: kind(&verdict), message };
        match decide(self.strictness, &verdict, &Server { host, address: self.address, key }) {
            Action::Accept => Ok(()),
            Action::AcceptAndStore { notice } => self.keep(key, &notice),
            Action::Refuse { message } => Err(refusal(message)),
            Action::Ask { prompt, fingerprint, refusal: message } => {
                if !confirmed(prompter, prompt, &fingerprint).await {
                    return Err(refusal(message));
                }
                self.keep(key, &format!("added {host} with {fingerprint} to the known hosts"))
            }
        }
    }

    fn too_weak(&self, weak: &WeakKey) -> HostKeyRefusal {
        HostKeyRefusal {
            kind: HostKeyRefusalKind::Weak,
            message: format!(
                "{} shows {weak}; give it a longer key or one of another kind, or lower RequiredRSASize",
                self.host()
            ),
        }
    }

    /// Before anything is looked up: whoever signed with it, such a signature counts for nothing.
    fn check_signature(&self, shown: &PublicKeyOrCertificate) -> Result<(), HostKeyRefusal> {
        let PublicKeyOrCertificate::Certificate(certificate) = shown else { return Ok(()) };
        let signature = certificate.signature().algorithm();
        if self.chosen.takes_ca_signature(signature.as_str()) {
            return Ok(());
        }
        Err(HostKeyRefusal {
            kind: HostKeyRefusalKind::Weak,
            message: format!(
                "the certificate that {} shows is signed with {signature}, which CASignatureAlgorithms does not name; have it signed anew",
                self.host()
            ),
        })
    }

    fn host(&self) -> Host<'_> {
        Host { name: &self.name, port: self.port, alias: self.alias.as_deref() }
    }

    async fn ask_command(&self, purpose: Purpose<'_>) -> Result<Option<String>, HostKeyRefusal> {
        let Some(command) = &self.command else { return Ok(None) };
        match command.run(purpose, &self.host().lookup_name()).await {
            Ok(lines) => Ok(Some(lines)),
            Err(error) => Err(HostKeyRefusal {
                kind: HostKeyRefusalKind::Unreadable,
                message: format!(
                    "KnownHostsCommand `{}`: {error}; no host key is believed without it",
                    command.name()
                ),
            }),
        }
    }

    fn is_revoked(&self, key: &KeyData, revoked: &Revoked) -> HostKeyRefusal {
        HostKeyRefusal {
            kind: HostKeyRefusalKind::Revoked,
            message: format!(
                "the {kind} host key of {host} ({fingerprint}) is revoked: {revoked}; a stolen key may be in use to impersonate \
                 the host; have the host's key replaced",
                kind = type_name(key),
                host = self.host(),
                fingerprint = fingerprint(key),
            ),
        }
    }

    fn compare_with_held(&self, key: &KeyData, held: &KeyData) -> Result<(), HostKeyRefusal> {
        if key == held {
            return Ok(());
        }
        Err(HostKeyRefusal {
            kind: HostKeyRefusalKind::Changed,
            message: format!(
                "the host key of {host} has changed: it showed {kind} {shown}, but to this process it has been {held_kind} \
                 {known} since it was seen first; somebody may be intercepting the connection; if the change is expected, \
                 start tapline again",
                host = self.host(),
                kind = type_name(key),
                shown = fingerprint(key),
                held_kind = type_name(held),
                known = fingerprint(held),
            ),
        })
    }

    /// Sees to it that a key which is believed at first sight is the only one that will be. One that could be forgotten
    /// would be no better than none: the next one would be believed as well.
    fn keep(&self, key: &KeyData, notice: &str) -> Result<(), HostKeyRefusal> {
        let host = self.host();
        let Some(file) = self.store.as_deref().filter(|file| !known_hosts::is_null(file)) else {
            self.pins.hold(&host, key).map_err(|error| self.not_kept(key, &error))?;
            tracing::info!(
                "{host} showed {} {}, and is held to it while this process lives: there is no known hosts file to store it in",
                type_name(key),
                fingerprint(key)
            );
            return Ok(());
        };
        let error = match known_hosts::append(file, &host, key, self.hash) {
            Ok(()) => {
                tracing::info!("{notice}");
                return Ok(());
            }
            Err(error @ AppendError::Contradicted { .. }) => return Err(self.not_kept(key, &error)),
            Err(error) => error,
        };
        let pin_error = match self.pins.store(&host, key) {
            Ok(kept) => {
                tracing::warn!("{error}; it is kept in {} instead", kept.display());
                return Ok(());
            }
            Err(pin_error) => pin_error,
        };
        if self.attended && !pin_error.is_contradiction() {
            self.pins.hold(&host, key).map_err(|error| self.not_kept(key, &error))?;
            tracing::warn!("{error}; {host} is held to it while this process lives");
            return Ok(());
        }
        Err(self.not_kept(key, &format!("{error}, nor elsewhere: {pin_error}")))
    }

    fn not_kept(&self, key: &KeyData, why: &dyn Display) -> HostKeyRefusal {
        HostKeyRefusal {
            kind: HostKeyRefusalKind::NotKept,
            message: format!(
                "the host key of {host} is new ({kind} {fingerprint}) and not accepted, as it cannot be kept: {why}; add it to a \
                 known hosts file beforehand, or name one that can be written with UserKnownHostsFile",
                host = self.host(),
                kind = type_name(key),
                fingerprint = fingerprint(key),
            ),
        }
    }
}

fn with_lines(known: &KnownHosts, lines: &str) -> KnownHosts {
    let mut known = known.clone();
    known.add(Path::new("KnownHostsCommand"), lines);
    known
}

/// Each connection of each link reads the same files.
fn warn_once(problem: &Problem) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    const MAX_SAID: usize = 256;
    let problem = problem.to_string();
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.contains(&problem) {
        return tracing::debug!("{problem}");
    }
    if said.len() < MAX_SAID {
        said.push(problem.clone());
    }
    tracing::warn!("{problem}");
}

fn unreadable(problem: &dyn Display) -> HostKeyRefusal {
    HostKeyRefusal { kind: HostKeyRefusalKind::Unreadable, message: problem.to_string() }
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
