use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh_channels::ChannelId;
use russh_channels::tunnel::{Room, TunnelWriter};
use tapline_device::{FrameRef, FrameSink};
use tapline_frame::records::{self, Record};
use tapline_frame::{Mode, NetHeader, guard, tunnel as stock};

use super::window::{ReceiveWindow, surcharge};
use super::{Counters, Lease};

/// How the frames of a channel are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `tun@openssh.com`: one datagram, one message.
    Stock,
    /// Tapline's own channel: records, many to a message.
    Native,
}

impl Dialect {
    pub fn channel_type(self) -> &'static str {
        match self {
            Self::Stock => stock::CHANNEL_TYPE,
            Self::Native => records::CHANNEL_TYPE,
        }
    }

    /// The longest CHANNEL_DATA string we take, in bytes, as announced in the channel's open messages.
    pub fn max_packet(self) -> u32 {
        match self {
            // What OpenSSH itself announces.
            Self::Stock => 32_768,
            // The largest record is a 64 KiB super-frame; russh takes packets of 256 KiB.
            Self::Native => 192 * 1024,
        }
    }

    /// The window we grant, in bytes. The device never blocks, so nothing is held in memory for it.
    pub fn window(self) -> u32 {
        match self {
            Self::Stock => 2 << 20,
            Self::Native => 16 << 20,
        }
    }
}

/// One tunnel: a device at one end, a channel at the other.
#[derive(Debug)]
pub(super) struct Port {
    channel: ChannelId,
    dialect: Dialect,
    mode: Mode,
    device: Lease,
    outbox: Outbox,
    window: ReceiveWindow,
    counters: Arc<Counters>,
    /// Records to send before any frame: HELLO, PONG.
    urgent: Vec<u8>,
    /// Something came into the outbox since the last attempt to send.
    fresh: bool,
}

/// Why a port cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("the device is gone: {0}")]
    Device(#[from] io::Error),
    #[error("the peer broke the tunnel protocol: {0}")]
    Peer(#[from] records::RecordError),
}

/// A message carries at most this many bytes of records, so that a small frame behind a batch need not wait for it
/// to be encrypted and sent.
const NATIVE_MESSAGE: usize = 128 * 1024;
/// Encrypted bytes waiting for the socket beyond which frames stay in the outbox.
const UNSENT_BUDGET: usize = 256 * 1024;
/// Frames written to the device in one call.
const WRITE_BATCH: usize = 32;
/// PONGs and the like that a peer may make us owe, in bytes.
const MAX_URGENT: usize = 4096;

impl Port {
    pub(super) fn new(channel: ChannelId, dialect: Dialect, device: Lease, counters: Arc<Counters>) -> Self {
        Self {
            channel,
            dialect,
            mode: device.mode(),
            device,
            outbox: Outbox::default(),
            window: ReceiveWindow::new(dialect.window()),
            counters,
            urgent: Vec::new(),
            fresh: false,
        }
    }

    pub(super) fn channel(&self) -> ChannelId {
        self.channel
    }

    pub(super) fn device(&mut self) -> &mut Lease {
        &mut self.device
    }

    /// The acceptor's first record.
    pub(super) fn greet(&mut self, hello: &records::Hello<'_>) {
        records::encode_hello(hello, &mut self.urgent);
        self.fresh = true;
    }

    /// Takes what the device has into the outbox; ready when there is something new to send.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PortError>> {
        while !self.outbox.is_full() {
            match self.device.poll_readable(cx) {
                Poll::Pending => break,
                Poll::Ready(ready) => ready?,
            }
            if self.device.read_batch(&mut self.outbox)? == 0 {
                continue;
            }
            self.fresh = true;
            break;
        }
        if self.fresh { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Sends frames until the outbox is empty, the window is used up, or the socket has enough to do.
    pub(super) fn send(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), russh_channels::Error> {
        self.fresh = false;
        while out.unsent() < UNSENT_BUDGET && !(self.outbox.is_empty() && self.urgent.is_empty()) {
            let Some(room) = out.room(self.channel) else { return Ok(()) };
            let progress = match self.dialect {
                Dialect::Stock => self.send_datagram(out, room)?,
                Dialect::Native => self.send_records(out, room)?,
            };
            if !progress {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Handles one CHANNEL_DATA string and returns the window to give back.
    pub(super) fn receive(&mut self, data: &[u8]) -> Result<u32, PortError> {
        let mut batch = WriteBatch::new(&mut self.device, &self.counters);
        match self.dialect {
            Dialect::Stock => match stock::decode(self.mode, data) {
                Ok(bytes) => batch.push(FrameRef { header: NetHeader::default(), bytes })?,
                Err(_) => self.counters.receive_drops.add(1),
            },
            Dialect::Native => {
                for record in records::decode(self.mode, data) {
                    match record {
                        // Offloads were not agreed on, so a header that leaves work undone is refused.
                        Ok(Record::Frame { header, bytes }) if header.is_plain() => {
                            batch.push(FrameRef { header: NetHeader::default(), bytes })?;
                        }
                        Ok(Record::Frame { .. }) => self.counters.receive_drops.add(1),
                        Ok(Record::Ping(opaque)) if self.urgent.len() < MAX_URGENT => {
                            self.urgent.extend_from_slice(&records::encode_pong(opaque));
                            self.fresh = true;
                        }
                        Ok(Record::Ping(_) | Record::Pong(_) | Record::Hello(_)) => {}
                        Err(error) if error.is_fatal() => return Err(error.into()),
                        Err(_) => self.counters.receive_drops.add(1),
                    }
                }
            }
        }
        batch.flush()?;
        Ok(self.window.received(data.len()))
    }

    fn send_datagram(
        &mut self,
        out: &mut TunnelWriter<'_>,
        room: Room,
    ) -> Result<bool, russh_channels::Error> {
        let Some((_, frame)) = self.outbox.front() else { return Ok(false) };
        let frame_len = frame.len();
        let surcharge = surcharge(out.peer_version());
        let prefix = match stock::prefix(self.mode, frame) {
            Ok(prefix) if prefix.len() + frame_len <= room.max_packet as usize => prefix,
            // Never sent: it would stop an OpenSSH server's device for good.
            _ => {
                self.counters.send_drops.add(1);
                self.outbox.pop();
                return Ok(true);
            }
        };
        let sent = out.datagram(self.channel, surcharge, |message| {
            message.extend_from_slice(prefix);
            message.extend_from_slice(frame);
        })?;
        if sent {
            self.counters.sent.add(1, frame_len);
            self.outbox.pop();
        }
        Ok(sent)
    }

    fn send_records(
        &mut self,
        out: &mut TunnelWriter<'_>,
        room: Room,
    ) -> Result<bool, russh_channels::Error> {
        let limit = NATIVE_MESSAGE.min(room.window as usize).min(room.max_packet as usize);
        let Self { outbox, urgent, counters, mode, channel, .. } = self;
        if urgent.len() > limit {
            return Ok(false);
        }
        let mut dropped = false;
        let sent = out.datagram(*channel, 0, |message| {
            let end = message.len() + limit;
            message.extend_from_slice(urgent);
            while let Some((header, frame)) = outbox.front() {
                let fits = message.len() + records::frame_record_len(header, frame.len()) <= end;
                if guard::check(*mode, frame).is_err() {
                    dropped = true;
                    counters.send_drops.add(1);
                } else if fits {
                    // Cannot fail: the guard has just been asked.
                    let _ = records::encode_frame(*mode, header, frame, message);
                    counters.sent.add(1, frame.len());
                } else {
                    break;
                }
                outbox.pop();
            }
        })?;
        if sent {
            urgent.clear();
        }
        Ok(sent || dropped)
    }
}

/// Frames between device and channel, bounded in bytes and in frames.
#[derive(Debug, Default)]
struct Outbox {
    frames: VecDeque<(NetHeader, Vec<u8>)>,
    bytes: usize,
}

impl Outbox {
    const MAX_BYTES: usize = 256 * 1024;
    const MAX_FRAMES: usize = 1024;

    fn is_full(&self) -> bool {
        self.bytes >= Self::MAX_BYTES || self.frames.len() >= Self::MAX_FRAMES
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn front(&self) -> Option<(&NetHeader, &[u8])> {
        self.frames.front().map(|(header, frame)| (header, frame.as_slice()))
    }

    fn pop(&mut self) {
        if let Some((_, frame)) = self.frames.pop_front() {
            self.bytes -= frame.len();
        }
    }
}

impl FrameSink for Outbox {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.bytes += frame.len();
        self.frames.push_back((*header, frame.to_vec()));
        !self.is_full()
    }
}

/// Collects frames of one message for the device.
struct WriteBatch<'a, 'f> {
    device: &'a mut Lease,
    counters: &'a Counters,
    frames: [FrameRef<'f>; WRITE_BATCH],
    len: usize,
}

impl<'a, 'f> WriteBatch<'a, 'f> {
    fn new(device: &'a mut Lease, counters: &'a Counters) -> Self {
        let empty = FrameRef { header: NetHeader::default(), bytes: &[] };
        Self { device, counters, frames: [empty; WRITE_BATCH], len: 0 }
    }

    fn push(&mut self, frame: FrameRef<'f>) -> io::Result<()> {
        if self.len == WRITE_BATCH {
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
