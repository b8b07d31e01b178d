//! The kernel's tap and tun devices behind the [`Device`] trait.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tapline_frame::pool::Landing;
use tapline_frame::{Mode, NetHeader};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use crate::attachment::Attachment;
use crate::queue::{CarrierSwitch, Queue};
use crate::{Device, FrameRef, FrameSink, MAX_FRAME, Offloads, Written, spare};

/// A tap or tun device of the kernel, or one queue of it; see [`crate::open`] and [`crate::MultiQueue`].
///
/// A frame read is copied once, by the kernel, into a buffer that the sink may keep; a frame written is copied once, by the
/// kernel, out of the caller's.
#[derive(Debug)]
pub struct KernelDevice {
    /// Dropped before `part`, so that the file leaves the reactor while it is open.
    reactor: Option<AsyncFd<Arc<File>>>,
    part: Part,
    mode: Mode,
    /// As the kernel was asked for them.
    offloads: Offloads,
    landing: Landing,
    unreadable: u64,
    /// As it was switched last; that of an interface with several queues is theirs together.
    carrier: bool,
}

/// What of the interface the device is.
#[derive(Debug)]
enum Part {
    Whole(Attachment),
    Queue(Queue),
}

impl KernelDevice {
    pub(crate) fn new(attachment: Attachment, mode: Mode, offloads: Offloads) -> Self {
        Self::of_part(Part::Whole(attachment), mode, offloads)
    }

    pub(crate) fn of_queue(queue: Queue, mode: Mode, offloads: Offloads) -> Self {
        Self::of_part(Part::Queue(queue), mode, offloads)
    }

    fn of_part(part: Part, mode: Mode, offloads: Offloads) -> Self {
        Self { reactor: None, part, mode, offloads, landing: Landing::new(), unreadable: 0, carrier: true }
    }

    /// Whether the interface stays when the device is dropped, because someone made it persistent before.
    pub fn is_persistent(&self) -> bool {
        self.attachment().persistent
    }

    /// Gives a tap that was created for this value an Ethernet address. One that persists keeps its own.
    ///
    /// # Errors
    /// The address is none of one interface, or the interface is gone.
    pub fn set_address(&self, address: [u8; 6]) -> io::Result<()> {
        self.attachment().set_address(address)
    }

    /// Frames taken from the kernel and thrown away so far: longer than [`MAX_FRAME`], or with a virtio-net header that
    /// no kernel known to Tapline produces.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Of a queue of several.
    pub fn carrier_switch(&self) -> Option<CarrierSwitch> {
        match &self.part {
            Part::Whole(_) => None,
            Part::Queue(queue) => Some(queue.carrier_switch()),
        }
    }

    fn attachment(&self) -> &Attachment {
        match &self.part {
            Part::Whole(attachment) => attachment,
            Part::Queue(queue) => queue.attachment(),
        }
    }

    /// One `read(2)`. Readiness is cleared by the one that finds the device empty, and by no other.
    fn read_some(&mut self) -> io::Result<()> {
        let Self { reactor, part, landing, offloads, .. } = self;
        let buffer = landing.clear(if offloads.checksum { NetHeader::LEN } else { 0 });
        match reactor {
            Some(reactor) => reactor.try_io(Interest::READABLE, |tun| spare::read(tun, buffer)),
            None => spare::read(part.reading_file(), buffer),
        }
    }

    /// The net header of what was read; `None` if that is no whole frame.
    fn landed_header(&self) -> Option<NetHeader> {
        // There is room for more, so that a frame which is too long is not taken for one that was cut off.
        const { assert!(MAX_FRAME < Landing::CAPACITY) };
        if self.landing.frame().len() > MAX_FRAME {
            return None;
        }
        if !self.offloads.checksum {
            return Some(NetHeader::default());
        }
        NetHeader::decode(self.landing.prefix()?).ok()
    }

    /// `false` when the frame must not or did not go out.
    fn write_one(&self, frame: &FrameRef<'_>) -> io::Result<bool> {
        if !frame.fits(self.mode, self.offloads) {
            return Ok(false);
        }
        let attachment = self.attachment();
        attachment.refusals.write(&attachment.name, self.mode, frame, |header, head, payload| {
            let header = header.encode();
            let slices = [IoSlice::new(&header), IoSlice::new(head), IoSlice::new(payload)];
            // Without offloads there is no header, and most often all is in one part.
            let first = usize::from(!self.offloads.checksum);
            let end = if payload.is_empty() { 2 } else { 3 };
            attachment.tun.as_ref().write_vectored(slices.get(first..end).unwrap_or_default()).map(drop)
        })
    }
}

impl Device for KernelDevice {
    /// The name at the time of opening; a later rename is not seen.
    fn name(&self) -> &str {
        &self.attachment().name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn offloads(&self) -> Offloads {
        self.attachment().refusals.leave(self.offloads)
    }

    /// # Errors
    /// No runtime here, or `ENODEV` once the interface has been deleted.
    ///
    /// # Panics
    /// When the runtime was built without I/O.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reactor = match &mut self.reactor {
            Some(reactor) => reactor,
            empty => empty.insert(register(self.part.reading_file())?),
        };
        // A device that lost its interface polls as an error and nothing else, which tokio shows as "write closed";
        // being registered for reading alone, it can show nothing else there.
        if reactor.poll_write_ready(cx)?.is_ready() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ENODEV)));
        }
        ready!(reactor.poll_read_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize> {
        let mut count = 0;
        loop {
            match self.read_some() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The kernel could not describe this frame in a virtio-net header and dropped it.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.unreadable += 1;
                    continue;
                }
                // The next call meets the same error.
                Err(_) if count > 0 => return Ok(count),
                Err(error) => return Err(error),
            }
            let Some(header) = self.landed_header() else {
                self.unreadable += 1;
                continue;
            };
            count += 1;
            if !sink.push_landed(&header, &mut self.landing) {
                return Ok(count);
            }
        }
    }

    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written> {
        let mut result = Written::default();
        for frame in frames {
            if self.write_one(frame)? {
                result.written += 1;
            } else {
                result.dropped += 1;
            }
        }
        Ok(result)
    }

    /// # Errors
    /// The interface is gone, or the kernel is older than 5.0.
    fn set_carrier(&mut self, up: bool) -> io::Result<()> {
        match &self.part {
            Part::Whole(attachment) => attachment.switch_carrier(&attachment.tun, up)?,
            Part::Queue(queue) => queue.set_carrier(up)?,
        }
        self.carrier = up;
        Ok(())
    }

    fn carrier_is_noted(&mut self) -> bool {
        match &self.part {
            Part::Whole(attachment) => attachment.carrier_is_noted(self.carrier),
            Part::Queue(queue) => queue.carrier_is_noted(),
        }
    }

    fn detach(&mut self) {
        self.reactor = None;
    }
}

impl Part {
    fn reading_file(&self) -> &Arc<File> {
        match self {
            Self::Whole(attachment) => &attachment.tun,
            Self::Queue(queue) => queue.file(),
        }
    }
}

#[allow(unsafe_code)]
fn register(tun: &Arc<File>) -> io::Result<AsyncFd<Arc<File>>> {
    Handle::try_current().map_err(io::Error::other)?;
    // SAFETY: the Arc keeps the one File, and so its descriptor, open for as long as the AsyncFd owns it.
    Ok(unsafe { AsyncFd::register_with_interest(Arc::clone(tun), Interest::READABLE) }?)
}
