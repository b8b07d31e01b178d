//! The accepting side of SSH. It serves tunnels and nothing else.
//!
//! [`Listener::bind`] takes the addresses, [`serve`] answers on them until the [`ServerHandle`] is told to shut down.
//! One thread accepts; each connection then has a thread of its own, on which its channels and devices live. Before that,
//! [`gate`] decides whether it is let in at all. A client that has authenticated may ask for tunnels; the program is
//! then sent a [`DeviceRequest`] and answers with a device.

mod algorithms;
mod authentication;
mod connection;
pub mod gate;
mod handler;
mod host_key;
mod listener;
mod log;
mod options;
mod origin;
mod policy;
mod reception;
mod socket;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh_channels::ChannelId;
use tapline_device::Unit;
use tapline_frame::Mode;
use tapline_frame::records::BundleMember;
use tokio::sync::oneshot;

use crate::tunnel::{ClosedReason, Counters, Dialect, Lease};

pub use host_key::{HostKeyError, create_host_key, load_host_certificate, load_host_key};
pub use listener::{BindError, Listener};
pub use log::{LogBudget, Subject};
pub use options::{
    AcceptedKey, ClientAlive, MaxStartups, NetBlockSize, Options, Penalties, PermitTunnel, RekeyLimit,
};
pub use origin::Source;
pub use reception::{ListenAddresses, ServeError, ServerHandle, Sessions, serve};

/// One SSH connection of a server, for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Who is at the other end of an authenticated session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub session: SessionId,
    /// What people call it: the name under `accept`, else the key's comment, the certificate's identity, or its
    /// fingerprint. Printable.
    pub name: String,
    /// The user name it logged in with; no account of this host. Printable.
    pub user: String,
    pub address: SocketAddr,
    /// Of its public key, `SHA256:...`.
    pub fingerprint: String,
    /// The name under `accept`, if its key has one.
    pub accept: Option<String>,
}

/// A peer may have a tunnel and asks for its device.
///
/// The device is ready for use when the answer comes: bridge, addresses and routes are the program's work. The peer
/// waits meanwhile, and after ten seconds, or when its session ends, nobody waits for `reply` any more; a lease that comes
/// later goes home at once.
#[derive(Debug)]
pub struct DeviceRequest {
    pub peer: Arc<Peer>,
    pub mode: Mode,
    /// Which tun or tap the peer gets, by its own wish and its key's.
    pub unit: Unit,
    /// Whether the key's line of authorized_keys names `unit`. Otherwise the number is the peer's wish alone.
    pub unit_is_named: bool,
    /// The numbers that lines of authorized_keys name, for whatever key.
    pub named_units: BTreeSet<u32>,
    pub dialect: Dialect,
    /// The MTU of the peer's device in bytes, without the Ethernet header, if it says so.
    pub mtu: Option<u32>,
    /// The bundle that the peer wants the tunnel to be of. A program that joins tunnels of one bundle and one peer to one
    /// interface answers with [`Lease::bundled`]; one that does not passes over it.
    pub bundle: Option<BundleMember>,
    /// What the tunnel will have carried.
    pub counters: Arc<Counters>,
    pub reply: oneshot::Sender<Result<Lease, DeviceRefused>>,
}

/// Why the program gives no device. Goes to the log, and to Tapline peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceRefused(pub String);

/// What a server tells the program. Connections that never authenticate appear in the log alone.
#[derive(Debug)]
pub enum Event {
    Authenticated(Arc<Peer>),
    TunnelOpened(OpenedTunnel),
    TunnelClosed {
        peer: Arc<Peer>,
        channel: ChannelId,
        /// The interface.
        device: String,
        reason: TunnelEnd,
    },
    /// The last event of a session. All its devices are home.
    Disconnected {
        peer: Arc<Peer>,
        reason: SessionEnd,
    },
}

/// A tunnel that frames can pass.
#[derive(Debug, Clone)]
pub struct OpenedTunnel {
    pub peer: Arc<Peer>,
    /// Its number within the session.
    pub channel: ChannelId,
    /// The interface.
    pub device: String,
    pub mode: Mode,
    pub dialect: Dialect,
    /// Its place in its bundle, if it has been joined to one.
    pub bundle: Option<BundleMember>,
    pub counters: Arc<Counters>,
}

/// Why a tunnel ended.
#[derive(Debug, thiserror::Error)]
pub enum TunnelEnd {
    #[error(transparent)]
    Closed(#[from] ClosedReason),
    #[error("its SSH session ended")]
    Session,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    #[error("the client closed the connection")]
    Client,
    /// By [`ServerHandle::disconnect`] or [`ServerHandle::shutdown`].
    #[error("{0}")]
    Ordered(String),
    #[error("the client answers no keepalive requests")]
    Unresponsive,
    #[error("no authentication within the login grace time")]
    GraceExceeded,
    /// It has authenticated, and had no tunnel for too long.
    #[error("it had no tunnel for {0:?}{1}")]
    NoTunnel(Duration, LastTunnel),
    #[error(transparent)]
    Ssh(russh_channels::Error),
    #[error("the connection cannot be served: {0}")]
    Start(#[source] io::Error),
    /// The session's task panicked. A bug of ours.
    #[error("the session ended by an internal fault; please report it with the log")]
    Crash,
}

/// Why a session has no tunnel any more, if it had one.
#[derive(Debug, Default)]
pub struct LastTunnel(Option<String>);

impl fmt::Display for LastTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(why) => write!(f, "; of the last one: {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
