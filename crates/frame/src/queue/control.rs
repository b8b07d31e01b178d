//! Control frames: first, but never all.

use super::lists::{Frames, List};
use crate::pool::FrameBuf;

/// Of what is sent, control frames take at most one byte for this many of data while data waits.
const DATA_PER_CONTROL: usize = 4;
/// Bytes that control frames may always burst ahead of data.
const MAX_CREDIT: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Control {
    list: List,
    bytes: usize,
    memory: usize,
    limit_bytes: usize,
    limit_memory: usize,
    credit: usize,
    /// Bytes of data sent that are not worth a byte of credit yet.
    remainder: usize,
}

impl Control {
    pub(super) fn new(limit_bytes: usize, limit_memory: usize) -> Self {
        Self {
            list: List::default(),
            bytes: 0,
            memory: 0,
            limit_bytes,
            limit_memory,
            credit: MAX_CREDIT,
            remainder: 0,
        }
    }

    pub(super) fn has_room(&self, frame: &FrameBuf) -> bool {
        self.bytes + frame.len() <= self.limit_bytes && self.memory + frame.capacity() <= self.limit_memory
    }

    pub(super) fn push(&mut self, frames: &mut Frames, frame: FrameBuf) {
        self.bytes += frame.len();
        self.memory += frame.capacity();
        frames.push(&mut self.list, frame);
    }

    /// The next control frame, if it may go before the data that waits.
    pub(super) fn pop(&mut self, frames: &mut Frames, no_data: bool) -> Option<FrameBuf> {
        let len = frames.front(&self.list)?.len();
        if no_data {
            self.credit = MAX_CREDIT;
        } else {
            self.credit = self.credit.checked_sub(len)?;
        }
        let frame = frames.pop(&mut self.list)?;
        self.bytes -= frame.len();
        self.memory -= frame.capacity();
        Some(frame)
    }

    /// Counts data that has been sent.
    pub(super) fn earn(&mut self, bytes: usize) {
        let bytes = self.remainder + bytes;
        self.remainder = bytes % DATA_PER_CONTROL;
        self.credit = (self.credit + bytes / DATA_PER_CONTROL).min(MAX_CREDIT);
    }
}
