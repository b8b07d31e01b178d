//! Devices for the links that this host accepts: opened, configured, kept for the next session of the same peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tapline_config::{Accept, Server};
use tapline_control::InterfaceName;
use tapline_device::{Device, OffloadPolicy, OpenRequest, Unit};
use tapline_transport::server::{DeviceRefused, DeviceRequest, Event, Peer, ServerHandle};
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
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Answers the server's requests for devices, one after the other.
struct Acceptance {
    network: NetworkHandle,
    server: ServerHandle,
    accept: HashMap<String, Accept>,
    known: HashMap<String, Known>,
}

type Home = mpsc::UnboundedSender<Box<dyn Device>>;

/// The device of a peer that the configuration names. It stays when the session ends, so that addresses, bridge port
/// and MAC address are the same when the peer is back.
struct Known {
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
        let accept = config.accept.iter().map(|(name, accept)| (name.to_string(), accept.clone())).collect();
        let (stop, stopped) = oneshot::channel();
        let acceptance = Acceptance { network, server, accept, known: HashMap::new() };
        Ok(Self { stop, task: tokio::spawn(acceptance.run(device_requests, news, stopped)) })
    }

    /// Ends every session; the devices are gone when this returns.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
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
        mut stopped: oneshot::Receiver<()>,
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
                _ = &mut stopped => break,
            }
        }
        self.server.shutdown().await;
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
            self.network.forget(interface_of(&*device)?);
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
            .configure(interface, accepted_device(accept))
            .await
            .map_err(|error| DeviceRefused(error.to_string()))?;
        let (home, returned) = mpsc::unbounded_channel();
        let known = Known { home: home.clone(), returned, holder: Some(request.peer.clone()) };
        self.known.insert(name.to_owned(), known);
        Ok((device, home))
    }
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
