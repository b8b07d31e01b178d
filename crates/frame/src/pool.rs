//! Owned frames in recycled buffers.

use std::time::Instant;

use crate::{Mode, NetHeader, segment};

/// Capacities of the buffers, in bytes: an ordinary frame, a jumbo frame or a cut super-frame, anything.
const CLASSES: [usize; 3] = [2 * 1024, 16 * 1024, 68 * 1024];

/// A frame with its net header, owned. Give it back to where it came from, so that its buffer is used again; dropping it
/// is safe and costs an allocation later.
#[derive(Debug)]
pub struct FrameBuf {
    pub header: NetHeader,
    storage: Vec<u8>,
    /// Where the frame starts in its buffer.
    start: usize,
    queued_at: Instant,
}

impl FrameBuf {
    pub fn bytes(&self) -> &[u8] {
        self.storage.get(self.start..).unwrap_or_default()
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.start..).unwrap_or_default()
    }

    /// Length of the frame in bytes.
    pub fn len(&self) -> usize {
        self.storage.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the frame holds.
    pub fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// When the frame came into being, by the clock of whoever made it.
    pub fn queued_at(&self) -> Instant {
        self.queued_at
    }

    /// Drops the first segment of a super-frame, see `segment::drop_first`. Returns whether there was another.
    pub(crate) fn drop_first_segment(&mut self, mode: Mode) -> bool {
        let mut header = self.header;
        let Some(dropped) = segment::drop_first(mode, &mut header, self.bytes_mut()) else { return false };
        self.header = header;
        self.start += dropped;
        true
    }
}

/// Buffers of a few sizes, kept for reuse. How many are out is for the owner to bound.
#[derive(Debug, Default)]
pub struct Pool {
    free: [Vec<Vec<u8>>; CLASSES.len()],
    retained: usize,
}

impl Pool {
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of `head` and, behind it, `tail` as one frame. Allocates only when no buffer of its size has been given back;
    /// `None` for a frame longer than any buffer.
    pub fn frame(&mut self, now: Instant, header: &NetHeader, head: &[u8], tail: &[u8]) -> Option<FrameBuf> {
        let class = class_for(head.len() + tail.len())?;
        let free = self.free.get_mut(class)?;
        let mut storage = match free.pop() {
            Some(storage) => {
                self.retained -= storage.capacity();
                storage
            }
            None => Vec::with_capacity(*CLASSES.get(class)?),
        };
        storage.extend_from_slice(head);
        storage.extend_from_slice(tail);
        Some(FrameBuf { header: *header, storage, start: 0, queued_at: now })
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, frame: FrameBuf) {
        let mut storage = frame.storage;
        storage.clear();
        let class = CLASSES.iter().position(|capacity| *capacity == storage.capacity());
        if let Some(free) = class.and_then(|class| self.free.get_mut(class)) {
            self.retained += storage.capacity();
            free.push(storage);
        }
    }

    /// Bytes of memory in buffers that wait for reuse.
    pub fn retained(&self) -> usize {
        self.retained
    }

    /// Frees waiting buffers, the largest first, until they hold at most `limit` bytes.
    pub fn shrink(&mut self, limit: usize) {
        for free in self.free.iter_mut().rev() {
            while self.retained > limit
                && let Some(storage) = free.pop()
            {
                self.retained -= storage.capacity();
            }
        }
    }
}

/// Bytes of memory that a frame of `len` bytes takes.
pub(crate) fn capacity_for(len: usize) -> Option<usize> {
    class_for(len).and_then(|class| CLASSES.get(class)).copied()
}

fn class_for(len: usize) -> Option<usize> {
    CLASSES.iter().position(|capacity| len <= *capacity)
}

#[cfg(test)]
mod tests;
