//! The device of one peer, whole or in queues, between this host and the sessions that have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use nix::net::if_::if_nametoindex;
use tapline_device::{CarrierSwitch, Device, MultiQueue, OffloadPolicy, OpenRequest, Unit};
use tapline_frame::Mode;
use tapline_frame::records::{BundleId, MAX_CHANNELS};
use tapline_transport::server::{DeviceRefused, DeviceRequest, Peer};
use tapline_transport::tunnel::Lease;
use tokio::sync::mpsc;

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
    /// Opens a device with `unit`, or under a name of its own: one with queues for a link of several connections.
    pub(super) fn open(
        request: &DeviceRequest,
        unit: Unit,
        set_name: Option<&str>,
    ) -> Result<Self, DeviceRefused> {
        let wanted = OpenRequest {
            mode: request.mode,
            unit,
            name: set_name.map(ToOwned::to_owned),
            offloads: OffloadPolicy::Probe,
        };
        let end = mac::End::Accepted(&request.peer.name);
        let (name, source) = if request.bundle.is_some() {
            let interface = MultiQueue::open(&wanted).map_err(refused)?;
            mac::settle(wanted.mode, interface.name(), end, |address| interface.set_address(address));
            (interface.name().to_owned(), Source::Queues(interface))
        } else {
            let device = tapline_device::open(&wanted).map_err(refused)?;
            mac::settle(wanted.mode, device.name(), end, |address| device.set_address(address));
            let name = device.name().to_owned();
            (name, Source::Single(Some(Box::new(device))))
        };
        let (home, returned) = mpsc::unbounded_channel();
        let claim = Claim::of(request);
        let mode = request.mode;
        let index = if_nametoindex(name.as_str()).ok();
        Ok(Self { name, index, mode, source, lent: 0, home, returned, claim, holders: BTreeMap::new() })
    }

    /// The interface.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether nobody has deleted it.
    pub(super) fn is_there(&self) -> bool {
        self.index.is_some() && if_nametoindex(self.name.as_str()).ok() == self.index
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

fn refused(error: tapline_device::OpenError) -> DeviceRefused {
    DeviceRefused(error.to_string())
}
