//! Devices for the links that this host accepts: each peer's requests go to a task of its own.

mod kept;
mod peer;
mod units;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use russh_channels::ChannelId;
use russh_channels::keys::{HashAlg, PublicKey};
use tapline_config::{Accept, Server};
use tapline_transport::server::{
    BindError, DeviceRefused, DeviceRequest, Event, ListenAddresses, OpenedTunnel, Options, Peer,
    ServerHandle, SessionId, Subject, TunnelEnd,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::network::NetworkHandle;
use super::server::ServerError;
use peer::{House, PeerHandle};

pub(crate) use units::{Reserved, next_free};

/// How long a reload waits for the peers' devices to be changed. They are changed later where it takes longer.
const CHANGE: Duration = Duration::from_secs(3);

/// The running server, and what it needs of this host.
#[derive(Debug)]
pub(crate) struct AcceptingServer {
    orders: mpsc::UnboundedSender<Order>,
    listen: ListenAddresses,
    task: JoinHandle<()>,
}

enum Order {
    Reload {
        options: Box<Options>,
        accept: BTreeMap<String, Accept>,
        reserved: Arc<Reserved>,
        done: oneshot::Sender<Result<(), ServerError>>,
    },
    Stop,
}

/// Passes the server's requests for devices on, and tells of links that come and go. It never waits for a peer.
struct Acceptance {
    house: House,
    server: ServerHandle,
    accept: BTreeMap<String, Accept>,
    reserved: Arc<Reserved>,
    peers: BTreeMap<Account, PeerHandle>,
    /// Links of several connections that are up, by their interfaces.
    up: BTreeMap<String, Up>,
}

/// Whose devices one task has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Account {
    /// By its name under `accept`.
    Accept(String),
    /// By the fingerprint of its key.
    Key(String),
}

/// The connections of one link that are up.
#[derive(Default)]
struct Up {
    tunnels: BTreeMap<u8, (SessionId, ChannelId)>,
    of: u8,
}

impl AcceptingServer {
    /// Starts to accept links on those addresses that can be had; also tells why others cannot.
    pub(crate) fn start(
        config: &Server,
        reserved: Arc<Reserved>,
        network: NetworkHandle,
    ) -> Result<(Self, Vec<BindError>), ServerError> {
        let (requests, device_requests) = mpsc::channel(16);
        let (events, news) = mpsc::unbounded_channel();
        let (server, missing) = super::server::start(config, requests, events)?;
        let listen = server.listen_addresses();
        let (orders, ordered) = mpsc::unbounded_channel();
        let house =
            House { network, sessions: server.sessions().clone(), log: Arc::clone(server.log_budget()) };
        let acceptance = Acceptance {
            house,
            server,
            accept: accepted(config),
            reserved,
            peers: BTreeMap::new(),
            up: BTreeMap::new(),
        };
        let task = tokio::spawn(acceptance.run(device_requests, news, ordered));
        Ok((Self { orders, listen, task }, missing))
    }

    /// As [`ListenAddresses::change_to`].
    pub(crate) async fn listen(&self, config: &Server) -> Vec<BindError> {
        self.listen.change_to(config.listen.clone()).await
    }

    /// Other rules for who may log in and what becomes of it; sessions that are unaffected stay.
    pub(crate) async fn reload(&self, config: &Server, reserved: Arc<Reserved>) -> Result<(), ServerError> {
        let options = Box::new(super::server::options(config)?);
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Reload { options, accept: accepted(config), reserved, done });
        answer.await.unwrap_or(Ok(()))
    }

    /// Ends every session; the devices are gone when this returns.
    pub(crate) async fn stop(self) {
        let _ = self.orders.send(Order::Stop);
        if self.task.await.is_err() {
            warn!("the server ended with a panic");
        }
    }
}

impl Acceptance {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<DeviceRequest>,
        mut news: mpsc::UnboundedReceiver<Event>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        loop {
            tokio::select! {
                Some(request) = requests.recv() => self.pass_on(request),
                Some(event) = news.recv() => self.hear(&event),
                order = orders.recv() => match order {
                    Some(Order::Reload { options, accept, reserved, done }) => {
                        let _ = done.send(self.reload(*options, accept, reserved).await);
                    }
                    Some(Order::Stop) | None => break,
                },
            }
        }
        self.server.shutdown().await;
        for peer in self.peers.into_values() {
            peer.stop().await;
        }
    }

    fn pass_on(&mut self, request: DeviceRequest) {
        self.peers.retain(|_, peer| !peer.has_ended());
        let account = Account::of(&request.peer);
        let accept = match &account {
            Account::Key(_) => None,
            Account::Accept(name) => match self.accept.get(name) {
                Some(accept) if has_key(accept, &request.peer) => Some((name.clone(), accept.clone())),
                _ => {
                    let why = "this key is no longer that of the accepted link".to_owned();
                    let _ = request.reply.send(Err(DeviceRefused(why)));
                    return;
                }
            },
        };
        let start = || PeerHandle::start(self.house.clone(), accept.clone(), Arc::clone(&self.reserved));
        match self.peers.entry(account) {
            Entry::Vacant(free) => drop(free.insert(start()).ask(request)),
            Entry::Occupied(mut peer) => {
                if let Err(request) = peer.get().ask(request) {
                    peer.insert(start());
                    let _ = peer.get().ask(request);
                }
            }
        }
    }

    async fn reload(
        &mut self,
        options: Options,
        accept: BTreeMap<String, Accept>,
        reserved: Arc<Reserved>,
    ) -> Result<(), ServerError> {
        self.server.reload(options)?;
        self.accept = accept;
        self.reserved = reserved;
        let mut changes = Vec::new();
        self.peers.retain(|account, peer| {
            let accept = match account {
                Account::Key(_) => None,
                Account::Accept(name) => match self.accept.get(name) {
                    Some(accept) => Some(Box::new(accept.clone())),
                    None => {
                        peer.order(peer::Order::Forget);
                        return false;
                    }
                },
            };
            let (done, is_done) = oneshot::channel();
            peer.order(peer::Order::Change { accept, reserved: Arc::clone(&self.reserved), done });
            changes.push(is_done);
            true
        });
        let all = async {
            for change in changes {
                let _ = change.await;
            }
        };
        let _ = timeout(CHANGE, all).await;
        Ok(())
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::TunnelOpened(tunnel) => self.tell_opened(tunnel),
            Event::TunnelClosed { peer, channel, device, reason } => {
                self.tell_closed(peer, *channel, device, reason);
                if let Some(devices) = self.peers.get(&Account::of(peer)) {
                    devices.order(peer::Order::Look);
                }
            }
            Event::Authenticated(_) | Event::Disconnected { .. } => {}
        }
    }

    fn may_log(&self, peer: &Peer) -> bool {
        self.house.log.passes(&Subject::Key(peer.fingerprint.clone()))
    }

    /// A link of several connections is up with the first of them.
    fn tell_opened(&mut self, tunnel: &OpenedTunnel) {
        let peer = &tunnel.peer.name;
        let mut connections = None;
        if let Ok(interface) = tunnel.device.parse() {
            self.house.network.peer_speaks(interface, tunnel.dialect);
        }
        if let Some(member) = tunnel.bundle {
            let up = self.up.entry(tunnel.device.clone()).or_default();
            up.tunnels.insert(member.number(), (tunnel.peer.session, tunnel.channel));
            up.of = member.of();
            connections = Some(up.count());
            if up.tunnels.len() > 1 {
                if self.may_log(&tunnel.peer) {
                    info!(peer, device = tunnel.device, connections, "one connection more");
                }
                return;
            }
        }
        if self.may_log(&tunnel.peer) {
            info!(peer, device = tunnel.device, channel = tunnel.dialect.channel_type(), connections, "up");
        }
    }

    fn tell_closed(&mut self, peer: &Peer, channel: ChannelId, device: &str, reason: &TunnelEnd) {
        let closed = (peer.session, channel);
        if let Some(up) = self.up.get_mut(device) {
            let before = up.tunnels.len();
            up.tunnels.retain(|_, tunnel| *tunnel != closed);
            if up.tunnels.len() == before {
                // Another has taken its place already.
                return;
            }
            if !up.tunnels.is_empty() {
                let connections = up.count();
                if self.may_log(peer) {
                    info!(peer = peer.name, device, connections, "one connection less: {reason}");
                }
                return;
            }
            self.up.remove(device);
        }
        if self.may_log(peer) {
            info!(peer = peer.name, device, "down: {reason}");
        }
    }
}

impl Account {
    fn of(peer: &Peer) -> Self {
        match &peer.accept {
            Some(name) => Self::Accept(name.clone()),
            None => Self::Key(peer.fingerprint.clone()),
        }
    }
}

impl Up {
    fn count(&self) -> String {
        format!("{}/{}", self.tunnels.len(), self.of)
    }
}

/// Whether the key with which the peer has logged in is still that of the link.
fn has_key(accept: &Accept, peer: &Peer) -> bool {
    let key = accept.public_key.as_ref().and_then(|key| PublicKey::from_bytes(key.blob()).ok());
    key.is_some_and(|key| key.fingerprint(HashAlg::Sha256).to_string() == peer.fingerprint)
}

fn accepted(config: &Server) -> BTreeMap<String, Accept> {
    config.accept.iter().map(|(name, accept)| (name.to_string(), accept.clone())).collect()
}
