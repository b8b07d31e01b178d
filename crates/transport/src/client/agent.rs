//! What an SSH agent has to offer (draft-ietf-sshm-ssh-agent).

use std::io;
use std::path::Path;
use std::time::Duration;

use russh_channels::keys::PublicKey;
use russh_channels::keys::agent::client::AgentClient;
use russh_channels::keys::agent::{AgentIdentity, AgentSessionBinding};
use ssh_key::Algorithm;
use ssh_key::public::KeyData;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::identity::{CERTIFICATE, decode_certificate};
use super::prompt::printable;

pub(super) type Agent = AgentClient<UnixStream>;

/// The agent's keys.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) identities: Vec<AgentIdentity>,
    /// Keys of which nothing is understood, with the reason.
    pub(super) skipped: Vec<String>,
}

/// Why an agent is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it does not answer within {} s", LIMIT.as_secs())]
    TimedOut,
    #[error("it refuses to list its keys; it may be locked, see `ssh-add -X`")]
    Refused,
    #[error("its answer is damaged")]
    Damaged,
}

/// What an agent may take to list its keys.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest answer, in bytes; as OpenSSH.
const MAX_ANSWER: u32 = 256 << 10;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// Connects to an agent and asks for its keys.
pub(super) async fn ask_agent(
    socket: &Path,
    binding: Option<&AgentSessionBinding>,
) -> Result<(Agent, Held), AgentError> {
    let asking = async {
        let mut stream = UnixStream::connect(socket).await?;
        if let Some(binding) = binding
            && let Err(error) = AgentClient::connect(&mut stream).bind_session(binding, false).await
        {
            // Only keys with destination constraints need it, and old agents do not know it.
            tracing::debug!(%error, "the agent does not bind keys to the session");
        }
        stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
        let length = stream.read_u32().await?;
        if length > MAX_ANSWER {
            return Err(AgentError::Damaged);
        }
        let mut answer = Vec::new();
        (&mut stream).take(length.into()).read_to_end(&mut answer).await?;
        Ok((AgentClient::connect(stream), read_answer(&answer)?))
    };
    timeout(LIMIT, asking).await.unwrap_or(Err(AgentError::TimedOut))
}

/// Each key by itself: one of a kind that is not known here says nothing about the others.
fn read_answer(answer: &[u8]) -> Result<Held, AgentError> {
    let (kind, mut rest) = answer.split_first().ok_or(AgentError::Damaged)?;
    if *kind != IDENTITIES_ANSWER {
        return Err(AgentError::Refused);
    }
    let (count, after) = rest.split_first_chunk().ok_or(AgentError::Damaged)?;
    rest = after;
    let mut held = Held::default();
    for _ in 0..u32::from_be_bytes(*count) {
        let blob = string(&mut rest).ok_or(AgentError::Damaged)?;
        let comment = string(&mut rest).ok_or(AgentError::Damaged)?;
        let comment = printable(&String::from_utf8_lossy(comment), 200);
        match identity(blob, comment.clone()) {
            Ok(identity) => held.identities.push(identity),
            Err(why) => held.skipped.push(format!("agent key {comment} ({why})")),
        }
    }
    Ok(held)
}

fn identity(mut blob: &[u8], comment: String) -> Result<AgentIdentity, String> {
    let whole = blob;
    let kind = string(&mut blob).map(|kind| printable(&String::from_utf8_lossy(kind), 60));
    let kind = kind.ok_or("it is damaged")?;
    let unknown = || format!("{kind} is not known here");
    if kind.ends_with(CERTIFICATE) {
        let certificate = decode_certificate(whole).ok_or_else(unknown)?;
        return Ok(AgentIdentity::Certificate { certificate, comment });
    }
    match PublicKey::from_bytes(whole) {
        Ok(key) if is_known(key.key_data()) => Ok(AgentIdentity::PublicKey { key, comment }),
        Ok(_) | Err(_) => Err(unknown()),
    }
}

fn is_known(key: &KeyData) -> bool {
    !matches!(key.algorithm(), Algorithm::Other(_) | Algorithm::Dsa)
}

/// An SSH string at the start of `rest`, which is left with what follows it.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

#[cfg(test)]
mod tests;
