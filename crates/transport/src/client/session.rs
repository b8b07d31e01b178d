use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh_channels::client::{DisconnectReason, Handle};
use russh_channels::{Disconnect, Error};
use tokio::sync::watch;
use tokio::time::timeout;

use super::handler::{ClientHandler, HandlerError, Peer};
use super::prompt::printable;
use super::underlay::Lifeline;
use crate::tunnel::TunnelHandle;

/// An authenticated session, and those of the jump hosts below it. Dropping it ends them all.
///
/// Its work is done by a task on the runtime that connected it.
#[derive(Debug)]
pub struct Session {
    pub(super) name: String,
    pub(super) connection: Connection,
    pub(super) tunnels: TunnelHandle,
    pub(super) peer: Peer,
    pub(super) peer_address: Option<SocketAddr>,
    /// The jump host that this session runs through, and which it must not outlive.
    pub(super) below: Option<Box<Session>>,
}

/// The running session, authenticated or not yet.
pub(super) struct Connection {
    pub(super) handle: Handle<ClientHandler>,
    pub(super) ended: watch::Receiver<Option<Ended>>,
    pub(super) ended_here: AtomicBool,
    /// Dropped after the handle, so that a peer that listens hears a goodbye.
    pub(super) _lifeline: Lifeline,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    #[error("ended on this side")]
    Here,
    #[error("the peer disconnected: {0}")]
    Peer(String),
    #[error("the peer did not answer server-alive messages")]
    Silent,
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    #[error("jump host {host}: {reason}")]
    Jump { host: String, reason: Arc<Ended> },
}

/// How long the peer is given to take our goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the fate of a jump host may take to become known after that of the session that it carried.
const SETTLING: Duration = Duration::from_millis(200);

impl Session {
    /// Opens tunnels.
    pub fn tunnels(&self) -> &TunnelHandle {
        &self.tunnels
    }

    /// The peer's version string, without line end.
    pub fn peer_version(&self) -> &str {
        &self.peer.version
    }

    /// What the handshake agreed on.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The address that TCP connected to; `None` behind a proxy.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer_address
    }

    /// Waits for the end of the session and says why it came. Cancel safe; may be asked again.
    pub async fn closed(&self) -> Ended {
        let reason = self.connection.ended().await;
        if reason == Ended::Here {
            return reason;
        }
        // What broke below is the reason for what broke above.
        let mut deepest = reason;
        let mut hop = self.below.as_deref();
        while let Some(session) = hop {
            let Ok(reason) = timeout(SETTLING, session.connection.ended()).await else { break };
            deepest = Ended::Jump { host: session.name.clone(), reason: Arc::new(reason) };
            hop = session.below.as_deref();
        }
        deepest
    }

    /// Says goodbye and ends the session, and those of its jump hosts. Takes at most two seconds for each.
    pub async fn disconnect(self) {
        let mut session = Some(Box::new(self));
        while let Some(ending) = session {
            ending.connection.say_goodbye().await;
            session = ending.below;
        }
    }
}

impl Connection {
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let reason = match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // The session's task is gone without a word, as when its runtime shuts down.
            Err(_) => None,
        };
        match reason {
            Some(_) | None if self.ended_here.load(Ordering::Relaxed) => Ended::Here,
            Some(reason) => reason,
            None => Ended::Lost("the session's task ended".to_owned()),
        }
    }

    async fn say_goodbye(&self) {
        self.ended_here.store(true, Ordering::Relaxed);
        let goodbye = async {
            if self.handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
                self.ended().await;
            }
        };
        if timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("the peer does not take our goodbye");
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("ended", &*self.ended.borrow()).finish_non_exhaustive()
    }
}

impl From<&DisconnectReason<HandlerError>> for Ended {
    fn from(reason: &DisconnectReason<HandlerError>) -> Self {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => match printable(&info.message, 200).as_str() {
                "" => Self::Peer(format!("{:?}", info.reason_code)),
                message => Self::Peer(message.to_owned()),
            },
            DisconnectReason::Error(HandlerError::HostKey(refusal)) => {
                Self::Protocol(refusal.message.clone())
            }
            DisconnectReason::Error(HandlerError::Ssh(error)) => match error {
                Error::KeepaliveTimeout => Self::Silent,
                Error::NoAuthMethod => Self::Peer("it accepts no further log-in".to_owned()),
                Error::Disconnect | Error::HUP => Self::Lost("the peer closed it".to_owned()),
                Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    Self::Lost("the peer closed it".to_owned())
                }
                Error::IO(error) => Self::Lost(error.to_string()),
                error => Self::Protocol(error.to_string()),
            },
        }
    }
}
