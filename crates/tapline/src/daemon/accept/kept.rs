//! The device of one peer, whole or in queues, between this host and the sessions that have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use nix::net::if_::if_nametoindex;
use tapline_device::{CarrierSwitch, Device, MultiQueue, OpenError, OpenRequest, Unit};
use tapline_frame::Mode;
use tapline_frame::records::{BundleId, MAX_CHANNELS};
use tapline_transport::server::{DeviceRefused, DeviceRequest, Peer, SessionId};
use tapline_transport::tunnel::Lease;
use tokio::sync::mpsc;

use super::units::{Grant, Reserved, next_free, unit_of};
use crate::daemon::mac;

/// Queues lent at a time: twice what a link may have, as a connection may come back before its old session is over.
const MAX_LENT: usize = 2 * MAX_CHANNELS as usize;

/// A device that outlives the sessions to which it is lent.
pub(super) struct Kept {
    name: String,
    /// The kernel's number of the interface, if it was still there when it was asked for.
    index: Option<u32>,
    mode: Mode,
    source: Source,
    lent: usize,
    home: mpsc::UnboundedSender<Box<dyn Device>>,
    returned: mpsc::UnboundedReceiver<Box<dyn Device>>,
    claim: Claim,
    /// Who had each place of the link last.
    holders: BTreeMap<u8, Holder>,
}

/// Where the devices that are lent come from.
enum Source {
    /// There is one, and it may be lent.
    Single(Option<Box<dyn Device>>),
    /// A new queue for each, which is closed when it comes home.
    Queues(MultiQueue),
}

struct Holder {
    peer: Arc<Peer>,
    /// Of its queue.
    carrier: Option<CarrierSwitch>,
}

/// What a connection has to have in common with those before it to be joined with them. The bundle is the peer's word
/// alone; with the key beside it, it leads to nobody else's device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    bundle: Option<BundleId>,
    fingerprint: String,
    user: String,
    mode: Mode,
    unit: Unit,
}

impl Kept {
    /// Opens what is granted: one with queues for a link of several connections.
    pub(super) fn open(
        request: &DeviceRequest,
        grant: &Grant,
        reserved: &Reserved,
    ) -> Result<Self, DeviceRefused> {
        let end = mac::End::Accepted(&request.peer.name);
        let make = |wanted: OpenRequest, is_new| make(&wanted, is_new, request.bundle.is_some(), Some(end));
        let of = |unit| OpenRequest::new(request.mode, unit);
        let (name, source) = match grant {
            Grant::Called(name) => make(OpenRequest { name: Some(name.clone()), ..of(Unit::Any) }, false),
            Grant::Named(unit) => make(of(Unit::Number(*unit)), false),
            Grant::New(unit) => make(of(Unit::Number(*unit)), true),
            Grant::Any => {
                let taken = reserved.units(request.mode).union(&request.named_units).copied().collect();
                next_free(&taken, |unit, is_new| make(of(unit), is_new))
            }
        }
        .map_err(refused)?;
        let (home, returned) = mpsc::unbounded_channel();
        let claim = Claim::of(request);
        let mode = request.mode;
        let index = if_nametoindex(name.as_str()).ok();
        Ok(Self { name, index, mode, source, lent: 0, home, returned, claim, holders: BTreeMap::new() })
    }

    /// Whether the device that is granted, which is not ours yet, can be had.
    pub(super) fn can_be_had(mode: Mode, grant: &Grant) -> Result<(), DeviceRefused> {
        let wanted = match grant {
            Grant::Any => return Ok(()),
            Grant::Called(name) => {
                OpenRequest { name: Some(name.clone()), ..OpenRequest::new(mode, Unit::Any) }
            }
            Grant::Named(unit) | Grant::New(unit) => OpenRequest::new(mode, Unit::Number(*unit)),
        };
        make(&wanted, false, false, None).map(drop).map_err(refused)
    }

    /// The interface.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether nobody has deleted it.
    pub(super) fn is_there(&self) -> bool {
        self.index.is_some() && if_nametoindex(self.name.as_str()).ok() == self.index
    }

    /// The number in its name.
    pub(super) fn unit(&self) -> Option<u32> {
        unit_of(self.mode, &self.name)
    }

    /// Whether it is what is granted.
    pub(super) fn meets(&self, grant: &Grant) -> bool {
        grant.is_met_by(self.mode, &self.name)
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the request is for one more connection of the link that has the device.
    pub(super) fn is_joined_by(&self, request: &DeviceRequest) -> bool {
        request.bundle.is_some() && self.claim == Claim::of(request)
    }

    /// Whether another link of the same peer can have the device.
    pub(super) fn fits(&self, request: &DeviceRequest) -> bool {
        let has_queues = matches!(self.source, Source::Queues(_));
        self.mode == request.mode && (has_queues || request.bundle.is_none())
    }

    /// Another link has the device from now on.
    pub(super) fn begin_anew(&mut self, request: &DeviceRequest) {
        self.claim = Claim::of(request);
        self.holders.clear();
    }

    /// The device or a queue of it, and who had the same place in the link before.
    pub(super) fn lend(
        &mut self,
        request: &DeviceRequest,
    ) -> Result<(Lease, Option<Arc<Peer>>), DeviceRefused> {
        self.take_in();
        if self.lent >= MAX_LENT {
            return Err(DeviceRefused(format!("{} has its old connections still; try again", self.name)));
        }
        let (device, carrier): (Box<dyn Device>, _) = match &mut self.source {
            Source::Queues(interface) => {
                let queue = interface.queue().map_err(refused)?;
                let carrier = queue.carrier_switch();
                (Box::new(queue), carrier)
            }
            Source::Single(device) => (device.take().ok_or_else(|| self.in_use())?, None),
        };
        self.lent += 1;
        let lease = Lease::new(device, Some(self.home.clone()));
        let (place, lease) = match request.bundle {
            Some(member) => (member.number(), lease.bundled()),
            None => (1, lease),
        };
        let holder = Holder { peer: Arc::clone(&request.peer), carrier };
        let before = self.holders.insert(place, holder).filter(|before| !before.is(&request.peer));
        if let Some(carrier) = before.as_ref().and_then(|before| before.carrier.as_ref())
            && let Err(error) = carrier.set(false)
        {
            // At once, and not when its session has ended: the kernel would go on to send flows into a dead connection.
            tracing::debug!(device = self.name, %error, "cannot take a queue out");
        }
        Ok((lease, before.map(|before| before.peer)))
    }

    /// The device alone, which nobody keeps.
    pub(super) fn give_away(self) -> Result<Lease, DeviceRefused> {
        match self.source {
            Source::Single(Some(device)) => Ok(Lease::new(device, None)),
            Source::Single(None) | Source::Queues(_) => Err(self.in_use()),
        }
    }

    /// Whether no session has anything of it.
    pub(super) fn is_home(&mut self) -> bool {
        self.take_in();
        self.lent == 0
    }

    /// Waits until no session has anything of it. Cancel safe.
    pub(super) async fn comes_home(&mut self) {
        while self.lent > 0 {
            // Never the end, as `home` is here too.
            let Some(device) = self.returned.recv().await else { return };
            self.came_home(device);
        }
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.holders.values().map(|holder| &holder.peer)
    }

    /// Whether the session has been lent something of it and was not followed by another.
    pub(super) fn is_held_by(&self, session: SessionId) -> bool {
        self.holders.values().any(|holder| holder.peer.session == session)
    }

    fn take_in(&mut self) {
        while let Ok(device) = self.returned.try_recv() {
            self.came_home(device);
        }
    }

    fn came_home(&mut self, device: Box<dyn Device>) {
        self.lent = self.lent.saturating_sub(1);
        if let Source::Single(home) = &mut self.source {
            *home = Some(device);
        }
    }

    fn in_use(&self) -> DeviceRefused {
        DeviceRefused(format!("{} is in use", self.name))
    }
}

impl Holder {
    fn is(&self, peer: &Peer) -> bool {
        self.peer.session == peer.session
    }
}

impl Claim {
    fn of(request: &DeviceRequest) -> Self {
        Self {
            bundle: request.bundle.map(|member| member.bundle()),
            fingerprint: request.peer.fingerprint.clone(),
            user: request.peer.user.clone(),
            mode: request.mode,
            unit: request.unit,
        }
    }
}

/// A device, or with `queues` an interface of them; a new one is nobody else's. It gets the MAC address of `end`.
fn make(
    wanted: &OpenRequest,
    is_new: bool,
    queues: bool,
    end: Option<mac::End<'_>>,
) -> Result<(String, Source), OpenError> {
    let mode = wanted.mode;
    if queues {
        let interface = if is_new { MultiQueue::create(wanted) } else { MultiQueue::open(wanted) }?;
        let name = interface.name().to_owned();
        if let Some(end) = end {
            mac::settle(mode, &name, end, |address| interface.set_address(address));
        }
        return Ok((name, Source::Queues(interface)));
    }
    let device = if is_new { tapline_device::create(wanted) } else { tapline_device::open(wanted) }?;
    let name = device.name().to_owned();
    if let Some(end) = end {
        mac::settle(mode, &name, end, |address| device.set_address(address));
    }
    Ok((name, Source::Single(Some(Box::new(device)))))
}

fn refused(error: OpenError) -> DeviceRefused {
    DeviceRefused(error.to_string())
}
