//! Two devices joined by bounded queues, for whole links in one process without privileges.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tapline_frame::{Mode, NetHeader};

use crate::{Device, FrameRef, FrameSink, Offloads, Written};

/// Frames that one direction of [`pair`] holds, the default `txqueuelen` of a tap.
pub const CAPACITY: usize = 1000;

/// A pair with every offload and queues of [`CAPACITY`] frames. What is written to one end is read from the other.
pub fn pair(mode: Mode) -> (MemoryDevice, MemoryDevice) {
    pair_with(mode, Offloads::ALL, CAPACITY)
}

/// A pair with these offloads and queues of `capacity` frames.
pub fn pair_with(mode: Mode, offloads: Offloads, capacity: usize) -> (MemoryDevice, MemoryDevice) {
    let [to_left, to_right] = [0, 1].map(|_| Arc::new(Mutex::new(Queue::new(capacity))));
    let left = MemoryDevice {
        name: "memory0".to_owned(),
        mode,
        offloads,
        incoming: Arc::clone(&to_left),
        outgoing: Arc::clone(&to_right),
    };
    let right =
        MemoryDevice { name: "memory1".to_owned(), mode, offloads, incoming: to_right, outgoing: to_left };
    (left, right)
}

/// One end of a pair. Dropping it is to the other end what deleting the interface is to a tap.
#[derive(Debug)]
pub struct MemoryDevice {
    name: String,
    mode: Mode,
    offloads: Offloads,
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
}

impl MemoryDevice {
    /// The carrier as the other end has set it; true at first.
    pub fn carrier(&self) -> bool {
        lock(&self.outgoing).carrier
    }
}

impl MemoryDevice {
    /// As a kernel that does not look at the other end's carrier before it is told to.
    pub fn note_carrier_late(&self, late: bool) {
        lock(&self.outgoing).notes_late = late;
    }
}

impl Device for MemoryDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// # Errors
    /// The other end is gone and all it wrote has been read.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = lock(&self.incoming);
        if !queue.frames.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if queue.closed {
            return Poll::Ready(Err(gone()));
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize> {
        let mut count = 0;
        loop {
            // Not locked while the sink runs: it may write to the other end.
            let mut queue = lock(&self.incoming);
            let Some((header, frame)) = queue.frames.pop_front() else {
                return if queue.closed && count == 0 { Err(gone()) } else { Ok(count) };
            };
            drop(queue);
            count += 1;
            if !sink.push(&header, &frame) {
                return Ok(count);
            }
        }
    }

    /// Frames are dropped when the queue is full and, as by the kernel, when the other end's carrier is off.
    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written> {
        let mut result = Written::default();
        let mut queue = lock(&self.outgoing);
        if queue.closed {
            return Err(gone());
        }
        for frame in frames {
            if queue.takes_frame() && frame.fits(self.mode, self.offloads) {
                queue.frames.push_back((frame.header, frame.bytes.to_vec()));
                result.written += 1;
            } else {
                result.dropped += 1;
            }
        }
        if result.written > 0 {
            queue.wake();
        }
        Ok(result)
    }

    fn set_carrier(&mut self, up: bool) -> io::Result<()> {
        let mut queue = lock(&self.incoming);
        if queue.closed {
            return Err(gone());
        }
        queue.carrier = up;
        Ok(())
    }

    fn carrier_is_noted(&mut self) -> bool {
        let queue = lock(&self.incoming);
        queue.carrier || !queue.notes_late
    }

    fn detach(&mut self) {
        lock(&self.incoming).reader = None;
    }
}

impl Drop for MemoryDevice {
    fn drop(&mut self) {
        for queue in [&self.incoming, &self.outgoing] {
            let mut queue = lock(queue);
            queue.closed = true;
            queue.wake();
        }
    }
}

/// One direction, with what its reader has to say to the writer.
#[derive(Debug)]
struct Queue {
    frames: VecDeque<(NetHeader, Vec<u8>)>,
    capacity: usize,
    reader: Option<Waker>,
    carrier: bool,
    notes_late: bool,
    closed: bool,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            capacity,
            reader: None,
            carrier: true,
            notes_late: false,
            closed: false,
        }
    }

    fn takes_frame(&self) -> bool {
        self.carrier && self.frames.len() < self.capacity
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A queue is whole between two statements, so a panic elsewhere does not spoil it.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a tap answers whose interface was deleted.
fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADFD)
}

#[cfg(test)]
mod tests;
