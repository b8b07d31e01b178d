//! The client: from a host's name to an authenticated session that opens tunnels.
//!
//! [`connect`] resolves, connects, verifies the host key and logs in; jump hosts are sessions of their own, one running
//! through the other. Nothing here needs more than the caller's current-thread runtime.

mod agent;
mod algorithms;
mod authenticate;
mod dial;
mod error;
pub mod eyeballs;
mod handler;
mod handshake;
mod host_key;
mod identity;
mod known_hosts_command;
mod options;
mod progress;
mod prompt;
mod proxy_command;
mod secrets;
mod session;
mod signer;
mod underlay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use russh_channels::{ChannelOpenFailure, Error as SshError};
use tokio::sync::mpsc;

use crate::tunnel::Event;
use handshake::log_in;
use proxy_command::Fate;
use underlay::Stream;

pub use algorithms::{AlgorithmKind, Algorithms, HostKeyAlgorithms};
pub use error::{
    Attempt, AuthenticationFailure, ConnectError, HostKeyRefusal, HostKeyRefusalKind, JumpRefusal,
    in_yaml_words,
};
pub use handler::Peer;
pub use known_hosts_command::KnownHostsCommand;
pub use options::{AddressFamily, HANDSHAKE_LIMIT, KeepOutside, Methods, Options, Proxy, RekeyLimit};
pub use progress::Step;
pub use prompt::{NonInteractive, PromptError, Prompter, Terminal};
pub use secrets::Secrets;
pub use session::{Ended, Session};

/// Connects and logs in. `events` tells what becomes of the session's tunnels.
///
/// Cancel safe: an attempt that is dropped ends its connections and processes. Only a question that somebody was just
/// asked stays until it is answered.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    options: &Options,
    prompter: Arc<dyn Prompter>,
    events: mpsc::UnboundedSender<Event>,
) -> Result<Session, ConnectError> {
    let reached = reach(options, &prompter).await?;
    log_in(options, reached, prompter, events).await
}

/// A stream to a host.
struct Reached {
    stream: Stream,
    address: Option<SocketAddr>,
    /// What becomes of the command that it runs through.
    command: Option<Fate>,
    /// The jump host that it runs through.
    below: Option<Box<Session>>,
    /// When the server has to have shown its key.
    deadline: Option<Instant>,
}

/// Boxed, for a jump host may be reached through jump hosts of its own.
fn reach<'a>(
    options: &'a Options,
    prompter: &'a Arc<dyn Prompter>,
) -> BoxFuture<'a, Result<Reached, ConnectError>> {
    Box::pin(async move {
        match &options.proxy {
            Proxy::Direct => directly(options).await,
            Proxy::Command(command) => {
                tracing::debug!("executing the proxy command `{command}`");
                let (stream, fate) = proxy_command::start(command)
                    .map_err(|source| ConnectError::ProxyCommand { command: command.clone(), source })?;
                let deadline = options.deadline();
                let stream = Stream::Command(stream);
                Ok(Reached { stream, address: None, command: Some(fate), below: None, deadline })
            }
            Proxy::Jump(hops) => {
                let mut last: Option<Session> = None;
                for hop in hops {
                    let session = log_in_to_hop(hop, last, prompter).await;
                    last = Some(session.map_err(|source| ConnectError::Jump {
                        host: hop.host.clone(),
                        source: Box::new(source),
                    })?);
                }
                match last {
                    Some(last) => through(last, options).await,
                    None => directly(options).await,
                }
            }
        }
    })
}

async fn log_in_to_hop(
    hop: &Options,
    last: Option<Session>,
    prompter: &Arc<dyn Prompter>,
) -> Result<Session, ConnectError> {
    let reached = match last {
        None => reach(hop, prompter).await?,
        Some(last) => through(last, hop).await?,
    };
    // A hop carries no tunnels, so there are no events to hear of.
    let (events, _) = mpsc::unbounded_channel();
    log_in(hop, reached, Arc::clone(prompter), events).await
}

async fn directly(options: &Options) -> Result<Reached, ConnectError> {
    let deadline = options.deadline();
    let (stream, address) = dial::dial(options, deadline).await?;
    Ok(Reached { stream: Stream::Tcp(stream), address: Some(address), command: None, below: None, deadline })
}

/// Opens a connection on a jump host.
async fn through(hop: Session, options: &Options) -> Result<Reached, ConnectError> {
    let deadline = options.deadline();
    let host = options.host.as_str();
    let opening = hop.connection.handle.channel_open_direct_tcpip(host, options.port.into(), "127.0.0.1", 0);
    let opened = tokio::select! {
        opened = opening => opened,
        () = dial::at(deadline) => {
            let limit = options.connect_timeout.unwrap_or_default();
            return Err(ConnectError::JumpTimeout { host: hop.name.clone(), target: options.server(), limit });
        }
    };
    let channel = opened.map_err(|error| ConnectError::JumpRefused {
        host: hop.name.clone(),
        target: options.server(),
        reason: match error {
            SshError::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                JumpRefusal::Prohibited
            }
            SshError::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => JumpRefusal::ConnectFailed,
            error => JumpRefusal::Other(error.to_string()),
        },
    })?;
    Ok(Reached {
        stream: Stream::Channel(channel.into_stream()),
        address: None,
        command: None,
        below: Some(Box::new(hop)),
        deadline,
    })
}

impl Options {
    /// The host for messages.
    fn server(&self) -> String {
        match self.port {
            22 => self.host.clone(),
            port => format!("{} port {port}", self.host),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.connect_timeout.map(|limit| Instant::now() + limit)
    }
}
