//! Devices for the links that this host accepts: opened, configured, kept for the next session of the same peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapline_config::{Accept, Server};
use tapline_control::InterfaceName;
use tapline_device::{Device, OffloadPolicy, OpenRequest, Unit};
use tapline_transport::server::{DeviceRefused, DeviceRequest, Event, Options, Peer, ServerHandle};
use tapline_transport::tunnel::Lease;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::desired::accepted_device;
use super::network::NetworkHandle;
use super::server::ServerError;

/// A peer that comes back finds its old session closed within this time, or is refused and tries again.
const HANDOVER: Duration = Duration::from_secs(3);

/// The running server, and what it needs of this host.
#[derive(Debug)]
pub(crate) struct AcceptingServer {
    orders: mpsc::UnboundedSender<Order>,
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
}

type Home = mpsc::UnboundedSender<Box<dyn Device>>;

/// The device of a peer that the configuration names. It stays when the session ends, so that addresses, bridge port
/// and MAC address are the same when the peer is back.
struct Known {
    interface: InterfaceName,
    home: Home,
    returned: mpsc::UnboundedReceiver<Box<dyn Device>>,
    /// Who has it now.
    holder: Option<Arc<Peer>>,
}

impl AcceptingServer {
    /// Starts to accept links.
    pub(crate) fn start(config: &Server, network: NetworkHandle) -> Result<Self, ServerError> {
        let (requests, device_requests) = mpsc::channel(16);
        let (events, news) = mpsc::unbounded_channel();
        let server = super::server::start(config, requests, events)?;
        let (orders, ordered) = mpsc::unbounded_channel();
        let acceptance = Acceptance { network, server, accept: accepted(config), known: BTreeMap::new() };
        Ok(Self { orders, task: tokio::spawn(acceptance.run(device_requests, news, ordered)) })
    }

    /// Other rules for who may log in and what becomes of it; sessions that are unaffected stay. The addresses to listen
    /// on must be the same.
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
                }
                Some(event) = news.recv() => tell(&event),
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
            match (self.accept.get(&name), self.known.get(&name)) {
                (Some(new), Some(known)) if *new != old => {
                    if let Err(error) =
                        self.network.configure(known.interface.clone(), accepted_device(new)).await
                    {
                        warn!(peer = name, "its device stays as it was: {error}");
                    }
                }
                (None, Some(known)) => {
                    if let Some(holder) = &known.holder {
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
        let Some((name, accept)) = accepted else {
            // As with sshd: a plain device, left to the administrator's own scripts, gone with the session.
            let device = open(request, request.unit)?;
            info!(
                peer = request.peer.name,
                device = device.name(),
                "a device without configuration; name the peer under `accept` to have it set up"
            );
            return Ok(Lease::new(device, None));
        };
        let (device, home) = match self.take_back(name, request).await? {
            Some(kept) => kept,
            None => self.create(name, &accept, request).await?,
        };
        self.network.settle();
        Ok(Lease::new(device, Some(home)))
    }

    /// The device of an earlier session, if it fits; that session is ended if it still lives.
    async fn take_back(
        &mut self,
        name: &str,
        request: &DeviceRequest,
    ) -> Result<Option<(Box<dyn Device>, Home)>, DeviceRefused> {
        let Some(known) = self.known.get_mut(name) else { return Ok(None) };
        let device = match known.returned.try_recv() {
            Ok(device) => device,
            Err(_) => {
                let holder = known.holder.take();
                if let Some(holder) = holder.filter(|holder| holder.session != request.peer.session) {
                    info!(peer = name, from = %holder.address, "back from another connection; the old one ends");
                    self.server.disconnect(holder.session, "the same key opened another link");
                }
                match timeout(HANDOVER, known.returned.recv()).await {
                    Ok(Some(device)) => device,
                    _ => {
                        return Err(DeviceRefused(format!(
                            "{name} still has its tunnel in this or another session"
                        )));
                    }
                }
            }
        };
        if device.mode() != request.mode {
            self.network.forget(known.interface.clone());
            self.known.remove(name);
            return Ok(None);
        }
        known.holder = Some(request.peer.clone());
        Ok(Some((device, known.home.clone())))
    }

    async fn create(
        &mut self,
        name: &str,
        accept: &Accept,
        request: &DeviceRequest,
    ) -> Result<(Box<dyn Device>, Home), DeviceRefused> {
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
        let device = open(request, unit)?;
        let interface = interface_of(&*device)?;
        self.network
            .configure(interface.clone(), accepted_device(accept))
            .await
            .map_err(|error| DeviceRefused(error.to_string()))?;
        let (home, returned) = mpsc::unbounded_channel();
        let known = Known { interface, home: home.clone(), returned, holder: Some(request.peer.clone()) };
        self.known.insert(name.to_owned(), known);
        Ok((device, home))
    }
}

fn accepted(config: &Server) -> BTreeMap<String, Accept> {
    config.accept.iter().map(|(name, accept)| (name.to_string(), accept.clone())).collect()
}

fn tell(event: &Event) {
    match event {
        Event::TunnelOpened(tunnel) => {
            info!(
                peer = tunnel.peer.name,
                device = tunnel.device,
                channel = tunnel.dialect.channel_type(),
                "up"
            );
        }
        Event::TunnelClosed { peer, device, reason, .. } => info!(peer = peer.name, device, "down: {reason}"),
        Event::Authenticated(_) | Event::Disconnected { .. } => {}
    }
}

fn open(request: &DeviceRequest, unit: Unit) -> Result<Box<dyn Device>, DeviceRefused> {
    let wanted = OpenRequest { mode: request.mode, unit, name: None, offloads: OffloadPolicy::Probe };
    match tapline_device::open(&wanted) {
        Ok(device) => Ok(Box::new(device)),
        Err(error) => Err(DeviceRefused(error.to_string())),
    }
}

fn interface_of(device: &dyn Device) -> Result<InterfaceName, DeviceRefused> {
    device.name().parse().map_err(|error| DeviceRefused(format!("{error}")))
}
