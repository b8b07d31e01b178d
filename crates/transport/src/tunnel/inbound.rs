//! From the channel to the device.

use std::io;

use tapline_device::{Device, FrameRef};
use tapline_frame::coalesce::Coalescer;
use tapline_frame::records::{self, Record, RecordError};
use tapline_frame::{Mode, NetHeader, Offloads, tunnel as stock};

use super::{Counters, Dialect};

/// What comes from the peer: never trusted, never waiting.
#[derive(Debug)]
pub(super) struct Inbound {
    mode: Mode,
    dialect: Dialect,
    /// What the device takes undone, and what the peer was told.
    offloads: Offloads,
    /// Joins a stock peer's frames, so that one write carries many.
    coalescer: Coalescer,
}

/// What a message said besides frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Hello { takes: Offloads, bundled: bool },
    Ping([u8; 8]),
}

/// Why no further message is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InboundError {
    #[error(transparent)]
    Device(#[from] io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Frames written to the device in one call.
const BATCH: usize = 32;

impl Inbound {
    pub(super) fn new(mode: Mode, dialect: Dialect, offloads: Offloads) -> Self {
        Self { mode, dialect, offloads, coalescer: Coalescer::new(mode, offloads) }
    }

    /// Handles one CHANNEL_DATA string; `said` hears what is not for the device.
    pub(super) fn message(
        &mut self,
        data: &[u8],
        device: &mut dyn Device,
        counters: &Counters,
        said: impl FnMut(Said),
    ) -> Result<(), InboundError> {
        match self.dialect {
            Dialect::Stock => Ok(self.datagram(data, device, counters)?),
            Dialect::Native => self.records(data, device, counters, said),
        }
    }

    /// All that the socket had has been handled: nothing is held back for what may come.
    pub(super) fn batch_ended(&mut self, device: &mut dyn Device, counters: &Counters) -> io::Result<()> {
        let mut result = Ok(());
        self.coalescer.flush(|header, bytes| {
            result =
                std::mem::replace(&mut result, Ok(())).and_then(|()| write(device, counters, header, bytes));
        });
        result
    }

    fn datagram(&mut self, data: &[u8], device: &mut dyn Device, counters: &Counters) -> io::Result<()> {
        let Ok(frame) = stock::decode(self.mode, data) else {
            counters.receive_drops.add(1);
            return Ok(());
        };
        let mut result = Ok(());
        self.coalescer.push(&NetHeader::default(), frame, |header, bytes| {
            result =
                std::mem::replace(&mut result, Ok(())).and_then(|()| write(device, counters, header, bytes));
        });
        result
    }

    fn records(
        &mut self,
        data: &[u8],
        device: &mut dyn Device,
        counters: &Counters,
        mut said: impl FnMut(Said),
    ) -> Result<(), InboundError> {
        let mut batch = Batch::new(device, counters);
        for record in records::decode(self.mode, data) {
            match record {
                Ok(Record::Frame { header, bytes }) => match header.check(bytes, self.mode, self.offloads) {
                    Ok(header) => batch.push(FrameRef { header, bytes })?,
                    Err(_) => counters.receive_drops.add(1),
                },
                Ok(Record::Hello(hello)) => {
                    said(Said::Hello { takes: hello.features, bundled: hello.bundled });
                }
                Ok(Record::Ping(opaque)) => said(Said::Ping(opaque)),
                Ok(Record::Pong(_)) => {}
                Err(error) if error.is_fatal() => {
                    batch.flush()?;
                    return Err(error.into());
                }
                Err(_) => counters.receive_drops.add(1),
            }
        }
        Ok(batch.flush()?)
    }
}

fn write(device: &mut dyn Device, counters: &Counters, header: &NetHeader, bytes: &[u8]) -> io::Result<()> {
    let done = device.write_batch(&[FrameRef { header: *header, bytes }])?;
    counters.received.add(done.written, if done.written > 0 { bytes.len() } else { 0 });
    counters.receive_drops.add(done.dropped);
    Ok(())
}

/// Collects frames of one message for the device.
struct Batch<'a, 'f> {
    device: &'a mut dyn Device,
    counters: &'a Counters,
    frames: [FrameRef<'f>; BATCH],
    len: usize,
}

impl<'a, 'f> Batch<'a, 'f> {
    fn new(device: &'a mut dyn Device, counters: &'a Counters) -> Self {
        let empty = FrameRef { header: NetHeader::default(), bytes: &[] };
        Self { device, counters, frames: [empty; BATCH], len: 0 }
    }

    fn push(&mut self, frame: FrameRef<'f>) -> io::Result<()> {
        if self.len == BATCH {
            self.flush()?;
        }
        if let Some(slot) = self.frames.get_mut(self.len) {
            *slot = frame;
            self.len += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frames = self.frames.get(..self.len).unwrap_or_default();
        self.len = 0;
        if frames.is_empty() {
            return Ok(());
        }
        let done = self.device.write_batch(frames)?;
        let bytes = frames.iter().map(|frame| frame.bytes.len()).sum();
        self.counters.received.add(done.written, bytes);
        self.counters.receive_drops.add(done.dropped);
        Ok(())
    }
}
