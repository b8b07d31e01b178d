//! Tap and tun devices with the semantics of OpenSSH's `TunnelDevice`. The only crate with ioctls.

mod attachment;
pub mod faults;
#[allow(unsafe_code)]
mod ioctl;
mod kernel;
mod limits;
pub mod memory;
mod open;
pub mod pcap;
mod queue;
mod refusals;
#[allow(unsafe_code)]
mod spare;

use std::io;
use std::task::{Context, Poll};

use tapline_frame::pool::Landing;
use tapline_frame::{Mode, NetHeader};

pub use attachment::clear_offloads;
pub use kernel::KernelDevice;
pub use limits::{MAX_FRAME, MIN_ETHERNET_FRAME};
pub use open::{OffloadPolicy, OpenError, OpenRequest, Unit, create, open};
pub use queue::{CarrierSwitch, MultiQueue};
pub use tapline_frame::Offloads;

/// A network device as the transport sees it: frames in, frames out, never blocking.
///
/// Whoever holds the device owns it; nothing here is shared between threads. It registers itself with the reactor of the
/// runtime that first polls it, and may move to another runtime after [`Device::detach`].
pub trait Device: Send + std::fmt::Debug {
    /// The interface's name, as `ip link` shows it.
    fn name(&self) -> &str;

    fn mode(&self) -> Mode;

    /// What a frame written to this device may leave undone. It becomes less when the kernel turns out to refuse what it
    /// offered; what was told of it before is still taken, at the price of being cut here.
    fn offloads(&self) -> Offloads;

    /// Ready when [`Device::read_batch`] may return a frame. Cancel safe.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Hands frames to `sink`, in order, until the device is empty or `sink` wants no more. Returns their number;
    /// 0 means the device was empty and readiness has been cleared.
    ///
    /// A frame is borrowed for the call of the sink alone.
    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize>;

    /// Writes the frames in order and returns what became of them. A frame that the kernel refuses
    /// (interface down, malformed) counts as dropped and does not stop the batch.
    ///
    /// # Errors
    /// Only when the device itself is gone.
    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written>;

    /// Switches the interface's carrier, so that the kernel sees a cable plugged or pulled. Where the device is one queue
    /// of several, the interface has carrier while any of them has.
    fn set_carrier(&mut self, up: bool) -> io::Result<()>;

    /// Whether the kernel's network stack has taken note that the carrier is off, if it is. A carrier that is on again
    /// before that was never off to it: it goes on to use neighbours that may not be there any more. The kernel looks
    /// once a second at most; one that is newer than 6.4 looks when this asks.
    fn carrier_is_noted(&mut self) -> bool {
        true
    }

    /// Deregisters from the current reactor, so that the device may be polled on another runtime.
    fn detach(&mut self);
}

/// Takes the frames of one [`Device::read_batch`].
pub trait FrameSink {
    /// Returns `false` when no further frame is wanted now; this one has been taken either way.
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool;

    /// As [`FrameSink::push`], for a frame that is alone in its buffer: a sink that keeps the frame may keep the buffer.
    fn push_landed(&mut self, header: &NetHeader, landing: &mut Landing) -> bool {
        self.push(header, landing.frame())
    }
}

/// One frame (ethernet) or packet (point-to-point) to write, without prefix or frame check sequence.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'a> {
    pub header: NetHeader,
    pub bytes: &'a [u8],
}

/// What [`Device::write_batch`] did, in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub written: usize,
    pub dropped: usize,
}
