//! Observe, plan, apply, verify; and back again when something fails.

use std::{collections::BTreeSet, fmt, io, time::Duration};

use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
use tokio::time::{Instant, timeout_at};

use crate::{
    Conflict, Desired, IfAddr, InterfaceName, Journal, JournalError, LinkEvents, Observed, Operation,
    OperationError, Owned,
    events::{EventsError, Monitor},
    execute::Executor,
    netlink::{Netlink, NetlinkError},
    observe,
    observed::Tun,
    plan::plan,
};

/// Brings the network state of one network namespace to what is desired, and takes back what it did.
///
/// It belongs to the network namespace of the thread that makes it, and must be polled on threads of that namespace.
/// No method is at work in the background; between two calls nothing is watched or changed.
pub struct Controller {
    netlink: Netlink,
    journal: Journal,
    dad_deadline: Duration,
}

/// What one call of [`Controller::reconcile`] found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The changes that were made, in their order. Empty when all was as desired.
    pub changes: Vec<Operation>,
    /// Desired interfaces that do not exist. Call again when they appear.
    pub missing: Vec<InterfaceName>,
    /// IPv6 addresses that may not be used yet: the interface has no carrier, without which duplicate address
    /// detection cannot end, or it took longer than the deadline.
    pub pending: Vec<InterfaceAddress>,
    /// IPv6 addresses that another host has. They are there, but the kernel does not use them.
    pub duplicates: Vec<InterfaceAddress>,
    /// Ports with less room than the bridge had that they have joined now.
    pub narrow: Vec<NarrowPort>,
}

/// A port that takes smaller packets than its bridge did before it. A bridge whose MTU nobody has set takes over the least
/// of its ports; where someone has, the longer frames are dropped at the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarrowPort {
    pub port: InterfaceName,
    /// In bytes behind the Ethernet header, as those of the bridge.
    pub mtu: u32,
    pub bridge: InterfaceName,
    pub bridge_had: u32,
    pub bridge_has: u32,
}

impl fmt::Display for NarrowPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, mtu, bridge, bridge_had, bridge_has } = self;
        if bridge_has < bridge_had {
            write!(
                f,
                "the mtu of bridge {bridge} falls from {bridge_had} to {bridge_has} with its port {port}"
            )?;
        } else {
            write!(
                f,
                "port {port} of bridge {bridge} has an mtu of {mtu} and the bridge one of {bridge_has}"
            )?;
        }
        write!(f, ": longer packets of its other ports do not cross; give both the same mtu")
    }
}

impl Outcome {
    /// The outcome, unless an address is a duplicate.
    ///
    /// # Errors
    /// Duplicate address detection failed for an address.
    pub fn check(self) -> Result<Self, DuplicateAddresses> {
        if self.duplicates.is_empty() { Ok(self) } else { Err(DuplicateAddresses(self.duplicates)) }
    }
}

/// An address and where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceAddress {
    pub interface: InterfaceName,
    pub address: IfAddr,
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.address, self.interface)
    }
}

/// Duplicate address detection (RFC 4862 section 5.4) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: another host on the link has this address; give one of them another", list(.0))]
pub struct DuplicateAddresses(pub Vec<InterfaceAddress>);

/// The process may not change network interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot change network interfaces: CAP_NET_ADMIN is missing; run as root or in a user namespace (unshare -Urn)"
)]
pub struct MissingPrivilege;

/// The network state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the network state: {0}")]
pub struct ObserveError(#[from] NetlinkError);

/// The desired state was not reached. What was changed on the way was taken back, but for what `rollback` lists.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Privilege(#[from] MissingPrivilege),
    #[error("{}", list(.0))]
    Conflicts(Vec<Conflict>),
    #[error("{failed}{}", rollback_failed(.rollback))]
    Operation { failed: Box<OperationError>, rollback: Vec<OperationError> },
    #[error("{failed}{}", rollback_failed(.rollback))]
    Journal { failed: JournalError, rollback: Vec<OperationError> },
    #[error("the kernel did not keep: {}; see whether another program sets them{}", list(.remaining), rollback_failed(.rollback))]
    NotKept { remaining: Vec<Operation>, rollback: Vec<OperationError> },
    #[error("cannot watch addresses: {0}")]
    Watch(io::Error),
}

/// Not everything could be taken back. What is left stays in the record, and the next call tries it again.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Privilege(#[from] MissingPrivilege),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}", list(.0))]
    Operations(Vec<OperationError>),
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

fn rollback_failed(errors: &[OperationError]) -> String {
    if errors.is_empty() { String::new() } else { format!("; and could not go back: {}", list(errors)) }
}

/// The kernel answers some changes with changes of its own, as it removes the routes of an interface that loses its
/// last address. So the state is compared again until nothing is left to do, this often at most.
const ROUNDS: usize = 4;

/// What the kernel gives a new bridge, in bytes.
const NEW_MTU: u32 = 1500;

impl Controller {
    /// A controller of the calling thread's network namespace. What `journal` says is owned, by this or an earlier
    /// process, is adopted by the next call of [`Self::reconcile`] or [`Self::remove_all`].
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn new(journal: Journal) -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open()?, journal, dad_deadline: Duration::from_secs(5) })
    }

    /// How long [`Self::reconcile`] waits for duplicate address detection, 5 s unless set. With zero it does not
    /// wait. The kernel takes 1 s to 2 s unless told otherwise.
    #[must_use]
    pub fn with_dad_deadline(mut self, deadline: Duration) -> Self {
        self.dad_deadline = deadline;
        self
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// What Tapline added to the kernel, and found where it changed something.
    pub fn owned(&self) -> &Owned {
        self.journal.owned()
    }

    /// The state of the network namespace now. Needs no privilege.
    ///
    /// # Errors
    /// The kernel refused, or its state changed all the time.
    pub async fn observe(&self) -> Result<Observed, ObserveError> {
        Ok(observe::observe(&self.netlink).await?)
    }

    /// Persistent taps and tuns that this or an earlier process was attached to, as they are now.
    ///
    /// # Errors
    /// As [`Self::observe`].
    pub async fn attached(&self) -> Result<Vec<(InterfaceName, Tun)>, ObserveError> {
        let observed = self.observe().await?;
        let mut owned = self.owned().clone();
        owned.follow(&observed);
        let attached = owned.interfaces.iter().filter(|(_, record)| record.attached);
        Ok(attached.filter_map(|(name, _)| Some((name.clone(), observed.links.get(name)?.tun?))).collect())
    }

    /// The events of interfaces from now on; those that exist come first.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub async fn link_events(&self) -> Result<LinkEvents, EventsError> {
        LinkEvents::open().await
    }

    /// Whether this process may change network interfaces here.
    ///
    /// # Errors
    /// It may not.
    pub async fn check_privilege(&self) -> Result<(), MissingPrivilege> {
        // The kernel looks at the capability before it looks for the interface, of which none has this number.
        let mut nothing = LinkMessage::default();
        nothing.header.index = i32::MAX.unsigned_abs();
        match self.netlink.change(RouteNetlinkMessage::SetLink(nothing), 0).await {
            Err(error) if error.errno() == Some(nix::libc::EPERM) => Err(MissingPrivilege),
            _ => Ok(()),
        }
    }

    /// Brings about what is desired and takes back what is owned and no longer desired. When all is as desired it
    /// changes nothing.
    ///
    /// Cancel safe in so far as the record is always complete: a later call goes on from where this one stood.
    ///
    /// # Errors
    /// A change failed, or a conflict was found before the first. Then the state is as it was before the call, as far
    /// as the error does not say otherwise.
    pub async fn reconcile(&mut self, desired: &Desired) -> Result<Outcome, ReconcileError> {
        // Before the first change, so that no notification is missed.
        let mut monitor =
            Monitor::open(&[Monitor::LINK, Monitor::IPV6_ADDRESS]).map_err(ReconcileError::Watch)?;
        let mut done = Vec::new();
        let mut vanished = BTreeSet::new();
        let mut round = 0;
        let mut before = None;
        loop {
            let observed = match self.observe().await {
                Ok(observed) => observed,
                Err(error) if done.is_empty() => return Err(error.into()),
                Err(error) => {
                    self.roll_back(done).await;
                    return Err(error.into());
                }
            };
            let before = before.get_or_insert_with(|| observed.clone());
            let mut owned = self.owned().clone();
            owned.follow(&observed);
            owned.attach(desired, &observed);
            let plan = plan(desired, &observed, &owned);
            if !plan.conflicts.is_empty() {
                self.roll_back(done).await;
                return Err(ReconcileError::Conflicts(plan.conflicts));
            }
            if round == ROUNDS && !plan.is_empty() {
                let rollback = self.roll_back(done).await;
                return Err(ReconcileError::NotKept { remaining: plan.operations, rollback });
            }
            if plan.is_empty() {
                if let Err(failed) = self.journal.store(owned) {
                    return Err(ReconcileError::Journal { failed, rollback: self.roll_back(done).await });
                }
                let narrow = narrow_ports(&done, before, &observed);
                let mut outcome =
                    Outcome { changes: done, missing: plan.missing, narrow, ..Outcome::default() };
                self.wait_for_addresses(desired, &mut monitor, &mut outcome).await?;
                return Ok(outcome);
            }
            if round == 0 {
                self.check_privilege().await?;
            }
            if let Err(failed) = self.journal.store(owned) {
                return Err(ReconcileError::Journal { failed, rollback: self.roll_back(done).await });
            }
            if let Err(stopped) = self.apply(&plan.operations, &observed, &mut done, &mut vanished).await {
                let rollback = self.roll_back(done).await;
                return Err(match stopped {
                    Stopped::Operation(error) if error.reason.is_missing_privilege() => {
                        MissingPrivilege.into()
                    }
                    Stopped::Operation(failed) => ReconcileError::Operation { failed, rollback },
                    Stopped::Journal(failed) => ReconcileError::Journal { failed, rollback },
                });
            }
            round += 1;
        }
    }

    /// Takes back all that is owned, and nothing else. Goes on after an error.
    ///
    /// # Errors
    /// All that could not be taken back; a later call tries it again.
    pub async fn remove_all(&mut self) -> Result<Vec<Operation>, RemoveError> {
        let mut done = Vec::new();
        let mut errors = Vec::new();
        let mut unwritten = None;
        for round in 0..ROUNDS {
            let observed = self.observe().await?;
            let mut owned = self.owned().clone();
            owned.follow(&observed);
            let plan = plan(&Desired::default(), &observed, &owned);
            if plan.operations.is_empty() {
                // What is left of the record is about things that others took away already.
                self.journal.store(Owned::default())?;
                return Ok(done);
            }
            if round == 0 {
                self.check_privilege().await?;
            }
            self.journal.store(owned)?;
            errors.clear();
            let before = done.len();
            let mut executor = Executor::new(&self.netlink, &observed);
            for operation in plan.operations {
                match change(&mut executor, &mut self.journal, &operation).await {
                    Ok(()) => done.push(operation),
                    Err(Stopped::Operation(error)) => errors.push(*error),
                    // A record that says more than there is does no harm.
                    Err(Stopped::Journal(error)) => {
                        unwritten = Some(error);
                        done.push(operation);
                    }
                }
            }
            if done.len() == before {
                break;
            }
        }
        match unwritten {
            Some(error) if errors.is_empty() => Err(error.into()),
            _ => Err(RemoveError::Operations(errors)),
        }
    }

    /// Makes the changes in order up to the first that fails. One that fails because its interface vanished is no
    /// failure; what else is planned for that interface is left out.
    async fn apply(
        &mut self,
        operations: &[Operation],
        observed: &Observed,
        done: &mut Vec<Operation>,
        vanished: &mut BTreeSet<InterfaceName>,
    ) -> Result<(), Stopped> {
        let mut executor = Executor::new(&self.netlink, observed);
        for operation in operations {
            if vanished.contains(operation.interface()) {
                continue;
            }
            match change(&mut executor, &mut self.journal, operation).await {
                Ok(()) => done.push(operation.clone()),
                Err(Stopped::Operation(error)) => {
                    let name = operation.interface();
                    let created = matches!(operation, Operation::CreateBridge { .. });
                    let index = executor.index(name);
                    if created
                        || index.is_none()
                        || self.netlink.index(name.as_str()).await.ok() != Some(None)
                    {
                        return Err(Stopped::Operation(error));
                    }
                    tracing::debug!(interface = %name, "vanished while it was set up");
                    vanished.insert(name.clone());
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(())
    }

    /// Makes the inverse changes in the inverse order and goes on after an error.
    async fn roll_back(&mut self, done: Vec<Operation>) -> Vec<OperationError> {
        let observed = match self.observe().await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::warn!(%error, "cannot go back; what was changed stays in the record");
                return Vec::new();
            }
        };
        let mut executor = Executor::new(&self.netlink, &observed);
        let mut errors = Vec::new();
        for operation in done.iter().rev().map(Operation::inverse) {
            let recreates = matches!(operation, Operation::CreateBridge { .. });
            if !recreates && executor.index(operation.interface()).is_none() {
                continue;
            }
            match change(&mut executor, &mut self.journal, &operation).await {
                Ok(()) => {}
                Err(Stopped::Operation(error)) => errors.push(*error),
                Err(Stopped::Journal(error)) => {
                    tracing::warn!(%error, "the record of owned network state is behind");
                }
            }
        }
        errors
    }

    async fn wait_for_addresses(
        &self,
        desired: &Desired,
        monitor: &mut Monitor,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let deadline = Instant::now() + self.dad_deadline;
        loop {
            let detection = Detection::of(desired, &self.observe().await?);
            let waiting = !detection.running.is_empty() && Instant::now() < deadline;
            let news = if waiting { timeout_at(deadline, monitor.next()).await.ok() } else { None };
            match news {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ReconcileError::Watch(error)),
                None => {
                    outcome.duplicates = detection.failed;
                    outcome.pending = detection.running;
                    outcome.pending.extend(detection.stalled);
                    outcome.pending.sort();
                    return Ok(());
                }
            }
        }
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("journal", &self.journal).finish_non_exhaustive()
    }
}

enum Stopped {
    Operation(Box<OperationError>),
    Journal(JournalError),
}

/// One change: into the record, into the kernel, and out of the record what it took back.
async fn change(
    executor: &mut Executor<'_>,
    journal: &mut Journal,
    operation: &Operation,
) -> Result<(), Stopped> {
    let before = journal.owned().clone();
    let mut claimed = before.clone();
    claimed.claim(operation, executor.index(operation.interface()));
    journal.store(claimed).map_err(Stopped::Journal)?;
    tracing::debug!(%operation, "network state");
    if let Err(error) = executor.execute(operation).await {
        if operation.has_steps() {
            let _ = executor.execute(&operation.inverse()).await;
        }
        journal.store(before).map_err(Stopped::Journal)?;
        return Err(Stopped::Operation(Box::new(error)));
    }
    let mut released = journal.owned().clone();
    released.release(operation, executor.index(operation.interface()));
    journal.store(released).map_err(Stopped::Journal)
}

/// The ports that joined a bridge or were given another MTU.
fn narrow_ports(done: &[Operation], before: &Observed, after: &Observed) -> Vec<NarrowPort> {
    let changed: BTreeSet<&InterfaceName> = done
        .iter()
        .filter(|operation| matches!(operation, Operation::SetBridge { .. } | Operation::SetMtu { .. }))
        .map(Operation::interface)
        .collect();
    let narrow = changed.into_iter().filter_map(|port| {
        let link = after.links.get(port)?;
        let bridge = link.controller.as_ref()?;
        let now = after.links.get(bridge).filter(|link| link.bridge.is_some())?;
        let then = before.links.get(bridge).filter(|then| then.index == now.index);
        let bridge_had = then.map_or(NEW_MTU, |then| then.mtu);
        let (port, bridge) = (port.clone(), bridge.clone());
        (link.mtu < bridge_had).then_some(NarrowPort {
            port,
            mtu: link.mtu,
            bridge,
            bridge_had,
            bridge_has: now.mtu,
        })
    });
    narrow.collect()
}

/// Where duplicate address detection stands on the desired interfaces.
struct Detection {
    running: Vec<InterfaceAddress>,
    /// Without carrier it cannot end.
    stalled: Vec<InterfaceAddress>,
    failed: Vec<InterfaceAddress>,
}

impl Detection {
    fn of(desired: &Desired, observed: &Observed) -> Self {
        let mut detection = Self { running: Vec::new(), stalled: Vec::new(), failed: Vec::new() };
        let names: BTreeSet<&InterfaceName> =
            desired.interfaces.keys().chain(desired.bridges.keys()).collect();
        for (name, link) in names.into_iter().filter_map(|name| observed.links.get_key_value(name)) {
            for address in &link.addresses {
                let entry = InterfaceAddress { interface: name.clone(), address: address.assigned() };
                if address.duplicate {
                    detection.failed.push(entry);
                } else if address.tentative && link.up && link.carrier {
                    detection.running.push(entry);
                } else if address.tentative {
                    detection.stalled.push(entry);
                }
            }
        }
        detection
    }
}
