//! Joining consecutive segments of a flow into super-frames, as a kernel's GRO does, so that one write to a device
//! carries many frames.
//!
//! The rules are the kernel's or stricter: cutting the super-frame again yields the frames that went in, byte by byte
//! (but for the IPv4 identification where it has no meaning). Nothing ever waits: what is joined is what one batch holds.

mod candidate;
mod slot;

use crate::{Gso, Mode, NetHeader, Offloads};

use candidate::Candidate;
use slot::Slot;

/// Flows that are joined at the same time. Each may hold a buffer of 64 KiB.
const SLOTS: usize = 8;

/// Joins the frames of one batch for a device with offloads.
///
/// [`Coalescer::push`] the frames of a batch, then [`Coalescer::flush`]. The order of frames within a flow is kept; flows
/// may pass each other. Buffers are allocated when first needed and then kept.
#[derive(Debug)]
pub struct Coalescer {
    mode: Mode,
    offloads: Offloads,
    slots: [Slot; SLOTS],
    /// The slot that gives way when all are taken.
    victim: usize,
}

impl Coalescer {
    /// For a device that takes `offloads`; without any, frames pass untouched.
    pub fn new(mode: Mode, offloads: Offloads) -> Self {
        Self { mode, offloads, slots: Default::default(), victim: 0 }
    }

    /// Takes a frame with a header that [`NetHeader::check`] returned, and hands to `out` what is ready.
    pub fn push(&mut self, header: &NetHeader, frame: &[u8], mut out: impl FnMut(&NetHeader, &[u8])) {
        if !self.offloads.checksum || !(self.offloads.tso || self.offloads.uso) {
            return out(header, frame);
        }
        // A peer with offloads sends super-frames most of the time: they need no look at their flow.
        if header.gso != Gso::None && self.slots.iter().all(Slot::is_empty) {
            return out(header, frame);
        }
        let Some(candidate) = Candidate::find(self.mode, header, frame) else {
            return out(header, frame);
        };
        let joinable = candidate.is_joinable(self.offloads, frame);
        // Nothing may follow a pushed segment, so there is no use in holding it.
        let may_start = joinable && !candidate.is_pushed(frame);
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.holds(candidate.flow)) else {
            if may_start && let Some(slot) = self.free_slot(&mut out) {
                slot.start(header, frame, candidate);
            } else {
                out(header, frame);
            }
            return;
        };
        if joinable && slot.append(frame, &candidate) {
            if slot.is_complete() {
                slot.emit(&mut out);
            }
            return;
        }
        slot.emit(&mut out);
        if may_start {
            slot.start(header, frame, candidate);
        } else {
            out(header, frame);
        }
    }

    /// Hands out everything that is held: the end of a batch.
    pub fn flush(&mut self, mut out: impl FnMut(&NetHeader, &[u8])) {
        for slot in &mut self.slots {
            slot.emit(&mut out);
        }
    }

    fn free_slot(&mut self, out: &mut impl FnMut(&NetHeader, &[u8])) -> Option<&mut Slot> {
        let index = self.slots.iter().position(Slot::is_empty).unwrap_or_else(|| {
            self.victim = (self.victim + 1) % SLOTS;
            self.victim
        });
        let slot = self.slots.get_mut(index)?;
        slot.emit(out);
        Some(slot)
    }
}

#[cfg(test)]
mod tests;
