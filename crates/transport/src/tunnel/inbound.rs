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
    /// What the device takes now.
    joined: Offloads,
    /// Joins the frames of a flow, so that one write carries many.
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

impl Inbound {
    pub(super) fn new(mode: Mode, dialect: Dialect, offloads: Offloads) -> Self {
        Self { mode, dialect, offloads, joined: offloads, coalescer: Coalescer::new(mode, offloads) }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
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
        let mut output = Output::new(device, counters);
        self.coalescer.flush(|header, bytes| output.write(header, bytes));
        output.result?;
        let takes = device.offloads();
        if takes != self.joined {
            // The device had to cut what was joined for it.
            self.joined = takes;
            self.coalescer = Coalescer::new(self.mode, takes);
        }
        Ok(())
    }

    fn datagram(&mut self, data: &[u8], device: &mut dyn Device, counters: &Counters) -> io::Result<()> {
        let Ok(stock::Datagram { frame, odd_family }) = stock::decode(self.mode, data) else {
            counters.receive_drops.add(1);
            return Ok(());
        };
        if let Some(family) = odd_family {
            if counters.odd_families.read() == 0 {
                tracing::warn!(
                    family,
                    "the peer numbers address families as no OpenSSH does; what its packets are is taken from themselves"
                );
            }
            counters.odd_families.add(1);
        }
        let mut output = Output::new(device, counters);
        self.coalescer.push(&NetHeader::default(), frame, |header, bytes| output.write(header, bytes));
        output.result
    }

    fn records(
        &mut self,
        data: &[u8],
        device: &mut dyn Device,
        counters: &Counters,
        mut said: impl FnMut(Said),
    ) -> Result<(), InboundError> {
        let mut output = Output::new(device, counters);
        for record in records::decode(self.mode, data) {
            match record {
                Ok(Record::Frame { header, bytes }) => match header.check(bytes, self.mode, self.offloads) {
                    Ok(header) => {
                        self.coalescer.push(&header, bytes, |header, bytes| output.write(header, bytes));
                    }
                    Err(_) => counters.receive_drops.add(1),
                },
                Ok(Record::Hello(hello)) => {
                    said(Said::Hello { takes: hello.features, bundled: hello.bundled });
                }
                Ok(Record::Ping(opaque)) => said(Said::Ping(opaque)),
                Ok(Record::Pong(_)) => {}
                Err(error) if error.is_fatal() => {
                    // What came before it is good.
                    self.coalescer.flush(|header, bytes| output.write(header, bytes));
                    return Err(error.into());
                }
                Err(_) => counters.receive_drops.add(1),
            }
        }
        Ok(output.result?)
    }
}

/// The device, until it fails.
struct Output<'a> {
    device: &'a mut dyn Device,
    counters: &'a Counters,
    result: io::Result<()>,
}

impl<'a> Output<'a> {
    fn new(device: &'a mut dyn Device, counters: &'a Counters) -> Self {
        Self { device, counters, result: Ok(()) }
    }

    fn write(&mut self, header: &NetHeader, bytes: &[u8]) {
        if self.result.is_err() {
            return;
        }
        match self.device.write_batch(&[FrameRef { header: *header, bytes }]) {
            Ok(done) => {
                self.counters.received.add(done.written, if done.written > 0 { bytes.len() } else { 0 });
                self.counters.receive_drops.add(done.dropped);
            }
            Err(error) => self.result = Err(error),
        }
    }
}
