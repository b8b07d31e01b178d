//! Frames with work left undone that a kernel offers to take and then refuses.
//!
//! Linux 6.6 had for a while, and vendors' kernels with its patches still have, a check of virtio-net headers that answers
//! `EINVAL` to good super-frames: to those whose length leaves a short rest of a segment, elsewhere to UDP alone or to all.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use tapline_frame::segment::{self, Cut};
use tapline_frame::{Gso, Mode, NetHeader, Offloads};

use crate::FrameRef;

/// Which kinds of frames the kernel of an interface has refused so far, one bit each. They are cut and summed here, so
/// that the kernel is asked once for each kind and no frame is lost. Shared by all queues of the interface.
#[derive(Debug, Default)]
pub(crate) struct Refusals(AtomicU16);

/// What a kernel may refuse while it takes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind(u16);

/// How a super-frame ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Its length is what the check of Linux 6.6 refuses: divided by a segment's, headers and all, little is left.
    Short,
    /// The last segment is shorter than the others.
    Uneven,
    Even,
}

/// What came of one `write(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Taken,
    Invalid,
    Dropped,
}

impl Refusals {
    /// Writes a frame with `write`, which gets a net header and the frame in two parts; in pieces if the kernel does not
    /// take it whole. `false` when it did not go out.
    ///
    /// # Errors
    /// The device is gone.
    pub(crate) fn write(
        &self,
        interface: &str,
        mode: Mode,
        frame: &FrameRef<'_>,
        mut write: impl FnMut(&NetHeader, &[u8], &[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        let kind = Kind::of(&frame.header, frame.bytes.len());
        if kind.is_none_or(|kind| !self.have(kind)) {
            match answer(|| write(&frame.header, frame.bytes, &[]))? {
                Answer::Taken => return Ok(true),
                Answer::Invalid if kind.is_some() => {}
                Answer::Invalid | Answer::Dropped => return Ok(false),
            }
        }
        let mut gone = None;
        let mut taken = 0;
        let pieces =
            segment::segment(mode, &frame.header, frame.bytes, Cut::Frames, |header, head, payload| {
                match answer(|| write(header, head, payload)) {
                    Ok(answer) => taken += usize::from(answer == Answer::Taken),
                    Err(error) => gone = Some(error),
                }
            });
        if let Some(error) = gone {
            return Err(error);
        }
        let whole = pieces.is_ok_and(|pieces| pieces == taken);
        // A frame whose pieces are no better was a bad one, and says nothing about its kind.
        if let Some(kind) = kind.filter(|_| whole) {
            self.remember(interface, kind, &frame.header);
        }
        Ok(whole)
    }

    /// What of `offered` is worth being sent: a kind that always has to be cut here is not.
    pub(crate) fn leave(&self, offered: Offloads) -> Offloads {
        let bits = self.0.load(Ordering::Relaxed);
        let refuses =
            |gso, tails: &[Tail]| tails.iter().any(|tail| bits & Kind::super_frame(gso, *tail).0 != 0);
        let most = [Tail::Uneven, Tail::Even];
        Offloads {
            checksum: offered.checksum && bits & Kind::PARTIAL_CHECKSUM.0 == 0,
            tso: offered.tso && !refuses(Gso::TcpV4, &most) && !refuses(Gso::TcpV6, &most),
            // Its super-frames of whole segments have the length that counts as a short tail.
            uso: offered.uso && !refuses(Gso::UdpL4, &[Tail::Short, Tail::Uneven, Tail::Even]),
        }
    }

    fn have(&self, kind: Kind) -> bool {
        self.0.load(Ordering::Relaxed) & kind.0 != 0
    }

    fn remember(&self, interface: &str, kind: Kind, header: &NetHeader) {
        let before = self.0.fetch_or(kind.0, Ordering::Relaxed);
        let what = match header.gso {
            Gso::None => "partial checksums",
            Gso::TcpV4 | Gso::TcpV6 => "TCP super-frames",
            Gso::UdpL4 => "UDP super-frames",
        };
        if before == 0 {
            tracing::warn!(
                interface,
                "this kernel offers to take {what} and refuses them (EINVAL), as some vendors' and 6.6 do: what it refuses \
                 is cut here from now on, which costs processor time; a newer kernel is faster"
            );
        } else if before & kind.0 == 0 {
            tracing::debug!(interface, ?header, "the kernel refuses {what} of this kind too");
        }
    }
}

impl Kind {
    const PARTIAL_CHECKSUM: Self = Self(1);

    /// `None` for an ordinary frame.
    fn of(header: &NetHeader, len: usize) -> Option<Self> {
        if header.gso == Gso::None {
            return header.needs_csum.then_some(Self::PARTIAL_CHECKSUM);
        }
        Some(Self::super_frame(header.gso, Tail::of(header, len)))
    }

    fn super_frame(gso: Gso, tail: Tail) -> Self {
        let gso = match gso {
            Gso::None => return Self::PARTIAL_CHECKSUM,
            Gso::TcpV4 => 0,
            Gso::TcpV6 => 1,
            Gso::UdpL4 => 2,
        };
        let tail = match tail {
            Tail::Short => 1,
            Tail::Uneven => 2,
            Tail::Even => 3,
        };
        Self(1 << (3 * gso + tail))
    }
}

impl Tail {
    fn of(header: &NetHeader, len: usize) -> Self {
        let segment = usize::from(header.gso_size).max(1);
        let needed = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
        if (1..=needed).contains(&(len % segment)) {
            Self::Short
        } else if len.saturating_sub(usize::from(header.hdr_len)) % segment == 0 {
            Self::Even
        } else {
            Self::Uneven
        }
    }
}

fn answer(mut write: impl FnMut() -> io::Result<()>) -> io::Result<Answer> {
    loop {
        match write() {
            Ok(()) => return Ok(Answer::Taken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_gone(&error) => return Err(error),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(Answer::Invalid),
            Err(_) => return Ok(Answer::Dropped),
        }
    }
}

/// Whether no later frame can succeed either.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV | libc::ENXIO))
}

#[cfg(test)]
mod tests;
