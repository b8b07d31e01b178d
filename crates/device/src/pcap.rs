//! A device that records its frames as Wireshark and tcpdump read them, on top of any other.

use std::io::{self, Write};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use tapline_frame::{Mode, NetHeader};

use crate::{Device, FrameRef, FrameSink, MAX_FRAME, Offloads, Written};

/// Writes every frame read or handed over for writing to `W`, in the classic pcap format with nanoseconds
/// (draft-ietf-opsawg-pcap). Super-frames are recorded uncut, without their virtio-net header.
#[derive(Debug)]
pub struct RecordingDevice<D, W> {
    device: D,
    recording: Recording<W>,
}

impl<D: Device, W: Write + Send + std::fmt::Debug> RecordingDevice<D, W> {
    /// # Errors
    /// The head of the recording cannot be written.
    pub fn new(device: D, mut to: W) -> io::Result<Self> {
        to.write_all(&file_header(device.mode()))?;
        Ok(Self { device, recording: Recording { to, failed: None } })
    }

    /// Gives the parts back.
    ///
    /// # Errors
    /// Recording stopped earlier, because a write failed; the device went on.
    pub fn finish(mut self) -> io::Result<(D, W)> {
        if let Some(error) = self.recording.failed {
            return Err(error);
        }
        self.recording.to.flush()?;
        Ok((self.device, self.recording.to))
    }
}

impl<D: Device, W: Write + Send + std::fmt::Debug> Device for RecordingDevice<D, W> {
    fn name(&self) -> &str {
        self.device.name()
    }

    fn mode(&self) -> Mode {
        self.device.mode()
    }

    fn offloads(&self) -> Offloads {
        self.device.offloads()
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.device.poll_readable(cx)
    }

    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize> {
        self.device.read_batch(&mut RecordingSink { sink, recording: &mut self.recording })
    }

    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written> {
        for frame in frames {
            self.recording.add(frame.bytes);
        }
        self.device.write_batch(frames)
    }

    fn set_carrier(&mut self, up: bool) -> io::Result<()> {
        self.device.set_carrier(up)
    }

    fn detach(&mut self) {
        self.device.detach();
    }
}

struct RecordingSink<'a, W> {
    sink: &'a mut dyn FrameSink,
    recording: &'a mut Recording<W>,
}

impl<W: Write> FrameSink for RecordingSink<'_, W> {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.recording.add(frame);
        self.sink.push(header, frame)
    }
}

#[derive(Debug)]
struct Recording<W> {
    to: W,
    failed: Option<io::Error>,
}

impl<W: Write> Recording<W> {
    /// A recording that fails stops; the frames must not.
    fn add(&mut self, frame: &[u8]) {
        if self.failed.is_none()
            && let Err(error) =
                self.to.write_all(&record_header(frame.len())).and_then(|()| self.to.write_all(frame))
        {
            self.failed = Some(error);
        }
    }
}

/// Magic number, version 2.4, no time zone, longest frame and link type, in the host's byte order as the format says.
fn file_header(mode: Mode) -> [u8; 24] {
    const NANOSECONDS: u32 = 0xa1b2_3c4d;
    let link_type = match mode {
        Mode::Ethernet => 1,
        Mode::PointToPoint => 101,
    };
    let version = u32::from_ne_bytes(version_bytes());
    let longest = u32::try_from(MAX_FRAME).unwrap_or(u32::MAX);
    words([NANOSECONDS, version, 0, 0, longest, link_type])
}

/// Two 16-bit numbers, 2 and 4.
fn version_bytes() -> [u8; 4] {
    let ([a, b], [c, d]) = (2u16.to_ne_bytes(), 4u16.to_ne_bytes());
    [a, b, c, d]
}

fn record_header(length: usize) -> [u8; 16] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    words([u32::try_from(now.as_secs()).unwrap_or(u32::MAX), now.subsec_nanos(), length, length])
}

fn words<const WORDS: usize, const BYTES: usize>(values: [u32; WORDS]) -> [u8; BYTES] {
    const { assert!(BYTES == 4 * WORDS) };
    let mut bytes = [0; BYTES];
    for (slot, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *slot = value.to_ne_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests;
