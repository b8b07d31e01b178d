//! The standing queue of a link: per-flow fair queueing with CoDel (RFC 8290, RFC 8289).
//!
//! Drain the device into it, then take frames out as the connection has room. Flows share by bytes, so that a super-frame
//! counts as much as the frames it stands for; congestion is signalled by an ECN mark where the packet allows it and
//! otherwise by dropping one segment, not the super-frame around it. Frames that keep the network alive go first, up to a
//! fifth of what is sent.
//!
//! There is no clock in here: `now` comes from the caller and may not go backwards.

mod codel;
mod control;
mod flows;
mod lists;
mod settings;

use std::time::{Duration, Instant};

use crate::pool::{self, FrameBuf, Landing, Pool};
use crate::view::{Class, Layout};
use crate::{Mode, NetHeader, guard};

use codel::Backlog;
use control::Control;
use flows::Flows;
use lists::Frames;

pub use settings::{Outcome, Settings, Stats};

/// A fair queue of frames in one direction of one link. Owned by one thread.
#[derive(Debug)]
pub struct FairQueue {
    mode: Mode,
    settings: Settings,
    pool: Pool,
    frames: Frames,
    flows: Flows,
    control: Control,
    bytes: usize,
    memory: usize,
    stats: Stats,
}

impl FairQueue {
    pub fn new(mode: Mode, settings: Settings) -> Self {
        Self {
            mode,
            pool: Pool::new(),
            frames: Frames::default(),
            flows: Flows::new(settings.flows, settings.quantum),
            control: Control::new(settings.control_bytes, settings.limit_memory / 4),
            bytes: 0,
            memory: 0,
            stats: Stats::default(),
            settings,
        }
    }

    /// Takes a copy of a frame.
    pub fn enqueue(&mut self, now: Instant, header: &NetHeader, frame: &[u8]) -> Outcome {
        self.enqueue_parts(now, header, frame, &[])
    }

    /// Takes a copy of a frame that comes as headers and payload, as [`crate::segment::segment`] hands it out.
    pub fn enqueue_parts(
        &mut self,
        now: Instant,
        header: &NetHeader,
        head: &[u8],
        payload: &[u8],
    ) -> Outcome {
        self.make_room(head.len() + payload.len());
        let frame = self.pool.frame(now, header, head, payload);
        self.enqueue_frame(frame)
    }

    /// Takes the frame in `landing`, and the buffer with it if the frame is large.
    pub fn enqueue_landed(&mut self, now: Instant, header: &NetHeader, landing: &mut Landing) -> Outcome {
        self.make_room(landing.frame().len());
        let frame = self.pool.landed(now, header, landing);
        self.enqueue_frame(frame)
    }

    /// Takes the next frame to send. CoDel may drop some before it.
    ///
    /// Give the frame back with [`FairQueue::recycle`] when it has been sent.
    pub fn dequeue(&mut self, now: Instant) -> Option<FrameBuf> {
        let no_data = self.flows.is_empty();
        let frame = self
            .dequeue_control(no_data)
            .or_else(|| self.dequeue_data(now))
            // CoDel may have found nothing worth sending.
            .or_else(|| self.dequeue_control(true))?;
        self.stats.dequeued_frames += 1;
        self.stats.dequeued_bytes += frame.len() as u64;
        self.stats.last_delay = now.saturating_duration_since(frame.queued_at());
        Some(frame)
    }

    /// Takes back the buffer of a dequeued frame.
    pub fn recycle(&mut self, frame: FrameBuf) {
        self.recycle_storage(frame.into_storage().0);
    }

    /// Takes back a buffer that was parted from its frame.
    pub fn recycle_storage(&mut self, storage: Vec<u8>) {
        if self.memory + self.pool.retained() + storage.capacity() <= self.settings.limit_memory {
            self.pool.recycle_storage(storage);
        }
    }

    /// Drops everything that waits: what a link does when it breaks, so that nothing stale is sent after.
    pub fn clear(&mut self) {
        while let Some(frame) = self.dequeue_control(true) {
            self.stats.dropped_clear += 1;
            self.recycle(frame);
        }
        while let Some(frame) = self.flows.pop_any(&mut self.frames) {
            self.leave(&frame);
            self.stats.dropped_clear += 1;
            self.recycle(frame);
        }
    }

    /// Follows a path whose delay has become known: see [`Settings::target`] and [`Settings::interval`].
    pub fn set_target(&mut self, target: Duration, interval: Duration) {
        self.settings.target = target;
        self.settings.interval = interval;
    }

    /// Bounds the waiting bytes anew: see [`Settings::limit_bytes`]. What is too much goes with the next frame that comes.
    pub fn set_limit_bytes(&mut self, bytes: usize) {
        self.settings.limit_bytes = bytes;
    }

    /// Bytes of the frames that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of frames that wait; a super-frame is one.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.len() == 0
    }

    /// Bytes of memory in buffers, those that wait for reuse included.
    pub fn memory(&self) -> usize {
        self.memory + self.pool.retained()
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Waiting buffers give way before the memory bound is passed; those of this size are about to be used.
    fn make_room(&mut self, frame_len: usize) {
        let Some(capacity) = pool::capacity_for(frame_len) else { return };
        let others = self.settings.limit_memory.saturating_sub(self.memory).max(capacity);
        if self.pool.retained() > others {
            self.pool.shrink(others);
        }
    }

    /// `None`: what no buffer is large enough for.
    fn enqueue_frame(&mut self, frame: Option<FrameBuf>) -> Outcome {
        let Some(frame) = frame else { return self.refuse() };
        if guard::check(self.mode, frame.bytes()).is_err() {
            self.recycle(frame);
            return self.refuse();
        }
        self.bytes += frame.len();
        self.memory += frame.capacity();
        self.stats.enqueued_frames += 1;
        self.stats.enqueued_bytes += frame.len() as u64;

        let layout = Layout::parse(self.mode, frame.bytes());
        let is_control = layout.class(self.mode, frame.bytes()) == Class::Control;
        if is_control && self.control.has_room(&frame) {
            self.stats.control_frames += 1;
            self.control.push(&mut self.frames, frame);
        } else {
            self.stats.control_demoted += u64::from(is_control);
            let hash = layout.flow_hash(frame.bytes(), self.settings.seed);
            self.flows.push(&mut self.frames, hash, frame);
        }
        Outcome { queued: true, evicted: self.evict() }
    }

    fn refuse(&mut self) -> Outcome {
        self.stats.dropped_unfit += 1;
        Outcome { queued: false, evicted: 0 }
    }

    /// Drops from the heads of the fattest flows until the queue is within its bounds. Returns the number of frames.
    fn evict(&mut self) -> usize {
        let mut evicted = 0;
        while self.bytes > self.settings.limit_bytes || self.memory > self.settings.limit_memory {
            let by_memory = self.memory > self.settings.limit_memory;
            let Some(victim) = self.flows.fattest(by_memory) else { break };
            // Finding the fattest flow looks at all of them, so it gives way for a while, though by no more than half.
            let keep = self.flows.weight(victim, by_memory) / 2;
            let (bytes, memory) = self.settings.relieved();
            while let Some(frame) = self.flows.pop(&mut self.frames, victim) {
                self.leave(&frame);
                self.recycle(frame);
                evicted += 1;
                let relieved = self.bytes <= bytes && self.memory <= memory;
                if relieved || self.flows.weight(victim, by_memory) <= keep {
                    break;
                }
            }
        }
        self.stats.dropped_overflow += evicted as u64;
        evicted
    }

    fn dequeue_control(&mut self, no_data: bool) -> Option<FrameBuf> {
        let frame = self.control.pop(&mut self.frames, no_data)?;
        self.leave(&frame);
        Some(frame)
    }

    fn dequeue_data(&mut self, now: Instant) -> Option<FrameBuf> {
        loop {
            let flow = self.flows.next()?;
            if let Some(frame) = self.dequeue_flow(now, flow) {
                self.flows.charge(flow, frame.len());
                self.control.earn(frame.len());
                return Some(frame);
            }
            self.flows.retire(flow);
        }
    }

    /// The next frame of a flow that CoDel lets pass.
    fn dequeue_flow(&mut self, now: Instant, flow: usize) -> Option<FrameBuf> {
        loop {
            let backlog = self.bytes;
            let Some(mut frame) = self.flows.pop(&mut self.frames, flow) else {
                self.flows.codel(flow).idle();
                return None;
            };
            self.leave(&frame);
            let delay = now.saturating_duration_since(frame.queued_at());
            let backlog = if self.fills(flow, backlog, &frame) {
                Backlog::Filling
            } else if backlog > self.settings.mtu.max(frame.len()) {
                Backlog::Standing
            } else {
                Backlog::Single
            };
            loop {
                if !self.flows.codel(flow).is_due(now, delay, backlog, &self.settings) {
                    return Some(frame);
                }
                if self.settings.ecn && mark(self.mode, &mut frame) {
                    self.stats.marked += 1;
                    return Some(frame);
                }
                self.stats.dropped_codel += 1;
                if !frame.drop_first_segment(self.mode) {
                    break;
                }
            }
            self.recycle(frame);
        }
    }

    /// Whether the queue is half full, and the flow has at least its share in that.
    fn fills(&mut self, flow: usize, backlog: usize, frame: &FrameBuf) -> bool {
        let half_full =
            backlog > self.settings.limit_bytes / 2 || self.memory > self.settings.limit_memory / 2;
        half_full
            && (self.flows.weight(flow, false) + frame.len()).saturating_mul(self.flows.active()) >= backlog
    }

    fn leave(&mut self, frame: &FrameBuf) {
        self.bytes -= frame.len();
        self.memory -= frame.capacity();
    }
}

fn mark(mode: Mode, frame: &mut FrameBuf) -> bool {
    Layout::parse(mode, frame.bytes()).ip.is_some_and(|ip| ip.mark_ce(frame.bytes_mut()))
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
