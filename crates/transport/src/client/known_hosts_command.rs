//! `KnownHostsCommand`: a program that says which host has which key.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::prompt::printable;
use crate::trust::host_key::fingerprint;

/// A command that prints lines as in a known hosts file. It is run without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHostsCommand {
    /// The program, with its whole path, and its arguments; tokens are not expanded yet.
    pub words: Vec<String>,
    /// What tokens stand for, without those that are about the key (`%f`, `%H`, `%I`, `%K`, `%t`) and `%%`.
    pub tokens: BTreeMap<char, String>,
}

/// What the lines are asked for; the word of `%I`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// To know which kinds of keys to ask for.
    Order,
    /// To compare them with this key.
    HostName(&'a KeyData),
}

/// Why there are no lines.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("it is empty")]
    Empty,
    #[error("`{0}` is not a whole path; write it from the root on")]
    Path(String),
    #[error("%{0} means nothing there")]
    Token(char),
    #[error("it cannot be run: {0}")]
    Io(#[from] io::Error),
    #[error("it failed ({status}){}", said(.words))]
    Failed { status: ExitStatus, words: String },
    #[error("it took longer than {} s", LIMIT.as_secs())]
    TimedOut,
    #[error("it printed more than {MAX_OUTPUT} bytes")]
    Size,
}

/// What it may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The longest output, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// Its standard error goes into a message, in bytes.
const MAX_WORDS: u64 = 1024;

impl KnownHostsCommand {
    /// The command for messages.
    pub(super) fn name(&self) -> String {
        printable(&self.words.join(" "), 200)
    }

    /// Runs it; `host` is the name that is looked up. Cancel safe: the program is killed.
    pub(super) async fn run(&self, purpose: Purpose<'_>, host: &str) -> Result<String, CommandError> {
        let words = self.expand(purpose, host)?;
        let (program, arguments) = words.split_first().ok_or(CommandError::Empty)?;
        if !Path::new(program).is_absolute() {
            return Err(CommandError::Path(printable(program, 100)));
        }
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("it has no standard output").into());
        };
        let (mut lines, mut words) = (Vec::new(), Vec::new());
        let reading = async {
            let output = async {
                stdout.take(MAX_OUTPUT + 1).read_to_end(&mut lines).await?;
                if lines.len() as u64 > MAX_OUTPUT { Err(CommandError::Size) } else { Ok(()) }
            };
            let errors = async {
                (&mut stderr).take(MAX_WORDS).read_to_end(&mut words).await?;
                // A program that says more must not be held up by that.
                tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
                Ok(())
            };
            tokio::try_join!(output, errors)?;
            Ok::<_, CommandError>(child.wait().await?)
        };
        let status = tokio::time::timeout(LIMIT, reading).await.map_err(|_| CommandError::TimedOut)??;
        match status.success() {
            true => Ok(String::from_utf8_lossy(&lines).into_owned()),
            false => Err(CommandError::Failed {
                status,
                words: printable(String::from_utf8_lossy(&words).trim(), 200),
            }),
        }
    }

    fn expand(&self, purpose: Purpose<'_>, host: &str) -> Result<Vec<String>, CommandError> {
        let key = match purpose {
            Purpose::Order => None,
            Purpose::HostName(key) => Some(key),
        };
        let of_key = |value: &dyn Fn(&KeyData) -> String| key.map_or_else(|| "NONE".to_owned(), value);
        let value = |token: char| match token {
            '%' => Ok("%".to_owned()),
            'H' => Ok(host.to_owned()),
            'I' => Ok(match purpose {
                Purpose::Order => "ORDER".to_owned(),
                Purpose::HostName(_) => "HOSTNAME".to_owned(),
            }),
            'f' => Ok(of_key(&fingerprint)),
            't' => Ok(of_key(&|key| key.algorithm().as_str().to_owned())),
            'K' => Ok(of_key(&|key| {
                PublicKey::from(key.clone()).to_bytes().map(|blob| STANDARD.encode(blob)).unwrap_or_default()
            })),
            token => self.tokens.get(&token).cloned().ok_or(CommandError::Token(token)),
        };
        let expand_one = |word: &String| {
            let mut expanded = String::new();
            let mut rest = word.chars();
            while let Some(c) = rest.next() {
                match c {
                    '%' => expanded.push_str(&value(rest.next().unwrap_or(' '))?),
                    c => expanded.push(c),
                }
            }
            Ok(expanded)
        };
        self.words.iter().map(expand_one).collect()
    }
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

#[cfg(test)]
mod tests;
