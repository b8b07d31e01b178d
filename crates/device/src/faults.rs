//! A device that loses, doubles, damages and refuses frames, on top of any other.

use std::io;
use std::task::{Context, Poll};

use tapline_frame::{Gso, Mode, NetHeader};

use crate::refusals::Refusals;
use crate::{Device, FrameRef, FrameSink, Offloads, Written};

/// How many frames in a thousand meet each fault, and which meet one always; none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    pub lost: u16,
    pub doubled: u16,
    /// One bit of the frame is flipped.
    pub damaged: u16,
    pub invalid: Invalid,
}

/// Which super-frames are refused with `EINVAL`, always, as some kernels do that offer to take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Invalid {
    #[default]
    None,
    All,
    Udp,
    /// Whose last segment has fewer bytes than this.
    ShorterTail(u16),
    /// The check of Linux 6.6: divided by a segment's length the frame's leaves a rest within the headers.
    ShortRest,
    /// Partial checksums too.
    Undone,
}

/// Applies [`Faults`] to frames read and frames written; the same seed gives the same faults.
///
/// A lost frame counts as written, for on a real wire nobody would know.
#[derive(Debug)]
pub struct FaultyDevice<D> {
    device: D,
    dice: Dice,
    refusals: Refusals,
    refused: usize,
}

impl<D: Device> FaultyDevice<D> {
    pub fn new(device: D, faults: Faults, seed: u64) -> Self {
        Self { device, dice: Dice { faults, state: seed }, refusals: Refusals::default(), refused: 0 }
    }
}

impl<D: Device> FaultyDevice<D> {
    /// How many writes were answered with `EINVAL`.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// As [`crate::KernelDevice`] writes, to a kernel that refuses.
    fn pass(&mut self, frame: &FrameRef<'_>) -> io::Result<Written> {
        let Self { device, dice, refusals, refused } = self;
        let (name, mode) = (device.name().to_owned(), device.mode());
        let written = refusals.write(&name, mode, frame, |header, head, payload| {
            let bytes = [head, payload].concat();
            if dice.faults.invalid.refuses(header, bytes.len()) {
                *refused += 1;
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            let written = device.write_batch(&[FrameRef { header: *header, bytes: &bytes }])?;
            if written.written == 1 { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
        })?;
        Ok(Written { written: usize::from(written), dropped: usize::from(!written) })
    }
}

impl Invalid {
    fn refuses(self, header: &NetHeader, len: usize) -> bool {
        let segment = usize::from(header.gso_size).max(1);
        let is_super_frame = header.gso != Gso::None;
        match self {
            Self::None => false,
            Self::All => is_super_frame,
            Self::Udp => header.gso == Gso::UdpL4,
            Self::ShorterTail(least) => {
                let payload = len.saturating_sub(usize::from(header.hdr_len));
                let tail = payload - payload.saturating_sub(1) / segment * segment;
                is_super_frame && tail < usize::from(least)
            }
            Self::ShortRest => {
                let needed = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
                is_super_frame && (1..=needed).contains(&(len % segment))
            }
            Self::Undone => !header.is_plain(),
        }
    }
}

impl<D: Device> Device for FaultyDevice<D> {
    fn name(&self) -> &str {
        self.device.name()
    }

    fn mode(&self) -> Mode {
        self.device.mode()
    }

    fn offloads(&self) -> Offloads {
        self.refusals.leave(self.device.offloads())
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.device.poll_readable(cx)
    }

    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize> {
        let mut faulty = FaultySink { sink, dice: &mut self.dice, pushed: 0 };
        self.device.read_batch(&mut faulty)?;
        Ok(faulty.pushed)
    }

    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written> {
        let mut result = Written::default();
        for frame in frames {
            let one = match self.dice.roll(frame.bytes) {
                Fate::Lost => Written { written: 1, dropped: 0 },
                Fate::Whole => self.pass(frame)?,
                Fate::Damaged(bytes) => self.pass(&FrameRef { bytes: &bytes, ..*frame })?,
                Fate::Doubled => {
                    self.pass(frame)?;
                    self.pass(frame)?
                }
            };
            result.written += one.written;
            result.dropped += one.dropped;
        }
        Ok(result)
    }

    fn set_carrier(&mut self, up: bool) -> io::Result<()> {
        self.device.set_carrier(up)
    }

    fn carrier_is_noted(&mut self) -> bool {
        self.device.carrier_is_noted()
    }

    fn detach(&mut self) {
        self.device.detach();
    }
}

struct FaultySink<'a> {
    sink: &'a mut dyn FrameSink,
    dice: &'a mut Dice,
    pushed: usize,
}

impl FaultySink<'_> {
    fn pass(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.pushed += 1;
        self.sink.push(header, frame)
    }
}

impl FrameSink for FaultySink<'_> {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        match self.dice.roll(frame) {
            Fate::Lost => true,
            Fate::Whole => self.pass(header, frame),
            Fate::Damaged(bytes) => self.pass(header, &bytes),
            // The second goes only where it is wanted: no sink is pushed to after it had enough.
            Fate::Doubled => self.pass(header, frame) && self.pass(header, frame),
        }
    }
}

enum Fate {
    Whole,
    Lost,
    Doubled,
    Damaged(Vec<u8>),
}

#[derive(Debug)]
struct Dice {
    faults: Faults,
    state: u64,
}

impl Dice {
    fn roll(&mut self, frame: &[u8]) -> Fate {
        if self.hits(self.faults.lost) {
            return Fate::Lost;
        }
        if self.hits(self.faults.doubled) {
            return Fate::Doubled;
        }
        if !self.hits(self.faults.damaged) {
            return Fate::Whole;
        }
        let mut bytes = frame.to_vec();
        let place = self.below(frame.len());
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << (self.next() % 8);
        }
        Fate::Damaged(bytes)
    }

    fn hits(&mut self, per_thousand: u16) -> bool {
        self.next() % 1000 < u64::from(per_thousand)
    }

    /// 0 when `length` is 0.
    fn below(&mut self, length: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or_default().checked_rem(length).unwrap_or_default()
    }

    /// `SplitMix64`, which needs no more than a counter.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
