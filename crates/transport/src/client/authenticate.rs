//! Logging in: which methods in which order, until the server is content (RFC 4252).

mod plan;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh_channels::MethodSet;
use russh_channels::client::{AuthResult, KeyboardInteractiveAuthResponse, Prompt};
use russh_channels::keys::{Algorithm, HashAlg};
use zeroize::Zeroizing;

use super::agent::{Agent, ask_agent};
use super::identity::{Candidate, IdentityError, SignerKind, candidates, read_certificate, read_identity};
use super::prompt::{self, PromptError, Prompter, printable};
use super::secrets::Question;
use super::session::Connection;
use super::signer::{CandidateSigner, SignError};
use super::{AuthenticationFailure, ConnectError, Options};
use crate::trust::host_key::fingerprint;
use crate::trust::type_name;
use plan::{Method, Plan};

/// What a server may take for the whole log-in when no person slows it down; as OpenSSH's LoginGraceTime.
const LOGIN_LIMIT: Duration = Duration::from_secs(120);

/// Prompts that one request of the server may have.
const MAX_PROMPTS: usize = 16;

/// Logs in. On return the session may open channels.
pub(super) async fn authenticate(
    connection: &mut Connection,
    options: &Options,
    prompter: &Arc<dyn Prompter>,
    server: &str,
) -> Result<(), ConnectError> {
    let interactive = !options.batch_mode && prompter.is_interactive();
    let login = Login {
        connection,
        options,
        prompter: interactive.then_some(prompter),
        server,
        plan: match &options.preferred_authentications {
            Some(names) => {
                Plan::new(options.methods, interactive, options.number_of_password_prompts).preferring(names)
            }
            None => Plan::new(options.methods, interactive, options.number_of_password_prompts),
        },
        candidates: VecDeque::new(),
        agent: None,
        rsa_hash: None,
        tried: Vec::new(),
        skipped: Vec::new(),
        typed: Vec::new(),
        wrong: false,
    };
    if interactive {
        return login.run().await;
    }
    let limit = LOGIN_LIMIT;
    match tokio::time::timeout(limit, login.run()).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::LoginTimeout { server: server.to_owned(), limit }),
    }
}

struct Login<'a> {
    connection: &'a mut Connection,
    options: &'a Options,
    /// `None`: nobody may be asked.
    prompter: Option<&'a Arc<dyn Prompter>>,
    server: &'a str,
    plan: Plan,
    candidates: VecDeque<Candidate>,
    agent: Option<Agent>,
    /// What RSA keys sign with, once it is known; the inner `None` is nothing that may be used.
    rsa_hash: Option<Option<HashAlg>>,
    tried: Vec<String>,
    skipped: Vec<String>,
    /// Answers that the server has not refused so far.
    typed: Vec<(Question, Zeroizing<String>)>,
    /// The last thing that was typed was wrong.
    wrong: bool,
}

/// What became of one request.
enum Outcome {
    Success,
    Failure {
        accepted: MethodSet,
        partial: bool,
    },
    /// Nothing was asked of the server, or it was not answered.
    Skipped,
    /// A person wants the program to end.
    Interrupted,
}

impl Login<'_> {
    async fn run(mut self) -> Result<(), ConnectError> {
        // Method "none" is how a client learns what there is (RFC 4252 section 5.2).
        let none = self.connection.handle.authenticate_none(&self.options.user).await;
        if self.take(none.map(Outcome::from)).await? {
            return Ok(());
        }
        if self.plan.accepts(Method::PublicKey) {
            self.collect_candidates().await;
        }
        loop {
            let outcome = match self.plan.next(!self.candidates.is_empty()) {
                Some(Method::PublicKey) => self.public_key().await,
                Some(Method::KeyboardInteractive) => self.keyboard_interactive().await,
                Some(Method::Password) => self.password().await,
                None => return Err(self.denied()),
            };
            if self.take(outcome).await? {
                return Ok(());
            }
        }
    }

    /// Returns whether the server is content.
    async fn take(&mut self, outcome: Result<Outcome, russh_channels::Error>) -> Result<bool, ConnectError> {
        match outcome {
            Ok(Outcome::Success) => {
                tracing::debug!(
                    "logged in as {} with {}",
                    self.options.user,
                    self.tried.last().map_or("nothing", String::as_str)
                );
                for (question, answer) in self.typed.drain(..) {
                    self.options.secrets.keep(question, answer);
                }
                return Ok(true);
            }
            Ok(Outcome::Interrupted) => return Err(ConnectError::Interrupted),
            Ok(Outcome::Skipped) if !self.connection.handle.is_closed() => return Ok(false),
            Ok(Outcome::Failure { accepted, partial }) if !accepted.is_empty() => {
                self.plan.failed(&accepted, partial);
                let goes_on = self.plan.accepted().join(",");
                match partial {
                    true => tracing::debug!("the server takes that and wants more: {goes_on}"),
                    false => tracing::debug!("the server goes on with: {goes_on}"),
                }
                return Ok(false);
            }
            // Without methods to go on with the server has refused for good, or the session is over.
            Ok(Outcome::Failure { .. } | Outcome::Skipped) | Err(_) => {}
        }
        let reason = self.connection.ended().await;
        Err(ConnectError::EndedInLogin {
            user: self.options.user.clone(),
            server: self.server.to_owned(),
            reason,
            tried: std::mem::take(&mut self.tried),
        })
    }

    fn denied(self) -> ConnectError {
        ConnectError::PermissionDenied {
            user: self.options.user.clone(),
            server: self.server.to_owned(),
            failure: Box::new(AuthenticationFailure {
                tried: self.tried,
                skipped: self.skipped,
                accepted: self.plan.accepted(),
                partial: self.plan.is_partial(),
            }),
        }
    }

    async fn collect_candidates(&mut self) {
        let mut files = Vec::new();
        for path in &self.options.identity_files {
            match read_identity(path) {
                Ok(identity) => {
                    let kind = type_name(identity.key.key_data());
                    tracing::debug!("identity file {}: {kind}", path.display());
                    files.push(identity);
                }
                Err(error) => self.skip(path, &error),
            }
        }
        let mut certificates = Vec::new();
        for path in &self.options.certificate_files {
            match read_certificate(path) {
                Ok(certificate) => certificates.push((path.clone(), certificate)),
                Err(error) => self.skip(path, &error),
            }
        }
        let mut held = Vec::new();
        if let Some(socket) = &self.options.identity_agent {
            match ask_agent(socket, self.connection.handle.agent_session_binding()).await {
                Ok((agent, found)) => {
                    tracing::debug!("the agent at {} has {} keys", socket.display(), found.identities.len());
                    self.agent = Some(agent);
                    held = found.identities;
                    for why in found.skipped {
                        self.pass_over(why);
                    }
                }
                Err(error) => {
                    self.pass_over(format!("the keys of the agent at {} ({error})", socket.display()))
                }
            }
        }
        let offers = candidates(files, certificates, held, self.options.identities_only);
        for why in offers.skipped {
            self.pass_over(why);
        }
        let mut kept = offers.candidates;
        kept.retain(|candidate| match refusal(candidate, self.options) {
            Some(why) => {
                tracing::debug!("not offered: {} ({why})", candidate.name);
                self.skipped.push(format!("{} ({why})", candidate.name));
                false
            }
            None => true,
        });
        self.candidates = kept.into();
    }

    /// If nothing else helps, the failure says it.
    fn pass_over(&mut self, what: String) {
        tracing::debug!("not offered: {what}");
        self.skipped.push(what);
    }

    fn skip(&mut self, path: &Path, error: &IdentityError) {
        self.pass_over(format!("{} ({error})", path.display()));
    }

    async fn public_key(&mut self) -> Result<Outcome, russh_channels::Error> {
        let Some(candidate) = self.candidates.pop_front() else { return Ok(Outcome::Skipped) };
        if let Err(weak) = candidate.check_strength(self.options.required_rsa_size) {
            self.skipped.push(format!("{} ({weak})", candidate.name));
            return Ok(Outcome::Skipped);
        }
        let hash = match candidate.key.algorithm() {
            Algorithm::Rsa { .. } => {
                match self.rsa_hash().await?.and_then(|best| self.accepted_hash(&candidate, best)) {
                    Some(hash) => Some(hash),
                    None => {
                        self.skipped
                            .push(format!("{} (the server takes RSA with SHA-1 only)", candidate.name));
                        return Ok(Outcome::Skipped);
                    }
                }
            }
            _ => None,
        };
        tracing::debug!(
            "offering {} {} {}",
            candidate.name,
            type_name(candidate.key.key_data()),
            fingerprint(candidate.key.key_data())
        );
        let mut signer = CandidateSigner {
            kind: &candidate.signer,
            agent: self.agent.as_mut(),
            prompter: self.prompter,
            secrets: &self.options.secrets,
        };
        let user = &self.options.user;
        let handle = &mut self.connection.handle;
        let result = match candidate.certificate {
            Some(certificate) => {
                handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await
            }
            None => handle.authenticate_publickey_with(user, candidate.key, hash, &mut signer).await,
        };
        let held = if candidate.signer == SignerKind::Agent && !candidate.name.starts_with("agent") {
            " (agent)"
        } else {
            ""
        };
        match result {
            Ok(result) => {
                self.tried.push(format!("{}{held}", candidate.name));
                Ok(result.into())
            }
            Err(SignError::SessionEnded) => Err(russh_channels::Error::Disconnect),
            Err(SignError::Prompt(PromptError::Interrupted)) => Ok(Outcome::Interrupted),
            Err(error) => {
                self.pass_over(format!("{}{held} ({error})", candidate.name));
                Ok(Outcome::Skipped)
            }
        }
    }

    async fn rsa_hash(&mut self) -> Result<Option<HashAlg>, russh_channels::Error> {
        if let Some(hash) = self.rsa_hash {
            return Ok(hash);
        }
        let hash = match self.connection.handle.best_supported_rsa_hash().await? {
            Some(best) => best,
            // A server that does not say is asked with what every server of the last ten years knows.
            None => Some(HashAlg::Sha512),
        };
        self.rsa_hash = Some(hash);
        Ok(hash)
    }

    /// The best hash, or another one where the options do not allow that for the key.
    fn accepted_hash(&self, candidate: &Candidate, best: HashAlg) -> Option<HashAlg> {
        let takes = |hash: &HashAlg| {
            let algorithm = Algorithm::Rsa { hash: Some(*hash) };
            self.options.algorithms.takes_public_key(&wire_name(candidate, &algorithm))
        };
        [best, HashAlg::Sha512, HashAlg::Sha256].into_iter().find(takes)
    }

    async fn keyboard_interactive(&mut self) -> Result<Outcome, russh_channels::Error> {
        if self.prompter.is_none() {
            return Ok(Outcome::Skipped);
        }
        tracing::debug!("trying keyboard-interactive");
        let devices = self.options.kbd_interactive_devices.clone();
        let (mut answered, mut asked) = (Vec::new(), false);
        let user = &self.options.user;
        let handle = &mut self.connection.handle;
        let mut response = handle.authenticate_keyboard_interactive_start(user, devices).await?;
        loop {
            match response {
                KeyboardInteractiveAuthResponse::Success => {
                    self.tried.push("keyboard-interactive".to_owned());
                    self.typed.append(&mut answered);
                    return Ok(Outcome::Success);
                }
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    self.tried.push("keyboard-interactive".to_owned());
                    self.judge(answered, partial_success || !asked);
                    return Ok(Outcome::Failure { accepted: remaining_methods, partial: partial_success });
                }
                KeyboardInteractiveAuthResponse::InfoRequest { name, instructions, prompts } => {
                    if prompts.len() > MAX_PROMPTS {
                        return Err(russh_channels::Error::Inconsistent);
                    }
                    let Some(answers) = self.answer(&name, &instructions, &prompts, &mut answered).await
                    else {
                        return Ok(Outcome::Interrupted);
                    };
                    asked |= !prompts.is_empty();
                    let handle = &mut self.connection.handle;
                    response = handle.authenticate_keyboard_interactive_respond(answers).await?;
                }
            }
        }
    }

    /// One round of the server's questions. `None`: a person wants the program to end.
    async fn answer(
        &mut self,
        name: &str,
        instructions: &str,
        prompts: &[Prompt],
        answered: &mut Vec<(Question, Zeroizing<String>)>,
    ) -> Option<Vec<String>> {
        let Some(prompter) = self.prompter else { return Some(vec![String::new(); prompts.len()]) };
        // A password is the same the next time; what else servers ask for may be of use once only.
        let question = match prompts {
            [one] if !one.echo && one.prompt.to_lowercase().contains("password") => Some(Question::Prompt {
                user: self.options.user.clone(),
                server: self.server.to_owned(),
                prompt: one.prompt.clone(),
            }),
            _ => None,
        };
        if let Some(question) = &question
            && let Some(kept) = self.options.secrets.get(question)
        {
            let answer = vec![kept.to_string()];
            answered.push((question.clone(), kept));
            return Some(answer);
        }
        if !prompts.is_empty() {
            self.say_if_wrong();
        }
        for text in [name, instructions] {
            if !text.is_empty() {
                prompter.show(&printable(text, 1000));
            }
        }
        let mut answers = Vec::new();
        for prompt in prompts {
            // The server's words: where they come from has to be plain.
            let text = format!(
                "({}@{}) {} ",
                self.options.user,
                self.options.host,
                printable(&prompt.prompt, 200).trim_end()
            );
            match prompt::ask(prompter, text, prompt.echo).await {
                Ok(answer) => {
                    answers.push(answer.to_string());
                    answered.extend(question.clone().map(|question| (question, answer)));
                }
                Err(PromptError::Interrupted) => return None,
                Err(error) => {
                    tracing::debug!(%error, "no answer for keyboard-interactive");
                    self.plan.give_up(Method::KeyboardInteractive);
                    answers.push(String::new());
                }
            }
        }
        Some(answers)
    }

    async fn password(&mut self) -> Result<Outcome, russh_channels::Error> {
        let Some(prompter) = self.prompter else { return Ok(Outcome::Skipped) };
        let known = Question::Password { user: self.options.user.clone(), server: self.server.to_owned() };
        let password = match self.options.secrets.get(&known) {
            Some(kept) => kept,
            None => {
                self.say_if_wrong();
                let question = format!("{}@{}'s password: ", self.options.user, self.options.host);
                match prompt::ask(prompter, question, false).await {
                    Ok(password) => password,
                    Err(PromptError::Interrupted) => return Ok(Outcome::Interrupted),
                    Err(error) => {
                        self.plan.give_up(Method::Password);
                        self.skipped.push(format!("a password ({error})"));
                        return Ok(Outcome::Skipped);
                    }
                }
            }
        };
        tracing::debug!("trying a password");
        self.tried.push("password".to_owned());
        let handle = &mut self.connection.handle;
        let outcome = handle.authenticate_password(&self.options.user, password.as_str()).await?.into();
        let typed = vec![(known, password)];
        match &outcome {
            Outcome::Failure { partial, .. } => self.judge(typed, *partial),
            _ => self.typed.extend(typed),
        }
        Ok(outcome)
    }

    /// The server has refused, or has taken what was typed and wants more: then that is wanted again the next time.
    fn judge(&mut self, typed: Vec<(Question, Zeroizing<String>)>, right: bool) {
        self.wrong = !right;
        match right {
            true => self.typed.extend(typed),
            false => typed.iter().for_each(|(question, _)| self.options.secrets.forget(question)),
        }
    }

    /// As ssh says it, before it asks again.
    fn say_if_wrong(&mut self) {
        if std::mem::take(&mut self.wrong)
            && let Some(prompter) = self.prompter
        {
            prompter.show("Permission denied, please try again.");
        }
    }
}

/// Why the options do not let the key be offered.
fn refusal(candidate: &Candidate, options: &Options) -> Option<String> {
    let algorithm = candidate.key.algorithm();
    let hashes = [HashAlg::Sha512, HashAlg::Sha256];
    let names = match algorithm {
        Algorithm::Rsa { .. } => {
            hashes.map(|hash| wire_name(candidate, &Algorithm::Rsa { hash: Some(hash) })).to_vec()
        }
        algorithm => vec![wire_name(candidate, &algorithm)],
    };
    let taken = names.iter().any(|name| options.algorithms.takes_public_key(name));
    (!taken).then(|| format!("PubkeyAcceptedAlgorithms has no {}", names.join(" or ")))
}

/// What the key goes by on the wire.
fn wire_name(candidate: &Candidate, algorithm: &Algorithm) -> String {
    match candidate.certificate {
        Some(_) => algorithm.to_certificate_type(),
        None => algorithm.to_string(),
    }
}

impl From<AuthResult> for Outcome {
    fn from(result: AuthResult) -> Self {
        match result {
            AuthResult::Success => Self::Success,
            AuthResult::Failure { remaining_methods, partial_success } => {
                Self::Failure { accepted: remaining_methods, partial: partial_success }
            }
        }
    }
}
