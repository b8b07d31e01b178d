//! Deficit round robin over flows, new ones first (RFC 8290 section 4).

use std::collections::VecDeque;

use super::codel::Codel;
use super::lists::{Frames, List};
use crate::pool::FrameBuf;

#[derive(Debug)]
pub(super) struct Flows {
    flows: Box<[Flow]>,
    /// Flows that have just begun to send, before those that have had a turn. Each flow is in at most one of the two, so
    /// they never grow.
    new: VecDeque<usize>,
    old: VecDeque<usize>,
    quantum: usize,
}

#[derive(Debug, Default)]
struct Flow {
    frames: List,
    codel: Codel,
    bytes: usize,
    memory: usize,
    /// Bytes that the flow may still send in its turn; may fall below zero by less than a frame.
    deficit: isize,
    listed: bool,
}

impl Flows {
    pub(super) fn new(flows: usize, quantum: usize) -> Self {
        let flows = flows.max(1);
        Self {
            flows: std::iter::repeat_with(Flow::default).take(flows).collect(),
            new: VecDeque::with_capacity(flows),
            old: VecDeque::with_capacity(flows),
            quantum: quantum.max(1),
        }
    }

    /// Whether no flow waits for its turn.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.old.is_empty()
    }

    pub(super) fn push(&mut self, frames: &mut Frames, hash: u64, frame: FrameBuf) {
        // The high half of the product spreads the hash evenly over any number of flows.
        let index = ((u128::from(hash) * self.flows.len() as u128) >> 64) as usize;
        let quantum = self.quantum;
        let flow = self.flow(index);
        flow.bytes += frame.len();
        flow.memory += frame.capacity();
        frames.push(&mut flow.frames, frame);
        if !flow.listed {
            flow.listed = true;
            flow.deficit = quantum.cast_signed();
            self.new.push_back(index);
        }
    }

    /// Takes the first frame of a flow, which keeps its turn.
    pub(super) fn pop(&mut self, frames: &mut Frames, index: usize) -> Option<FrameBuf> {
        let flow = self.flow(index);
        let frame = frames.pop(&mut flow.frames)?;
        flow.bytes -= frame.len();
        flow.memory -= frame.capacity();
        Some(frame)
    }

    /// The flow whose turn it is. [`Flows::charge`] what it sends, or [`Flows::retire`] it when it has nothing.
    pub(super) fn next(&mut self) -> Option<usize> {
        let mut passed = 0;
        loop {
            let is_new = !self.new.is_empty();
            let index = *if is_new { self.new.front() } else { self.old.front() }?;
            let quantum = self.quantum.cast_signed();
            let active = self.active();
            let flow = self.flow(index);
            if flow.deficit > 0 {
                return Some(index);
            }
            if passed == active {
                self.skip_rounds();
                passed = 0;
                continue;
            }
            flow.deficit += quantum;
            let _ = if is_new { self.new.pop_front() } else { self.old.pop_front() };
            self.old.push_back(index);
            passed += 1;
        }
    }

    /// Gives all flows at once the turns that pass before the first of them may send: after super-frames these are dozens.
    /// Each flow has just had a turn, so all are among the old ones.
    fn skip_rounds(&mut self) {
        let quantum = self.quantum.cast_signed();
        let owed = |flow: &Flow| if flow.deficit > 0 { 0 } else { 1 - flow.deficit / quantum };
        let Self { flows, old, .. } = self;
        let turns = old.iter().filter_map(|&index| flows.get(index)).map(owed).min().unwrap_or(0);
        for &index in &*old {
            if let Some(flow) = flows.get_mut(index) {
                flow.deficit += turns * quantum;
            }
        }
    }

    pub(super) fn charge(&mut self, index: usize, bytes: usize) {
        self.flow(index).deficit -= bytes.cast_signed();
    }

    /// Ends the turn of the flow that [`Flows::next`] returned, which is empty. A new flow stays for a turn among the old
    /// ones, or it could stay ahead of them for ever by sending a little at a time.
    pub(super) fn retire(&mut self, index: usize) {
        if self.new.front() == Some(&index) {
            self.new.pop_front();
            if !self.old.is_empty() {
                self.old.push_back(index);
                return;
            }
        } else {
            self.old.pop_front();
        }
        self.flow(index).listed = false;
    }

    /// The flow that holds most, in bytes of frames or of memory.
    pub(super) fn fattest(&self, by_memory: bool) -> Option<usize> {
        let weight = |flow: &Flow| if by_memory { flow.memory } else { flow.bytes };
        let (index, flow) = self.flows.iter().enumerate().max_by_key(|(_, flow)| weight(flow))?;
        (weight(flow) > 0).then_some(index)
    }

    pub(super) fn weight(&mut self, index: usize, by_memory: bool) -> usize {
        let flow = self.flow(index);
        if by_memory { flow.memory } else { flow.bytes }
    }

    /// Number of flows that have a turn.
    pub(super) fn active(&self) -> usize {
        self.new.len() + self.old.len()
    }

    /// Takes any frame at all, regardless of turns; ends the turns of flows that have none.
    pub(super) fn pop_any(&mut self, frames: &mut Frames) -> Option<FrameBuf> {
        loop {
            let index = *self.new.front().or(self.old.front())?;
            if let Some(frame) = self.pop(frames, index) {
                return Some(frame);
            }
            self.flow(index).codel.idle();
            self.retire(index);
        }
    }

    pub(super) fn codel(&mut self, index: usize) -> &mut Codel {
        &mut self.flow(index).codel
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the table never changes its length, and indices are made from it"
    )]
    fn flow(&mut self, index: usize) -> &mut Flow {
        &mut self.flows[index]
    }
}

#[cfg(test)]
mod tests;
