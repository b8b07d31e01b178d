//! Devices for the links that this host accepts: opened, configured, kept for the next session of the same peer.

mod kept;

use std::collections::BTreeMap;
use std::time::Duration;

use russh_channels::ChannelId;
use tapline_config::{Accept, Server};
use tapline_control::InterfaceName;
use tapline_device::Unit;
use tapline_transport::server::{
    BindError, DeviceRefused, DeviceRequest, Event, ListenAddresses, OpenedTunnel, Options, Peer,
    ServerHandle, SessionId, TunnelEnd,
};
use tapline_transport::tunnel::Lease;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::desired::accepted_device;
use super::network::NetworkHandle;
use super::server::ServerError;
use kept::Kept;

/// A peer that comes back finds its old session closed within this time, or is refused and tries again.
const HANDOVER: Duration = Duration::from_secs(3);

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
        done: oneshot::Sender<Result<(), ServerError>>,
    },
    Stop,
}

/// Answers the server's requests for devices, one after the other.
struct Acceptance {
    network: NetworkHandle,
    server: ServerHandle,
    accept: BTreeMap<String, Accept>,
    known: BTreeMap<String, Known>,
    /// Links of several connections whose peers the configuration does not name. Each goes with its last connection.
    unnamed: Vec<Kept>,
    /// Links of several connections that are up, by their interfaces.
    up: BTreeMap<String, Up>,
}

/// The connections of one link that are up.
#[derive(Default)]
struct Up {
    tunnels: BTreeMap<u8, (SessionId, ChannelId)>,
    of: u8,
}

/// The device of a peer that the configuration names. It stays when the session ends, so that addresses, bridge port
/// and MAC address are the same when the peer is back.
struct Known {
    interface: InterfaceName,
    kept: Kept,
}

impl AcceptingServer {
    /// Starts to accept links on those addresses that can be had; also tells why others cannot.
    pub(crate) fn start(
        config: &Server,
        network: NetworkHandle,
    ) -> Result<(Self, Vec<BindError>), ServerError> {
        let (requests, device_requests) = mpsc::channel(16);
        let (events, news) = mpsc::unbounded_channel();
        let (server, missing) = super::server::start(config, requests, events)?;
        let listen = server.listen_addresses();
        let (orders, ordered) = mpsc::unbounded_channel();
        let acceptance = Acceptance {
            network,
            server,
            accept: accepted(config),
            known: BTreeMap::new(),
            unnamed: Vec::new(),
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
    pub(crate) async fn reload(&self, config: &Server) -> Result<(), ServerError> {
        let options = Box::new(super::server::options(config)?);
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Reload { options, accept: accepted(config), done });
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
                Some(request) = requests.recv() => {
                    let lease = self.lease(&request).await;
                    if let Err(refused) = &lease {
                        warn!(peer = request.peer.name, "no device: {refused}");
                    }
                    // A session that has ended meanwhile sends the device home by dropping the lease.
                    let _ = request.reply.send(lease);
                    self.forget_unused();
                }
                Some(event) = news.recv() => self.hear(&event),
                order = orders.recv() => match order {
                    Some(Order::Reload { options, accept, done }) => {
                        let _ = done.send(self.reload(*options, accept).await);
                    }
                    Some(Order::Stop) | None => break,
                },
            }
        }
        self.server.shutdown().await;
    }

    async fn reload(
        &mut self,
        options: Options,
        accept: BTreeMap<String, Accept>,
    ) -> Result<(), ServerError> {
        self.server.reload(options)?;
        let before = std::mem::replace(&mut self.accept, accept);
        for (name, old) in before {
            match (self.accept.get(&name), self.known.get_mut(&name)) {
                (Some(new), Some(known)) if *new != old => {
                    if let Err(error) =
                        self.network.configure(known.interface.clone(), accepted_device(new)).await
                    {
                        warn!(peer = name, "its device stays as it was: {error}");
                    }
                }
                (None, Some(known)) => {
                    for holder in known.kept.holders() {
                        self.server.disconnect(holder.session, "no longer accepted");
                    }
                    self.network.forget(known.interface.clone());
                    self.known.remove(&name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn lease(&mut self, request: &DeviceRequest) -> Result<Lease, DeviceRefused> {
        let accepted =
            request.peer.accept.as_ref().and_then(|name| Some((name, self.accept.get(name)?.clone())));
        let Some((name, accept)) = accepted else { return self.lease_to_unnamed(request) };
        let again = self.lease_again(name, request).await?;
        let lease = match again {
            Some(lease) => lease,
            None => self.create(name, &accept, request).await?,
        };
        self.network.settle();
        Ok(lease)
    }

    /// As with sshd: a plain device, left to the administrator's own scripts, gone with the session.
    fn lease_to_unnamed(&mut self, request: &DeviceRequest) -> Result<Lease, DeviceRefused> {
        let joined = |kept: &&mut Kept| kept.is_there() && kept.is_joined_by(request);
        if let Some(kept) = self.unnamed.iter_mut().find(joined) {
            return lend(&self.server, kept, request);
        }
        let mut kept = Kept::open(request, request.unit, None)?;
        info!(
            peer = request.peer.name,
            device = kept.name(),
            "a device without configuration; name the peer under `accept` to have it set up"
        );
        if request.bundle.is_none() {
            return kept.give_away();
        }
        let lease = lend(&self.server, &mut kept, request);
        self.unnamed.push(kept);
        lease
    }

    /// The device that the peer had before, if it fits: to one more connection of its link, or to its only one, for which
    /// those of before are ended if they still live.
    async fn lease_again(
        &mut self,
        name: &str,
        request: &DeviceRequest,
    ) -> Result<Option<Lease>, DeviceRefused> {
        if self.known.get(name).is_some_and(|known| !known.kept.is_there()) {
            info!(peer = name, "its device was deleted; it is made anew");
            self.forget(name);
        }
        let Some(known) = self.known.get_mut(name) else { return Ok(None) };
        if !known.kept.is_joined_by(request) {
            if !known.kept.is_home() {
                for holder in known.kept.holders().filter(|holder| holder.session != request.peer.session) {
                    info!(peer = name, from = %holder.address, "back from another connection; the old one ends");
                    self.server.disconnect(holder.session, "the same key opened another link");
                }
                if timeout(HANDOVER, known.kept.comes_home()).await.is_err() {
                    return Err(DeviceRefused(format!(
                        "{name} still has its tunnel in this or another session"
                    )));
                }
            }
            if !known.kept.fits(request) {
                self.forget(name);
                return Ok(None);
            }
            known.kept.begin_anew(request);
        }
        lend(&self.server, &mut known.kept, request).map(Some)
    }

    async fn create(
        &mut self,
        name: &str,
        accept: &Accept,
        request: &DeviceRequest,
    ) -> Result<Lease, DeviceRefused> {
        let unit = match accept.tunnel_device {
            tapline_config::Unit::Any => request.unit,
            tapline_config::Unit::Number(number) => match request.unit {
                Unit::Any => Unit::Number(number),
                Unit::Number(wanted) if wanted == number => Unit::Number(number),
                Unit::Number(wanted) => {
                    return Err(DeviceRefused(format!(
                        "{name} has tunnel-device {number} here and asks for {wanted}"
                    )));
                }
            },
        };
        let set_name = accept.set_name.as_ref().map(|name| name.as_str());
        if let (Some(own), Unit::Number(wanted)) = (set_name, request.unit) {
            let refused =
                format!("{name}'s device is {own} here, and it asks for number {wanted}; ask for any");
            return Err(DeviceRefused(refused));
        }
        let mut kept = Kept::open(request, unit, set_name)?;
        let interface: InterfaceName =
            kept.name().parse().map_err(|error| DeviceRefused(format!("{error}")))?;
        self.network
            .configure(interface.clone(), accepted_device(accept))
            .await
            .map_err(|error| DeviceRefused(error.to_string()))?;
        let lease = lend(&self.server, &mut kept, request);
        self.known.insert(name.to_owned(), Known { interface, kept });
        lease
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::TunnelOpened(tunnel) => self.tell_opened(tunnel),
            Event::TunnelClosed { peer, channel, device, reason } => {
                self.tell_closed(peer, *channel, device, reason);
            }
            Event::Authenticated(_) | Event::Disconnected { .. } => {}
        }
        self.forget_unused();
    }

    /// A link of several connections is up with the first of them.
    fn tell_opened(&mut self, tunnel: &OpenedTunnel) {
        let peer = &tunnel.peer.name;
        let mut connections = None;
        if let Some(member) = tunnel.bundle {
            let up = self.up.entry(tunnel.device.clone()).or_default();
            up.tunnels.insert(member.number(), (tunnel.peer.session, tunnel.channel));
            up.of = member.of();
            connections = Some(up.count());
            if up.tunnels.len() > 1 {
                info!(peer, device = tunnel.device, connections, "one connection more");
                return;
            }
        }
        info!(peer, device = tunnel.device, channel = tunnel.dialect.channel_type(), connections, "up");
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
                info!(peer = peer.name, device, connections, "one connection less: {reason}");
                return;
            }
            self.up.remove(device);
        }
        info!(peer = peer.name, device, "down: {reason}");
    }

    fn forget(&mut self, name: &str) {
        if let Some(known) = self.known.remove(name) {
            self.network.forget(known.interface);
        }
    }

    fn forget_unused(&mut self) {
        self.unnamed.retain_mut(|kept| !kept.is_home());
    }
}

impl Up {
    fn count(&self) -> String {
        format!("{}/{}", self.tunnels.len(), self.of)
    }
}

/// Lends a device, and ends the session whose place the peer has now taken, as when that one is dead and does not know.
fn lend(server: &ServerHandle, kept: &mut Kept, request: &DeviceRequest) -> Result<Lease, DeviceRefused> {
    let (lease, before) = kept.lend(request)?;
    if let Some(before) = before {
        server.disconnect(before.session, "the same connection was opened again");
    }
    Ok(lease)
}

fn accepted(config: &Server) -> BTreeMap<String, Accept> {
    config.accept.iter().map(|(name, accept)| (name.to_string(), accept.clone())).collect()
}
