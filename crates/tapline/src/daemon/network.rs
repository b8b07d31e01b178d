//! The keeper of the kernel's network state: the one place of the process that changes it.

mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tapline_control::{
    Controller, Desired, Interface, InterfaceName, Journal, JournalError, KeptOutside, LinkEvent, LinkEvents,
    MacAddress, Outcome, ReconcileError, Tunnels, keep_outside, may_need,
};
use tapline_transport::tunnel::Dialect;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::mac;
use super::retry::Retry;
use waits::Waits;

/// Duplicate address detection takes the kernel up to two seconds (RFC 4862); then a failure is known.
const SETTLED: Duration = Duration::from_secs(3);

/// The kernel tells of one change in several messages; they are answered together.
const TOGETHER: Duration = Duration::from_millis(50);

/// Asks the keeper for changes; cheap to clone and usable on any runtime.
#[derive(Debug, Clone)]
pub(crate) struct NetworkHandle {
    requests: mpsc::UnboundedSender<Request>,
}

/// Runs until every handle is gone or it is told to remove everything.
pub(crate) struct NetworkKeeper {
    controller: Controller,
    /// What the configuration names.
    configured: Desired,
    /// Interfaces of accepted links, which come and go.
    accepted: BTreeMap<InterfaceName, Interface>,
    requests: mpsc::UnboundedReceiver<Request>,
    events: LinkEvents,
    news: mpsc::UnboundedSender<NetworkNews>,
    waits: Waits,
    retry: Retry,
    /// The interfaces of links, and where their connections go.
    tunnels: Tunnels,
    /// How their connections are kept outside of them, as it was done last.
    kept: KeptOutside,
    /// The largest packets that the peers of links take.
    limits: BTreeMap<InterfaceName, u32>,
    /// Whether the filters of this host that stand between ports have been looked for.
    filters_said: bool,
}

/// What others did to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetworkNews {
    /// An interface that is wanted was deleted. One of this name may be there again, with another number.
    Gone { interface: InterfaceName, index: u32 },
    /// An interface of this host, none of ours, has come up.
    Up(InterfaceName),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("{0}")]
    State(JournalError),
    #[error(
        "another tapline has {directory}{}; one daemon serves all links of a host: add yours to its configuration and send it SIGHUP, or give this one a directory of its own with --state-dir", process(*.holder)
    )]
    AnotherDaemon { directory: String, holder: Option<u32> },
    #[error("no netlink socket: {0}; is this a Linux kernel with CONFIG_NETLINK?")]
    Netlink(#[from] std::io::Error),
    #[error("{0}")]
    Events(#[from] tapline_control::EventsError),
    #[error("{0}")]
    Privilege(#[from] tapline_control::MissingPrivilege),
    #[error("{0}")]
    Reconcile(#[from] ReconcileError),
    #[error("cannot remove all that was added: {0}; start and stop the daemon again to retry")]
    Remove(#[from] tapline_control::RemoveError),
    #[error("the network keeper has ended")]
    Ended,
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (process {holder})"))
}

enum Request {
    /// An interface has come: set it up so.
    Configure {
        name: InterfaceName,
        interface: Box<Interface>,
        reply: Reply,
    },
    /// An interface goes.
    Forget {
        name: InterfaceName,
    },
    /// A link came up: addresses that waited for carrier are detected now.
    Settle,
    /// The connection of a link goes to these addresses, and must not go through the link.
    KeepOutside {
        interface: InterfaceName,
        servers: BTreeSet<IpAddr>,
        reply: oneshot::Sender<()>,
    },
    /// The peer of a link takes no more than packets of this size, in bytes, if it is a limit.
    LimitMtu {
        interface: InterfaceName,
        most: Option<u32>,
    },
    /// The configuration names this.
    Replace {
        configured: Box<Desired>,
        reply: Reply,
    },
    RemoveAll {
        reply: Reply,
    },
}

type Reply = oneshot::Sender<Result<(), NetworkError>>;

impl NetworkKeeper {
    /// Takes over the network namespace of the calling thread, with what an earlier run left behind in `state`.
    pub(crate) async fn new(
        state: &Path,
    ) -> Result<(Self, NetworkHandle, mpsc::UnboundedReceiver<NetworkNews>), NetworkError> {
        let journal = Journal::open(state.join("network.json")).map_err(|error| match error {
            JournalError::Busy { holder, .. } => {
                NetworkError::AnotherDaemon { directory: state.display().to_string(), holder }
            }
            error => NetworkError::State(error),
        })?;
        let controller = Controller::new(journal)?.with_dad_deadline(Duration::ZERO);
        clear_what_was_left(&controller).await;
        let events = controller.link_events().await?;
        let (sender, requests) = mpsc::unbounded_channel();
        let (news, told) = mpsc::unbounded_channel();
        let keeper = Self {
            controller,
            configured: Desired::default(),
            accepted: BTreeMap::new(),
            requests,
            events,
            news,
            waits: Waits::default(),
            retry: Retry::default(),
            tunnels: Tunnels::new(),
            kept: KeptOutside::default(),
            limits: BTreeMap::new(),
            filters_said: false,
        };
        Ok((keeper, NetworkHandle { requests: sender }, told))
    }

    pub(crate) async fn run(mut self) {
        let mut settle: Option<Instant> = None;
        loop {
            let timer = async {
                match settle {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let retry = self.retry;
            let request = tokio::select! {
                request = self.requests.recv() => request,
                () = timer => {
                    settle = None;
                    self.report_duplicates().await;
                    continue;
                }
                event = self.events.next() => {
                    self.hear(event).await;
                    continue;
                }
                () = retry.due() => {
                    if let Err(error) = self.reconcile().await {
                        warn!("{error}");
                    }
                    continue;
                }
            };
            match request {
                None => return,
                Some(Request::Configure { name, interface, reply }) => {
                    let before = self.accepted.insert(name.clone(), *interface);
                    let result = self.reconcile().await;
                    if result.is_err() {
                        match before {
                            Some(before) => self.accepted.insert(name, before),
                            None => self.accepted.remove(&name),
                        };
                    }
                    settle = Some(Instant::now() + SETTLED);
                    let _ = reply.send(result);
                }
                Some(Request::Forget { name }) => {
                    self.accepted.remove(&name);
                    self.forget_unwanted();
                    if let Err(error) = self.reconcile().await {
                        warn!("{error}");
                    }
                }
                Some(Request::KeepOutside { interface, servers, reply }) => {
                    self.keep_outside(interface, servers).await;
                    let _ = reply.send(());
                }
                Some(Request::LimitMtu { interface, most }) => self.limit_mtu(interface, most).await,
                Some(Request::Settle) => settle = Some(Instant::now() + SETTLED),
                Some(Request::Replace { configured, reply }) => {
                    let before = std::mem::replace(&mut self.configured, *configured);
                    self.forget_unwanted();
                    let result = self.reconcile().await;
                    if result.is_err() {
                        self.configured = before;
                    }
                    let _ = reply.send(result);
                }
                Some(Request::RemoveAll { reply }) => {
                    let result = self.controller.remove_all().await.map(drop).map_err(NetworkError::from);
                    let _ = reply.send(result);
                    return;
                }
            }
        }
    }

    /// Brings about what can be had. What cannot is said and tried again, and the rest does without it.
    async fn reconcile(&mut self) -> Result<(), NetworkError> {
        let (result, waits) = self.reach().await;
        if let Ok(outcome) = &result {
            for change in &outcome.changes {
                info!("network: {change}");
            }
            for narrow in &outcome.narrow {
                warn!("network: {narrow}");
            }
        }
        for reason in waits.reasons().difference(self.waits.reasons()) {
            warn!("network: {reason}; waiting for it, the rest goes on");
        }
        let unfinished = result.is_err() || !waits.reasons().is_empty();
        self.say_filters();
        self.retry.waits(unfinished, Instant::now().into_std());
        self.waits = waits;
        Ok(result.map(drop)?)
    }

    /// What was said of interfaces that are wanted no more.
    fn forget_unwanted(&mut self) {
        let Self { configured, accepted, tunnels, limits, .. } = self;
        let is_wanted =
            |name: &InterfaceName| configured.interfaces.contains_key(name) || accepted.contains_key(name);
        tunnels.retain(|name, _| is_wanted(name));
        limits.retain(|name, _| is_wanted(name));
    }

    /// Once, when there is a bridge: what will be missed on it is not found by looking at bridges.
    fn say_filters(&mut self) {
        let mut interfaces = self.configured.interfaces.values().chain(self.accepted.values());
        let bridges = !self.configured.bridges.is_empty() || interfaces.any(|one| one.bridge.is_some());
        if self.filters_said || !bridges {
            return;
        }
        self.filters_said = true;
        match tapline_control::bridge_filters() {
            Ok(filters) => filters.iter().for_each(|filter| warn!("network: {filter}")),
            Err(error) => debug!(%error, "the filters between ports of bridges are not known"),
        }
    }

    /// Leaves out one part after the other until the rest succeeds.
    async fn reach(&mut self) -> (Result<Outcome, ReconcileError>, Waits) {
        let wanted = self.wanted();
        let mut asked = wanted.clone();
        for interface in asked.interfaces.values_mut() {
            interface.required = false;
        }
        self.lead_outside(&mut asked).await;
        let mut waits = Waits::default();
        loop {
            match self.controller.reconcile(&waits.trim(asked.clone())).await {
                Ok(outcome) => {
                    waits.miss(outcome.missing.iter().filter(|name| is_waited_for(&wanted, name)));
                    return (Ok(outcome), waits);
                }
                Err(error) if waits.set_aside(&error) => {}
                Err(error) => return (Err(error), waits),
            }
        }
    }

    fn wanted(&self) -> Desired {
        let mut wanted = self.configured.clone();
        for (name, bridge) in &mut wanted.bridges {
            bridge.created_with = mac::of_bridge(name.as_str()).map(MacAddress);
        }
        wanted.interfaces.extend(self.accepted.clone());
        for (name, most) in &self.limits {
            if let Some(interface) = wanted.interfaces.get_mut(name) {
                interface.mtu = Some(interface.mtu.unwrap_or(*most).min(*most));
            }
        }
        wanted
    }

    async fn report_duplicates(&mut self) {
        match self.reach().await.0.map(Outcome::check) {
            Ok(Ok(_)) => {}
            Ok(Err(duplicates)) => warn!("{duplicates}"),
            Err(error) => warn!("{error}"),
        }
    }

    /// Adds the routes that keep connections outside of their own links.
    async fn lead_outside(&mut self, asked: &mut Desired) {
        if !self.tunnels.iter().any(|(tunnel, servers)| may_need(asked, tunnel, servers)) {
            self.kept = KeptOutside::default();
            return;
        }
        match self.controller.observe().await {
            Ok(observed) => {
                let kept = keep_outside(asked, &observed, &self.tunnels);
                for obstacle in kept.obstacles.difference(&self.kept.obstacles) {
                    warn!("network: {obstacle}");
                }
                self.kept = kept;
            }
            Err(error) => warn!("{error}"),
        }
    }

    async fn keep_outside(&mut self, interface: InterfaceName, servers: BTreeSet<IpAddr>) {
        let before = self.tunnels.insert(interface.clone(), servers);
        let mut wanted = self.wanted();
        let may_need = |servers: &BTreeSet<IpAddr>| may_need(&wanted, &interface, servers);
        if !before.as_ref().is_some_and(may_need) && !self.tunnels.get(&interface).is_some_and(may_need) {
            return;
        }
        // Also when they are the same: the way to them may be another one now.
        let observed = self.controller.observe().await;
        if observed.is_ok_and(|now| keep_outside(&mut wanted, &now, &self.tunnels) == self.kept) {
            return;
        }
        if let Err(error) = self.reconcile().await {
            warn!("{error}");
        }
    }

    async fn limit_mtu(&mut self, interface: InterfaceName, most: Option<u32>) {
        let Some(most) = most else {
            if self.limits.remove(&interface).is_some()
                && let Err(error) = self.reconcile().await
            {
                warn!("{error}");
            }
            return;
        };
        if !self.wanted().interfaces.contains_key(&interface) {
            return;
        }
        let observed = self.controller.observe().await.unwrap_or_default();
        let Some(link) = observed.links.get(&interface).filter(|link| link.mtu > most) else { return };
        warn!(
            "network: the mtu of {interface} is {}, and its peer is a stock OpenSSH, whose frames are cut off beyond              16,384 bytes: it is {most} here while that is so; set `mtu: {most}` or less on both sides",
            link.mtu
        );
        self.limits.insert(interface, most);
        if let Err(error) = self.reconcile().await {
            warn!("{error}");
        }
    }

    /// One of ours has carrier again.
    async fn came_back(&self, interface: &InterfaceName) {
        match self.controller.port_returned(interface).await {
            Ok(returned) => debug!(%interface, ?returned, "it has carrier again"),
            Err(error) => warn!("{interface} has carrier again, but {error}"),
        }
    }

    async fn hear(&mut self, event: Result<LinkEvent, tapline_control::EventsError>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                warn!("{error}");
                match self.controller.link_events().await {
                    Ok(events) => self.events = events,
                    // Not at once again, or a lasting error would fill the log.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
                return;
            }
        };
        let wanted = names(&self.wanted());
        let news = match event {
            LinkEvent::New { interface, .. } if wanted.contains(&interface) => {
                self.retry.hurry((Instant::now() + TOGETHER).into_std());
                return;
            }
            // One that has another name now is still there, and so is what was done to it.
            LinkEvent::Gone { interface, index } if wanted.contains(&interface) => {
                if self.controller.observe().await.is_ok_and(|now| now.by_index(index).is_some()) {
                    return;
                }
                self.retry.hurry((Instant::now() + TOGETHER).into_std());
                NetworkNews::Gone { interface, index }
            }
            LinkEvent::New { interface, up: true, .. } | LinkEvent::Up { interface, .. }
                if !wanted.contains(&interface) =>
            {
                NetworkNews::Up(interface)
            }
            LinkEvent::Up { interface, .. } => return self.came_back(&interface).await,
            LinkEvent::New { .. } | LinkEvent::Down { .. } | LinkEvent::Gone { .. } => {
                return;
            }
        };
        let _ = self.news.send(news);
    }
}

/// Takes the offloads of a daemon that was killed from the devices that it did not make, whoever uses them now.
async fn clear_what_was_left(controller: &Controller) {
    match controller.attached().await {
        Ok(devices) => {
            for (name, tun) in devices {
                match tapline_device::clear_offloads(name.as_str(), tun.header) {
                    Ok(cleared) => debug!(interface = %name, cleared, "a daemon that was killed had it"),
                    Err(error) => {
                        warn!("a daemon that was killed may have left its offloads on {name}: {error}")
                    }
                }
            }
        }
        Err(error) => warn!("{error}"),
    }
}

/// Interfaces and bridges, and bridges that others have to make.
fn names(wanted: &Desired) -> BTreeSet<InterfaceName> {
    let bridges = wanted.interfaces.values().filter_map(|interface| interface.bridge.as_ref());
    wanted.interfaces.keys().chain(wanted.bridges.keys()).chain(bridges).cloned().collect()
}

/// Our own devices are made by those who need them; a port or a bridge that others make is waited for.
fn is_waited_for(wanted: &Desired, missing: &InterfaceName) -> bool {
    wanted.interfaces.get(missing).is_none_or(|interface| interface.required)
}

impl NetworkHandle {
    /// Sets an interface up, with everything else that is wanted. What cannot be had of it is said, and waited for. An
    /// error leaves the state as it was.
    pub(crate) async fn configure(
        &self,
        name: InterfaceName,
        interface: Interface,
    ) -> Result<(), NetworkError> {
        self.ask(|reply| Request::Configure { name, interface: Box::new(interface), reply }).await
    }

    /// The interface is gone, or soon will be.
    pub(crate) fn forget(&self, name: InterfaceName) {
        let _ = self.requests.send(Request::Forget { name });
    }

    /// Ready when a connection to these addresses, which is that of the link with the interface, may be tried.
    pub(crate) async fn keep_outside(&self, interface: InterfaceName, servers: BTreeSet<IpAddr>) {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::KeepOutside { interface, servers, reply }).is_ok() {
            let _ = answer.await;
        }
    }

    /// The peer of the link with the interface speaks like this from now on.
    pub(crate) fn peer_speaks(&self, interface: InterfaceName, dialect: Dialect) {
        let most = match dialect {
            Dialect::Stock => Some(tapline_frame::tunnel::MAX_MTU),
            Dialect::Native => None,
        };
        let _ = self.requests.send(Request::LimitMtu { interface, most });
    }

    /// A link came up.
    pub(crate) fn settle(&self) {
        let _ = self.requests.send(Request::Settle);
    }

    /// From now on these bridges and interfaces are wanted, besides those of accepted links. What cannot be had of it is
    /// said, and waited for. An error leaves the state as it was.
    pub(crate) async fn replace(&self, desired: Desired) -> Result<(), NetworkError> {
        self.ask(|reply| Request::Replace { configured: Box::new(desired), reply }).await
    }

    /// Removes exactly what was added, and ends the keeper.
    pub(crate) async fn remove_all(&self) -> Result<(), NetworkError> {
        self.ask(|reply| Request::RemoveAll { reply }).await
    }

    async fn ask(&self, request: impl FnOnce(Reply) -> Request) -> Result<(), NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| NetworkError::Ended)?;
        answer.await.map_err(|_| NetworkError::Ended)?
    }
}
