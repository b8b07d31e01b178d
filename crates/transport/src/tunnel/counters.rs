use std::sync::atomic::{AtomicU64, Ordering};

/// What one tunnel has carried. Written by the session's thread alone and read by any, so that a reader sees each
/// number whole, if not all of one instant.
#[derive(Debug, Default)]
pub struct Counters {
    pub sent: Flow,
    pub received: Flow,
    /// Frames read from the device that did not reach the peer.
    pub send_drops: Counter,
    /// Frames from the peer that did not reach the device: malformed, or refused by the kernel.
    pub receive_drops: Counter,
    /// Packets from the peer behind an address family that is not OpenBSD's for their version. They were delivered.
    pub odd_families: Counter,
    /// Packets that were marked (ECN) because they had waited too long, in place of being dropped.
    pub marked: Counter,
}

#[derive(Debug, Default)]
pub struct Flow {
    pub frames: Counter,
    /// Bytes of frames, without what SSH adds.
    pub bytes: Counter,
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// With a single writer a load and a store suffice; a locked addition costs ten times as much.
    pub(crate) fn add(&self, amount: usize) {
        self.0.store(self.read().wrapping_add(amount as u64), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Flow {
    pub(crate) fn add(&self, frames: usize, bytes: usize) {
        self.frames.add(frames);
        self.bytes.add(bytes);
    }
}
