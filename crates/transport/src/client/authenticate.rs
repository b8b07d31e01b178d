//! Logging in: which methods in which order, until the server is content (RFC 4252).

mod plan;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh_channels::MethodSet;
use russh_channels::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh_channels::keys::{Algorithm, HashAlg};
use zeroize::Zeroizing;

use super::identity::{Candidate, IdentityError, SignerKind, candidates, read_certificate, read_identity};
use super::prompt::{self, Prompter, printable};
use super::session::Connection;
use super::signer::{Agent, CandidateSigner, SignError, ask_agent};
use super::{AuthenticationFailure, ConnectError, Options};
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
        plan: Plan::new(options.methods, interactive),
        candidates: VecDeque::new(),
        agent: None,
        rsa_hash: None,
        tried: Vec::new(),
        skipped: Vec::new(),
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
            Ok(Outcome::Success) => return Ok(true),
            Ok(Outcome::Skipped) if !self.connection.handle.is_closed() => return Ok(false),
            Ok(Outcome::Failure { accepted, partial }) if !accepted.is_empty() => {
                self.plan.failed(&accepted, partial);
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
                Ok(identity) => files.push(identity),
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
                Ok((agent, identities)) => {
                    self.agent = Some(agent);
                    held = identities;
                }
                Err(error) => {
                    tracing::warn!("the agent at {} is not used: {error}", socket.display());
                    self.skipped.push(format!("the agent's keys ({error})"));
                }
            }
        }
        self.candidates = candidates(files, certificates, held, self.options.identities_only).into();
    }

    fn skip(&mut self, path: &Path, error: &IdentityError) {
        // The default files need not exist, and their absence is news only if nothing else helps.
        match error {
            IdentityError::Missing => tracing::debug!("{}: {error}", path.display()),
            error => tracing::warn!("the key {} is not used: {error}", path.display()),
        }
        self.skipped.push(format!("{} ({error})", path.display()));
    }

    async fn public_key(&mut self) -> Result<Outcome, russh_channels::Error> {
        let Some(candidate) = self.candidates.pop_front() else { return Ok(Outcome::Skipped) };
        if let Err(weak) = candidate.check_strength(self.options.required_rsa_size) {
            self.skipped.push(format!("{} ({weak})", candidate.name));
            return Ok(Outcome::Skipped);
        }
        let hash = match candidate.key.algorithm() {
            Algorithm::Rsa { .. } => match self.rsa_hash().await? {
                Some(hash) => Some(hash),
                None => {
                    self.skipped.push(format!("{} (the server takes RSA with SHA-1 only)", candidate.name));
                    return Ok(Outcome::Skipped);
                }
            },
            _ => None,
        };
        let mut signer =
            CandidateSigner { kind: &candidate.signer, agent: self.agent.as_mut(), prompter: self.prompter };
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
            Err(error) => {
                tracing::warn!("the key {} is not used: {error}", candidate.name);
                self.skipped.push(format!("{}{held} ({error})", candidate.name));
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

    async fn keyboard_interactive(&mut self) -> Result<Outcome, russh_channels::Error> {
        let Some(prompter) = self.prompter else { return Ok(Outcome::Skipped) };
        let handle = &mut self.connection.handle;
        let mut response =
            handle.authenticate_keyboard_interactive_start(&self.options.user, None::<String>).await?;
        loop {
            match response {
                KeyboardInteractiveAuthResponse::Success => return Ok(Outcome::Success),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    self.tried.push("keyboard-interactive".to_owned());
                    return Ok(Outcome::Failure { accepted: remaining_methods, partial: partial_success });
                }
                KeyboardInteractiveAuthResponse::InfoRequest { name, instructions, prompts } => {
                    if prompts.len() > MAX_PROMPTS {
                        return Err(russh_channels::Error::Inconsistent);
                    }
                    for text in [&name, &instructions] {
                        if !text.is_empty() {
                            prompter.show(&printable(text, 1000));
                        }
                    }
                    let mut answers = Vec::new();
                    for question in prompts {
                        // The server's words: where they come from has to be plain.
                        let text = format!(
                            "({}@{}) {} ",
                            self.options.user,
                            self.options.host,
                            printable(&question.prompt, 200).trim_end()
                        );
                        match prompt::ask(prompter, text, question.echo).await {
                            Ok(answer) => answers.push(answer.to_string()),
                            Err(error) => {
                                tracing::debug!(%error, "no answer for keyboard-interactive");
                                self.plan.give_up(Method::KeyboardInteractive);
                                answers.push(String::new());
                            }
                        }
                    }
                    response = handle.authenticate_keyboard_interactive_respond(answers).await?;
                }
            }
        }
    }

    async fn password(&mut self) -> Result<Outcome, russh_channels::Error> {
        let Some(prompter) = self.prompter else { return Ok(Outcome::Skipped) };
        let question = format!("{}@{}'s password: ", self.options.user, self.options.host);
        let password: Zeroizing<String> = match prompt::ask(prompter, question, false).await {
            Ok(password) => password,
            Err(error) => {
                self.plan.give_up(Method::Password);
                self.skipped.push(format!("a password ({error})"));
                return Ok(Outcome::Skipped);
            }
        };
        self.tried.push("password".to_owned());
        let handle = &mut self.connection.handle;
        Ok(handle.authenticate_password(&self.options.user, password.as_str()).await?.into())
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
