//! From a stream to an authenticated session.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use russh_channels::client::{Handle, connect_stream};
use russh_channels::{AlgorithmKind, Error as SshError};
use tokio::sync::{mpsc, oneshot, watch};

use super::handler::{ClientHandler, HandlerError};
use super::host_key::HostKeyCheck;
use super::progress::Greeting;
use super::prompt::{Prompter, printable};
use super::proxy_command::Fate;
use super::session::{Connection, Session};
use super::underlay::{Heard, Underlay};
use super::{ConnectError, HANDSHAKE_LIMIT, Options, Reached, algorithms, authenticate, dial};
use crate::tunnel::{Event, Tunnels};

/// Handshake and authentication over a connection.
pub(super) async fn log_in(
    options: &Options,
    reached: Reached,
    prompter: Arc<dyn Prompter>,
    events: mpsc::UnboundedSender<Event>,
) -> Result<Session, ConnectError> {
    let server = options.server();
    let interactive = !options.batch_mode && prompter.is_interactive();
    options.tell();
    let address = reached.address.map(|address| address.ip());
    let check = HostKeyCheck::read(options, address, interactive).await?;
    let config = Arc::new(algorithms::config(options, check.algorithms(), check.wants_certificates()));
    let (tunnels, handle_of_tunnels) =
        Tunnels::new(reached.stream.path(&options.tuning), &options.tuning, events);
    let (key_shown, key_is_shown) = oneshot::channel();
    let (ended_sender, ended) = watch::channel(None);
    let peer = Arc::new(OnceLock::new());
    let handler = ClientHandler {
        tunnels,
        check,
        prompter: Arc::clone(&prompter),
        key_shown: Some(key_shown),
        peer: Arc::clone(&peer),
        ended: ended_sender,
    };
    let (underlay, lifeline, heard) = Underlay::new(reached.stream);
    let handshake =
        within(options, reached.deadline, key_is_shown, connect_stream(config, underlay, handler));
    let handle = match handshake.await {
        Ok(handle) => handle,
        Err(error) => {
            let error = explain(error, &server, &heard);
            return Err(match reached.command {
                Some(fate) => blame(fate, error).await,
                None => error,
            });
        }
    };
    let mut connection =
        Connection { handle, ended, ended_here: AtomicBool::new(false), _lifeline: lifeline };
    authenticate::authenticate(&mut connection, options, &prompter, &server).await?;
    let Some(peer) = peer.get().cloned() else {
        return Err(ConnectError::Handshake { server, reason: "it was never finished".to_owned() });
    };
    Ok(Session {
        name: server,
        connection,
        tunnels: handle_of_tunnels,
        peer,
        peer_address: reached.address,
        below: reached.below,
    })
}

enum HandshakeError {
    TimedOut(std::time::Duration),
    Failed(HandlerError),
}

/// Waits for the handshake, and only until the server has shown its key: what a person then takes to look at it does not
/// count.
async fn within(
    options: &Options,
    deadline: Option<Instant>,
    mut key_is_shown: oneshot::Receiver<()>,
    handshake: impl Future<Output = Result<Handle<ClientHandler>, HandlerError>>,
) -> Result<Handle<ClientHandler>, HandshakeError> {
    let deadline = deadline.unwrap_or_else(|| Instant::now() + HANDSHAKE_LIMIT);
    let limit = options.connect_timeout.unwrap_or(HANDSHAKE_LIMIT);
    tokio::pin!(handshake);
    tokio::select! {
        done = &mut handshake => return done.map_err(HandshakeError::Failed),
        _ = &mut key_is_shown => {}
        () = dial::at(Some(deadline)) => return Err(HandshakeError::TimedOut(limit)),
    }
    handshake.await.map_err(HandshakeError::Failed)
}

/// What ended early through a command has ended with the command, or because of it: the server may never have been asked.
async fn blame(fate: Fate, error: ConnectError) -> ConnectError {
    if !matches!(error, ConnectError::ClosedEarly { .. } | ConnectError::NotSsh { .. }) {
        return error;
    }
    let command = fate.command().to_owned();
    match fate.known().await {
        (Some(status), words) => ConnectError::ProxyCommandEnded { command, status, words },
        (None, _) => error,
    }
}

fn explain(error: HandshakeError, server: &str, heard: &Heard) -> ConnectError {
    let server = server.to_owned();
    let error = match error {
        // Whoever waits for the rest of a request has often said who it is.
        HandshakeError::TimedOut(limit) => {
            let progress = heard.progress();
            return match progress.greeting() {
                Greeting::Other(said) => ConnectError::NotSsh { server, said },
                _ => ConnectError::HandshakeTimeout { server, limit, step: progress.step() },
            };
        }
        HandshakeError::Failed(HandlerError::HostKey(refusal)) => return refusal.into(),
        HandshakeError::Failed(HandlerError::Ssh(error)) => error,
    };
    match (heard.progress().greeting(), error) {
        (Greeting::Ssh2, SshError::NoCommonAlgo { kind, theirs, .. }) => ConnectError::NoCommonAlgorithm {
            server,
            kind: match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            },
            theirs: printable(&theirs.join(","), 300),
        },
        (Greeting::Nothing, SshError::Disconnect | SshError::HUP | SshError::IO(_)) => {
            ConnectError::ClosedEarly { server }
        }
        (Greeting::Ssh2, SshError::Disconnect | SshError::HUP | SshError::IO(_)) => {
            ConnectError::ClosedEarly { server }
        }
        (Greeting::Old(version), _) => ConnectError::OldProtocol { server, version },
        (Greeting::TurnedAway(said), _) => ConnectError::TurnedAway { server, said },
        (Greeting::Other(said), _) => ConnectError::NotSsh { server, said },
        (Greeting::Nothing | Greeting::Ssh2, error) => {
            ConnectError::Handshake { server, reason: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests;
