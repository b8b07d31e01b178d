//! Interfaces with several queues, for links whose flows are spread over several threads.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tapline_frame::Mode;

use crate::attachment::{Attachment, Queueing, attach_queue};
use crate::open::Target;
use crate::{KernelDevice, Offloads, OpenError, OpenRequest, ioctl};

/// An interface whose frames the kernel spreads over queues by flow. Each queue is a [`crate::Device`] of its own, for a
/// thread of its own.
///
/// A queue takes part while its carrier is on: then the kernel gives it its share of the flows, and each flow goes to one
/// queue alone for as long as the same queues take part. The interface stays while any of its queues or this value lives.
#[derive(Debug)]
pub struct MultiQueue {
    shared: Arc<Shared>,
}

/// Switches the carrier of one queue from another thread than the one that has the device.
#[derive(Debug, Clone)]
pub struct CarrierSwitch(Weak<End>);

/// One queue of a [`MultiQueue`].
#[derive(Debug)]
pub(crate) struct Queue(Arc<End>);

#[derive(Debug)]
struct End {
    tun: Arc<File>,
    shared: Arc<Shared>,
    /// Changed while [`Shared::taking_part`] is held.
    takes_part: AtomicBool,
}

/// What the queues of an interface have in common.
#[derive(Debug)]
struct Shared {
    /// All frames are written to this file, which is no queue in use. The kernel takes a frame that comes from a queue for
    /// a sign that the flow's answers are to go there; with both ends of a link following each other so, a flow whose
    /// directions happen to be on two connections would change places for ever. What comes from no queue leaves the
    /// choice to the hash of the flow.
    writer: Attachment,
    mode: Mode,
    offloads: Offloads,
    /// How many queues take part. Not locked for a frame.
    taking_part: Mutex<usize>,
}

impl MultiQueue {
    /// As [`crate::open`], for a device that exists with `multi_queue` or is created so. The interface has no carrier until
    /// one of its queues has.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is left behind. A device that another process has is refused, but not one that another
    /// takes at the same moment.
    pub fn open(request: &OpenRequest) -> Result<Self, OpenError> {
        Self::of(&Target::of(request)?, request)
    }

    /// As [`MultiQueue::open`], but never uses a device that exists.
    ///
    /// # Errors
    /// As there, and [`OpenError::Exists`].
    pub fn create(request: &OpenRequest) -> Result<Self, OpenError> {
        Self::of(&Target { is_new: true, ..Target::of(request)? }, request)
    }

    fn of(target: &Target, request: &OpenRequest) -> Result<Self, OpenError> {
        let (writer, offloads) = Attachment::with_offloads(target, Queueing::Multi, request.offloads)?;
        let set_up = |source| OpenError::SetUp { interface: writer.name.clone(), source };
        ioctl::set_carrier(&writer.tun, false).map_err(set_up)?;
        ioctl::set_queue(&writer.tun, false).map_err(set_up)?;
        let shared = Shared { writer, mode: target.mode, offloads, taking_part: Mutex::new(0) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The interface's name at the time of opening.
    pub fn name(&self) -> &str {
        &self.shared.writer.name
    }

    /// As [`KernelDevice::set_address`].
    ///
    /// # Errors
    /// As there.
    pub fn set_address(&self, address: [u8; 6]) -> io::Result<()> {
        self.shared.writer.set_address(address)
    }

    pub fn mode(&self) -> Mode {
        self.shared.mode
    }

    /// Another queue, without carrier, in the network namespace of the calling thread, which has to be the interface's.
    ///
    /// # Errors
    /// The interface is gone, or has 256 queues.
    pub fn queue(&self) -> Result<KernelDevice, OpenError> {
        let Shared { writer, mode, offloads, .. } = &*self.shared;
        let tun = Arc::new(attach_queue(*mode, writer)?);
        let end = End { tun, shared: Arc::clone(&self.shared), takes_part: AtomicBool::new(false) };
        Ok(KernelDevice::of_queue(Queue(Arc::new(end)), *mode, *offloads))
    }
}

impl CarrierSwitch {
    /// As [`crate::Device::set_carrier`]. Does nothing once the device is gone.
    ///
    /// # Errors
    /// The interface is gone.
    pub fn set(&self, up: bool) -> io::Result<()> {
        self.0.upgrade().map_or(Ok(()), |end| end.set_carrier(up))
    }
}

impl Queue {
    /// The interface, and the file to write to.
    pub(crate) fn attachment(&self) -> &Attachment {
        &self.0.shared.writer
    }

    /// The file to read from.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.0.tun
    }

    pub(crate) fn set_carrier(&self, up: bool) -> io::Result<()> {
        self.0.set_carrier(up)
    }

    pub(crate) fn carrier_is_noted(&self) -> bool {
        let carrier = *self.0.shared.taking_part() > 0;
        self.0.shared.writer.carrier_is_noted(carrier)
    }

    pub(crate) fn carrier_switch(&self) -> CarrierSwitch {
        CarrierSwitch(Arc::downgrade(&self.0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // The interface may be gone; then the queue is too.
        let _ = self.set_carrier(false);
    }
}

impl End {
    /// # Errors
    /// The interface is gone, or the kernel is older than 5.0.
    fn set_carrier(&self, up: bool) -> io::Result<()> {
        // Held throughout, so that the carrier is what the last change of any queue makes it.
        let mut taking_part = self.shared.taking_part();
        if self.takes_part.load(Ordering::Relaxed) == up {
            return Ok(());
        }
        if up {
            ioctl::set_queue(&self.tun, true)?;
            self.takes_part.store(true, Ordering::Relaxed);
            *taking_part += 1;
            // The kernel refuses a carrier without a queue.
            return if *taking_part == 1 {
                self.shared.writer.switch_carrier(&self.tun, true)
            } else {
                Ok(())
            };
        }
        self.takes_part.store(false, Ordering::Relaxed);
        *taking_part -= 1;
        let pulled =
            if *taking_part == 0 { self.shared.writer.switch_carrier(&self.tun, false) } else { Ok(()) };
        ioctl::set_queue(&self.tun, false).and(pulled)
    }
}

impl Shared {
    /// A number is whole whatever became of the thread that changed it.
    fn taking_part(&self) -> MutexGuard<'_, usize> {
        self.taking_part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
