//! The devices of one peer, in a task of its own: what one peer does makes no other wait.

use std::sync::Arc;
use std::time::Duration;

use tapline_config::Accept;
use tapline_control::InterfaceName;
use tapline_device::Unit;
use tapline_transport::server::{DeviceRefused, DeviceRequest, LogBudget, Peer, Sessions, Subject};
use tapline_transport::tunnel::Lease;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::kept::Kept;
use super::units::{Asked, Grant, Reserved};
use crate::daemon::desired::accepted_device;
use crate::daemon::network::NetworkHandle;

/// How long the devices of a session that was cut off may take to come home.
const HANDOVER: Duration = Duration::from_secs(3);

/// Requests of one peer that wait. A link asks for up to 16 devices at once.
const MAX_WAITING: usize = 32;

/// A peer without devices of which nothing is heard for so long needs no task.
const IDLE: Duration = Duration::from_secs(5);

/// A running [`PeerDevices`].
pub(super) struct PeerHandle {
    requests: mpsc::Sender<DeviceRequest>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

pub(super) enum Order {
    /// The configuration says this of it now; `None` where it says nothing.
    Change { accept: Option<Box<Accept>>, reserved: Arc<Reserved>, done: oneshot::Sender<()> },
    /// A tunnel has ended.
    Look,
    /// It is no longer accepted.
    Forget,
}

/// What every peer's task needs.
#[derive(Clone)]
pub(super) struct House {
    pub(super) network: NetworkHandle,
    pub(super) sessions: Sessions,
    pub(super) log: Arc<LogBudget>,
}

struct PeerDevices {
    house: House,
    /// The name under `accept` and what stands there.
    accept: Option<(String, Accept)>,
    reserved: Arc<Reserved>,
    /// Of a peer that the configuration names one at most, which stays when the session ends, so that addresses, bridge port
    /// and MAC address are the same when the peer is back. Of others those with several connections or with a number, each
    /// of which goes with its last connection.
    kept: Vec<Kept>,
}

impl PeerHandle {
    pub(super) fn start(house: House, accept: Option<(String, Accept)>, reserved: Arc<Reserved>) -> Self {
        let (requests, requested) = mpsc::channel(MAX_WAITING);
        let (orders, ordered) = mpsc::unbounded_channel();
        let devices = PeerDevices { house, accept, reserved, kept: Vec::new() };
        Self { requests, orders, task: tokio::spawn(devices.run(requested, ordered)) }
    }

    /// Passes a request on. It comes back when the task has ended meanwhile.
    pub(super) fn ask(&self, request: DeviceRequest) -> Result<(), DeviceRequest> {
        match self.requests.try_send(request) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(request)) => {
                let why = "too many requests of this peer wait already; try again".to_owned();
                let _ = request.reply.send(Err(DeviceRefused(why)));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(request)) => Err(request),
        }
    }

    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Its devices are gone when this returns.
    pub(super) async fn stop(self) {
        drop((self.requests, self.orders));
        if self.task.await.is_err() {
            warn!("the devices of a peer ended with a panic");
        }
    }
}

impl PeerDevices {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<DeviceRequest>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Change { accept, reserved, done }) => {
                        self.change(accept.map(|accept| *accept), reserved).await;
                        let _ = done.send(());
                    }
                    Some(Order::Look) => {}
                    Some(Order::Forget) => {
                        self.forget_all("no longer accepted");
                        return;
                    }
                    None => return,
                },
                Some(request) = requests.recv() => self.answer(request).await,
                () = sleep(IDLE), if self.accept.is_none() => {}
            }
            self.forget_unused();
            if self.accept.is_none() && self.kept.is_empty() && requests.is_empty() {
                // Requests that come from here on come back to their sender.
                requests.close();
                while let Some(request) = requests.recv().await {
                    self.answer(request).await;
                }
                if self.kept.is_empty() {
                    return;
                }
            }
        }
    }

    async fn answer(&mut self, mut request: DeviceRequest) {
        let mut reply = std::mem::replace(&mut request.reply, oneshot::channel().0);
        if reply.is_closed() {
            return;
        }
        let lease = self.lease(&request, &mut reply).await;
        if reply.is_closed() {
            return;
        }
        if let Err(refused) = &lease
            && self.house.log.passes(&Subject::Key(request.peer.fingerprint.clone()))
        {
            warn!(peer = request.peer.name, "no device: {refused}");
        }
        // A session that has ended meanwhile sends the device home by dropping the lease.
        let _ = reply.send(lease);
    }

    /// `reply` tells whether anybody still waits.
    async fn lease(&mut self, request: &DeviceRequest, reply: &mut Reply) -> Result<Lease, DeviceRefused> {
        self.forget_deleted();
        let accept = self.accept.as_ref().map(|(name, accept)| (name.as_str(), accept));
        let grant = Grant::decide(accept, Asked::by(request), &self.reserved)?;
        let joined = self.kept.iter().position(|kept| kept.is_joined_by(request) && kept.meets(&grant));
        if let Some(at) = joined {
            return self.lend(at, request);
        }
        let in_the_way = match &self.accept {
            Some(_) => (!self.kept.is_empty()).then_some(0),
            None => self.kept.iter().position(|kept| {
                kept.mode() == request.mode && grant.number().is_some_and(|unit| kept.unit() == Some(unit))
            }),
        };
        if let Some(at) = in_the_way {
            return self.lease_instead(at, &grant, request, reply).await;
        }
        let kept = Kept::open(request, &grant, &self.reserved)?;
        self.set_up_and_lend(kept, &grant, request).await
    }

    /// Gives the peer what one of its devices is, or another in its place, for which its older link ends if it is dead.
    async fn lease_instead(
        &mut self,
        at: usize,
        grant: &Grant,
        request: &DeviceRequest,
        reply: &mut Reply,
    ) -> Result<Lease, DeviceRefused> {
        let Some(kept) = self.kept.get(at) else { return Err(DeviceRefused("try again".to_owned())) };
        let is_met = kept.meets(grant);
        let stays = is_met
            && kept.fits(request)
            && !kept.unit().is_some_and(|unit| self.is_of_another(request, unit))
            && self.accept.is_some();
        // What can fail is tried before anything is taken away.
        let other = match is_met {
            true => None,
            false => Some(Kept::open(request, grant, &self.reserved)?),
        };
        self.hand_over(at, request, reply).await?;
        if stays {
            if let Some(kept) = self.kept.get_mut(at) {
                kept.begin_anew(request);
                // The peer may have come another way.
                let (interface, peer) = (interface(kept)?, [request.peer.address.ip()].into());
                self.house.network.keep_outside(interface, peer).await;
            }
            return self.lend(at, request);
        }
        self.forget(at);
        let kept = match other {
            Some(kept) => kept,
            None => Kept::open(request, grant, &self.reserved)?,
        };
        self.set_up_and_lend(kept, grant, request).await
    }

    fn is_of_another(&self, request: &DeviceRequest, unit: u32) -> bool {
        let name = self.accept.as_ref().map(|(name, _)| name.as_str());
        self.reserved.is_of_another(request.mode, unit, name)
            || (!request.unit_is_named && request.named_units.contains(&unit))
    }

    async fn set_up_and_lend(
        &mut self,
        kept: Kept,
        grant: &Grant,
        request: &DeviceRequest,
    ) -> Result<Lease, DeviceRefused> {
        let Some((_, accept)) = &self.accept else {
            if self.house.log.passes(&Subject::Key(request.peer.fingerprint.clone())) {
                info!(
                    peer = request.peer.name,
                    device = kept.name(),
                    "a device without configuration; name the peer under `accept` to have it set up"
                );
            }
            // As with sshd: a plain device, left to the administrator's own scripts.
            if request.bundle.is_none() && grant.number().is_none() {
                return kept.give_away();
            }
            self.kept.push(kept);
            return self.lend(self.kept.len() - 1, request);
        };
        self.house.network.keep_outside(interface(&kept)?, [request.peer.address.ip()].into()).await;
        let configured = self.house.network.configure(interface(&kept)?, accepted_device(accept)).await;
        configured.map_err(|error| DeviceRefused(error.to_string()))?;
        self.house.network.settle();
        self.kept.push(kept);
        self.lend(self.kept.len() - 1, request)
    }

    /// Lends a device, and ends the session whose place the peer has now taken, as when that one is dead and does not know.
    fn lend(&mut self, at: usize, request: &DeviceRequest) -> Result<Lease, DeviceRefused> {
        let Some(kept) = self.kept.get_mut(at) else { return Err(DeviceRefused("try again".to_owned())) };
        let (lease, before) = kept.lend(request)?;
        if let Some(before) = before {
            self.house.sessions.disconnect(before.session, "the same connection was opened again");
        }
        if self.accept.is_some() {
            self.house.network.settle();
        }
        Ok(lease)
    }

    /// Waits until the device is home. Its link goes on if it is alive: two hosts with one key would else take it from each
    /// other for ever.
    async fn hand_over(
        &mut self,
        at: usize,
        request: &DeviceRequest,
        reply: &mut Reply,
    ) -> Result<(), DeviceRefused> {
        let Some(kept) = self.kept.get_mut(at) else { return Ok(()) };
        if kept.is_home() {
            return Ok(());
        }
        if kept.is_held_by(request.peer.session) {
            return Err(DeviceRefused(format!("this connection has {} already", kept.name())));
        }
        let mut asked = JoinSet::new();
        for holder in kept.holders() {
            let (sessions, holder) = (self.house.sessions.clone(), Arc::clone(holder));
            asked.spawn(async move { sessions.is_alive(holder.session).await.then_some(holder) });
        }
        let any_alive = async {
            while let Some(answer) = asked.join_next().await {
                if let Ok(Some(alive)) = answer {
                    return Some(alive);
                }
            }
            None
        };
        let gone = || DeviceRefused("nobody waits for it".to_owned());
        let alive = tokio::select! {
            alive = any_alive => alive,
            () = reply.closed() => return Err(gone()),
        };
        if let Some(alive) = alive {
            return Err(in_use(&alive, kept.name()));
        }
        let passes = self.house.log.passes(&Subject::Key(request.peer.fingerprint.clone()));
        for holder in kept.holders() {
            if passes {
                info!(peer = holder.name, from = %holder.address, "back from another connection; the old one is dead");
            }
            let why = "it gave no sign of life, and the same key opened another link";
            self.house.sessions.cut_off(holder.session, why);
        }
        tokio::select! {
            home = timeout(HANDOVER, kept.comes_home()) => {
                home.map_err(|_| DeviceRefused(format!("{} does not come home; try again", kept.name())))
            }
            () = reply.closed() => Err(gone()),
        }
    }

    async fn change(&mut self, accept: Option<Accept>, reserved: Arc<Reserved>) {
        self.reserved = reserved;
        if let (Some((_, current)), Some(accept)) = (&mut self.accept, accept) {
            let before = std::mem::replace(current, accept);
            self.apply_change(&before).await;
            return;
        }
        // A number that the configuration now gives to another.
        while let Some(at) = self.kept.iter().position(|kept| {
            kept.unit().is_some_and(|unit| self.reserved.is_of_another(kept.mode(), unit, None))
        }) {
            self.end(at, "its device is another link's now");
            self.forget(at);
        }
    }

    async fn apply_change(&mut self, before: &Accept) {
        let (Some((name, accept)), Some(kept)) = (&self.accept, self.kept.first()) else { return };
        let named = std::collections::BTreeSet::new();
        let asked = Asked { mode: kept.mode(), unit: Unit::Any, is_named: false, named: &named };
        let grant = Grant::decide(Some((name, accept)), asked, &self.reserved).unwrap_or(Grant::Any);
        let is_anothers =
            kept.unit().is_some_and(|unit| self.reserved.is_of_another(kept.mode(), unit, Some(name)));
        if is_anothers || !kept.meets(&grant) {
            match Kept::can_be_had(kept.mode(), &grant) {
                Err(error) if !is_anothers => {
                    warn!(peer = name, "its device stays {} for now: {error}", kept.name());
                }
                _ => {
                    self.end(0, "its tunnel-device is another now");
                    self.forget(0);
                    return;
                }
            }
        }
        if accept != before {
            let configured = match interface(kept) {
                Ok(interface) => {
                    let configured = self.house.network.configure(interface, accepted_device(accept)).await;
                    configured.map_err(|error| DeviceRefused(error.to_string()))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = configured {
                warn!(peer = name, "its device stays as it was: {error}");
            }
        }
    }

    fn end(&self, at: usize, why: &str) {
        for holder in self.kept.get(at).into_iter().flat_map(Kept::holders) {
            self.house.sessions.disconnect(holder.session, why);
        }
    }

    /// The device goes as soon as no session has it.
    fn forget(&mut self, at: usize) {
        if at < self.kept.len() {
            let kept = self.kept.remove(at);
            if self.accept.is_some()
                && let Ok(interface) = interface(&kept)
            {
                self.house.network.forget(interface);
            }
        }
    }

    fn forget_all(&mut self, why: &str) {
        while !self.kept.is_empty() {
            self.end(0, why);
            self.forget(0);
        }
    }

    fn forget_deleted(&mut self) {
        while let Some(at) = self.kept.iter().position(|kept| !kept.is_there()) {
            if let Some((name, _)) = &self.accept {
                info!(peer = name, "its device was deleted; it is made anew");
            }
            self.forget(at);
        }
    }

    fn forget_unused(&mut self) {
        if self.accept.is_none() {
            self.kept.retain_mut(|kept| !kept.is_home());
        }
    }
}

type Reply = oneshot::Sender<Result<Lease, DeviceRefused>>;

fn in_use(holder: &Peer, device: &str) -> DeviceRefused {
    DeviceRefused(format!(
        "{device} is in use by the link of {}@{} port {}, which is alive and has the same key; give each host a key of \
         its own, or under `accept` a `user` of its own",
        holder.user,
        holder.address.ip(),
        holder.address.port()
    ))
}

fn interface(kept: &Kept) -> Result<InterfaceName, DeviceRefused> {
    kept.name().parse().map_err(|error| DeviceRefused(format!("{error}")))
}
