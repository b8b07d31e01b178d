//! Owned frames in recycled buffers.

use std::time::Instant;

use crate::{Mode, NetHeader, segment};

/// Capacities of the buffers, in bytes: an ordinary frame, a jumbo frame or a cut super-frame, anything.
const CLASSES: [usize; 3] = [2 * 1024, 16 * 1024, LARGEST];
const LARGEST: usize = 68 * 1024;
/// A frame of this length, in bytes, is worth a buffer of the largest class.
const LARGE: usize = 24 * 1024;

/// Bytes of room in front of every frame, for what it is sent behind.
pub const HEADROOM: usize = 64;

/// A frame with its net header, owned. Give it back to where it came from, so that its buffer is used again; dropping it
/// is safe and costs an allocation later.
#[derive(Debug)]
pub struct FrameBuf {
    pub header: NetHeader,
    storage: Vec<u8>,
    /// Where the frame starts in its buffer: [`HEADROOM`] or more.
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

    /// Whether it is so long that it should rather be sent where it is than be copied.
    pub fn is_large(&self) -> bool {
        self.len() >= LARGE
    }

    /// The buffer, and where in it the frame starts; it ends with the buffer. For [`Pool::recycle_storage`].
    pub fn into_storage(self) -> (Vec<u8>, usize) {
        (self.storage, self.start)
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

/// A large buffer that takes one frame after the other. A frame that is long enough leaves with the buffer, see
/// [`Pool::landed`]; others are copied out of it.
#[derive(Debug)]
pub struct Landing {
    storage: Vec<u8>,
}

impl Landing {
    /// The longest frame that fits, in bytes.
    pub const CAPACITY: usize = LARGEST - HEADROOM;

    pub fn new() -> Self {
        Self { storage: Vec::with_capacity(LARGEST) }
    }

    /// Where the next frame goes: whatever is appended is the frame, behind `prefix` bytes (at most [`HEADROOM`]) that
    /// are none of it.
    pub fn clear(&mut self, prefix: usize) -> &mut Vec<u8> {
        debug_assert!(prefix <= HEADROOM, "the prefix takes the place of the room in front");
        self.storage.clear();
        self.storage.reserve(LARGEST);
        self.storage.resize(HEADROOM.saturating_sub(prefix), 0);
        &mut self.storage
    }

    /// The `N` bytes in front of the frame.
    pub fn prefix<const N: usize>(&self) -> Option<&[u8; N]> {
        self.storage.get(HEADROOM.checked_sub(N)?..HEADROOM)?.try_into().ok()
    }

    pub fn frame(&self) -> &[u8] {
        self.storage.get(HEADROOM..).unwrap_or_default()
    }
}

impl Default for Landing {
    fn default() -> Self {
        Self::new()
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
        let mut storage = self.storage(class_for(head.len() + tail.len())?)?;
        storage.resize(HEADROOM, 0);
        storage.extend_from_slice(head);
        storage.extend_from_slice(tail);
        Some(FrameBuf { header: *header, storage, start: HEADROOM, queued_at: now })
    }

    /// The frame in `landing`, without a copy if it is large: then the landing gets another buffer.
    pub fn landed(&mut self, now: Instant, header: &NetHeader, landing: &mut Landing) -> Option<FrameBuf> {
        if landing.frame().len() < LARGE {
            return self.frame(now, header, landing.frame(), &[]);
        }
        let next = self.storage(CLASSES.len() - 1)?;
        let storage = std::mem::replace(&mut landing.storage, next);
        Some(FrameBuf { header: *header, storage, start: HEADROOM, queued_at: now })
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, frame: FrameBuf) {
        self.recycle_storage(frame.storage);
    }

    /// Takes a buffer back that was parted from its frame.
    pub fn recycle_storage(&mut self, mut storage: Vec<u8>) {
        storage.clear();
        let class = CLASSES.iter().position(|capacity| *capacity == storage.capacity());
        if let Some(free) = class.and_then(|class| self.free.get_mut(class)) {
            self.retained += storage.capacity();
            free.push(storage);
        }
    }

    /// An empty buffer.
    fn storage(&mut self, class: usize) -> Option<Vec<u8>> {
        if let Some(storage) = self.free.get_mut(class)?.pop() {
            self.retained -= storage.capacity();
            return Some(storage);
        }
        Some(Vec::with_capacity(*CLASSES.get(class)?))
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
    CLASSES.iter().position(|capacity| HEADROOM + len <= *capacity)
}

#[cfg(test)]
mod tests;
