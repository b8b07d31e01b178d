//! From the device to the channel.

use std::time::{Duration, Instant};

use russh_channels::ChannelId;
use russh_channels::tunnel::{HEADROOM, Room, TAILROOM, TunnelWriter};
use tapline_device::{Device, FrameSink, MAX_FRAME};
use tapline_frame::pool::{self, FrameBuf, Landing};
use tapline_frame::queue::{FairQueue, Settings};
use tapline_frame::segment::{self, Cut};
use tapline_frame::{Gso, Mode, NetHeader, Offloads, records, tunnel as stock};

use super::flight::Bounds;
use super::line::Line;
use super::window::{SendWindow, surcharge};
use super::{Counters, Dialect};

/// What is on its way to the peer.
///
/// Frames go straight from the device into the message that is encrypted, one copy, as long as the socket keeps up.
/// Otherwise they stand in the queue, where flows share and CoDel keeps the delay short.
#[derive(Debug)]
pub(super) struct Outbound {
    mode: Mode,
    dialect: Dialect,
    /// What the peer takes undone.
    takes: Offloads,
    queue: FairQueue,
    /// Taken from the queue, and not yet sent for want of room.
    next: Option<FrameBuf>,
    /// A native peer grants what is good for it.
    window: Option<SendWindow>,
    /// Records that go before any frame: HELLO, PONG.
    urgent: Vec<u8>,
    /// The socket is the bottleneck, so that large frames would keep others waiting.
    is_slow: bool,
    counted_drops: u64,
    /// Whether the user knows that long packets are dropped.
    told_long: bool,
}

/// A message carries at most this many bytes of records, so that the first frame of a batch need not wait for the last.
const MESSAGE: usize = 96 * 1024;
/// Frames read in one turn before others have theirs.
const TURN: usize = 64;
/// PONGs and the like that a peer may make us owe, in bytes.
const MAX_URGENT: usize = 4096;
/// What is on its way to a stock peer: it gives window back when 96 KiB are used, and reads cheaper when much has come.
const TO_STOCK: Bounds =
    Bounds { least: 192 << 10, most: u32::MAX, gain: 150, ahead: Duration::from_millis(4) };
/// A message is full when this may not fit in any more, in bytes.
const LARGEST_RECORD: usize = records::MAX_PREFIX + MAX_FRAME;
/// A super-frame on a slow path is cut to pieces of this size in bytes, so that others get their turn between them.
const SLOW_PIECE: usize = 4 * 1024;

impl Outbound {
    pub(super) fn new(mode: Mode, dialect: Dialect, takes: Offloads) -> Self {
        let settings = Settings { seed: getrandom::u64().unwrap_or_default(), ..Settings::default() };
        Self {
            mode,
            dialect,
            takes,
            queue: FairQueue::new(mode, settings),
            next: None,
            window: match dialect {
                Dialect::Stock => Some(SendWindow::new(TO_STOCK)),
                Dialect::Native => None,
            },
            urgent: Vec::new(),
            is_slow: false,
            counted_drops: 0,
            told_long: false,
        }
    }

    /// The peer has said what it takes.
    pub(super) fn set_takes(&mut self, takes: Offloads) {
        self.takes = takes;
    }

    /// The acceptor's first record.
    pub(super) fn greet(&mut self, hello: &records::Hello<'_>) {
        records::encode_hello(hello, &mut self.urgent);
    }

    /// Owes the peer an answer to its PING, unless it has made us owe too many.
    pub(super) fn answer_ping(&mut self, opaque: [u8; 8]) -> bool {
        if self.urgent.len() >= MAX_URGENT {
            return false;
        }
        self.urgent.extend_from_slice(&records::encode_pong(opaque));
        true
    }

    /// Sends what can be sent and takes what the device has.
    pub(super) fn turn(
        &mut self,
        channel: ChannelId,
        device: &mut dyn Device,
        line: &mut Line,
        out: &mut TunnelWriter<'_>,
        counters: &Counters,
    ) -> Result<Left, TurnError> {
        let now = line.now();
        while let Some(storage) = out.spent() {
            self.queue.recycle_storage(storage);
        }
        self.is_slow = line.pace().is_slow();
        if let Some(window) = &mut self.window {
            window.observe(now, line.round_trip());
        }
        let surcharge = match self.dialect {
            Dialect::Stock => surcharge(out.peer_version()),
            Dialect::Native => 0,
        };
        let blocked = out.unsent() >= line.pace().budget();
        let mut turn = Turn {
            outbound: self,
            channel,
            line,
            out,
            counters,
            now,
            surcharge,
            blocked,
            read: 0,
            failed: None,
        };
        turn.send_waiting()?;
        let left = turn.take_from(device)?;
        turn.send_waiting()?;
        if (left != Left::Nothing || turn.has_waiting()) && !turn.has_room() {
            turn.line.pace().exhausted();
        }
        if let Some(error) = turn.failed.take() {
            return Err(error.into());
        }
        self.count_drops(counters);
        Ok(left)
    }

    /// How a frame has to be cut before it goes on, if at all.
    fn cut(&self, header: &NetHeader, len: usize) -> Option<Cut> {
        let takes = match header.gso {
            Gso::None => !header.needs_csum || self.takes.checksum,
            Gso::TcpV4 | Gso::TcpV6 => self.takes.tso,
            Gso::UdpL4 => self.takes.uso,
        };
        if !takes {
            Some(Cut::Frames)
        } else if header.gso != Gso::None && self.is_slow && len > SLOW_PIECE {
            Some(Cut::SuperFrames { max_len: SLOW_PIECE })
        } else {
            None
        }
    }

    fn take_next(&mut self, now: Instant) -> Option<FrameBuf> {
        self.next.take().or_else(|| self.queue.dequeue(now))
    }

    /// The next frame, if it is to go in a message of its own; then nothing else is owed before it.
    fn take_large(&mut self, now: Instant) -> Option<FrameBuf> {
        if self.dialect == Dialect::Stock || !self.urgent.is_empty() {
            return None;
        }
        let frame = self.take_next(now)?;
        if frame.is_large() {
            return Some(frame);
        }
        self.next = Some(frame);
        None
    }

    fn enqueue_landed(
        &mut self,
        now: Instant,
        header: &NetHeader,
        landing: &mut Landing,
        counters: &Counters,
    ) {
        match self.cut(header, landing.frame().len()) {
            None => {
                self.queue.enqueue_landed(now, header, landing);
            }
            Some(cut) => self.enqueue_pieces(now, header, landing.frame(), cut, counters),
        }
    }

    fn enqueue(&mut self, now: Instant, header: &NetHeader, frame: &[u8], counters: &Counters) {
        match self.cut(header, frame.len()) {
            None => {
                self.queue.enqueue(now, header, frame);
            }
            Some(cut) => self.enqueue_pieces(now, header, frame, cut, counters),
        }
    }

    fn enqueue_pieces(
        &mut self,
        now: Instant,
        header: &NetHeader,
        frame: &[u8],
        cut: Cut,
        counters: &Counters,
    ) {
        let queue = &mut self.queue;
        let pieces = segment::segment(self.mode, header, frame, cut, |header, head, payload| {
            queue.enqueue_parts(now, header, head, payload);
        });
        if pieces.is_err() {
            counters.send_drops.add(1);
        }
    }

    /// One echo request of such a length would end the link.
    fn refuse_long(&mut self, len: usize) {
        if !std::mem::replace(&mut self.told_long, true) {
            tracing::warn!(
                "a packet of {len} bytes is dropped: OpenSSH would stop to read its device at an answer of more than {};                  set an mtu of {} or less on both sides",
                stock::MAX_ANSWERED,
                stock::MAX_MTU
            );
        }
    }

    fn count_drops(&mut self, counters: &Counters) {
        let stats = self.queue.stats();
        let dropped = stats.dropped_codel + stats.dropped_overflow + stats.dropped_unfit;
        counters.send_drops.add(usize::try_from(dropped - self.counted_drops).unwrap_or(0));
        self.counted_drops = dropped;
        counters.marked.set(stats.marked);
    }
}

/// What a turn leaves in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// Perhaps something; what was sent goes to the socket first.
    Some,
    /// More than one turn takes.
    Much,
}

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnError {
    #[error(transparent)]
    Device(#[from] std::io::Error),
    #[error(transparent)]
    Ssh(#[from] russh_channels::Error),
}

/// One turn of the session's loop.
struct Turn<'a, 'w> {
    outbound: &'a mut Outbound,
    channel: ChannelId,
    line: &'a mut Line,
    out: &'a mut TunnelWriter<'w>,
    counters: &'a Counters,
    now: Instant,
    surcharge: u32,
    /// The socket had enough to do before the turn began.
    blocked: bool,
    read: usize,
    failed: Option<russh_channels::Error>,
}

impl Turn<'_, '_> {
    /// The queue's frames, until it is empty, the window is used up, or enough waits for the socket.
    fn send_waiting(&mut self) -> Result<(), russh_channels::Error> {
        while self.has_room() && self.has_waiting() {
            let sent = match (self.outbound.dialect, self.outbound.take_large(self.now)) {
                (Dialect::Stock, _) => self.send_waiting_datagram()?,
                (Dialect::Native, None) => self.send_message(None)?.sent,
                (Dialect::Native, Some(frame)) => self.send_alone(frame)?,
            };
            if !sent {
                break;
            }
        }
        Ok(())
    }

    /// Reads the device: into messages while nothing waits, else into the queue.
    fn take_from(&mut self, device: &mut dyn Device) -> Result<Left, TurnError> {
        while self.read < TURN {
            let before = self.read;
            if self.has_room() {
                self.send_waiting()?;
            } else if !self.blocked {
                // What this turn has sent goes to the socket first; most often it takes all of it.
                return Ok(Left::Some);
            }
            let direct = self.has_room() && !self.has_waiting();
            match self.outbound.dialect {
                Dialect::Native if direct => {
                    let message = self.send_message(Some(device))?;
                    message.read?;
                }
                _ => {
                    device.read_batch(self)?;
                }
            }
            if self.read == before {
                return Ok(Left::Nothing);
            }
        }
        Ok(Left::Much)
    }

    fn has_room(&mut self) -> bool {
        self.out.unsent() < self.line.pace().budget()
    }

    fn has_waiting(&self) -> bool {
        self.outbound.next.is_some() || !self.outbound.queue.is_empty() || !self.outbound.urgent.is_empty()
    }

    /// One CHANNEL_DATA with what waits, or with frames straight from `device`.
    fn send_message(
        &mut self,
        device: Option<&mut dyn Device>,
    ) -> Result<MessageSent, russh_channels::Error> {
        let nothing = MessageSent { sent: false, read: Ok(0) };
        let Some(Room { window, max_packet }) = self.out.room(self.channel) else { return Ok(nothing) };
        let limit = MESSAGE.min(window as usize).min(max_packet as usize);
        if self.outbound.urgent.len() > limit {
            return Ok(nothing);
        }
        // On a slow path a message of many frames would be a queue by itself.
        let enough = self.line.pace().budget().saturating_sub(self.out.unsent());
        let mut length = 0;
        let mut read = Ok(0);
        let before = self.read;
        let (outbound, counters, now, frames_read) =
            (&mut *self.outbound, self.counters, self.now, &mut self.read);
        let sent = self.out.datagram(self.channel, 0, |message| {
            let start = message.len();
            message.extend_from_slice(&outbound.urgent);
            let mut packer = Packer {
                outbound,
                counters,
                now,
                end: start + limit,
                enough: start + enough.min(limit),
                message,
                read: frames_read,
            };
            match device {
                Some(device) => read = device.read_batch(&mut packer),
                None => packer.pack_waiting(),
            }
            length = message.len() - start;
        })?;
        if sent {
            self.outbound.urgent.clear();
            self.line.pace().wrote(length);
        }
        Ok(MessageSent { sent: sent || self.read > before, read })
    }

    /// One CHANNEL_DATA with one large frame, which goes out of the buffer that it came in.
    fn send_alone(&mut self, frame: FrameBuf) -> Result<bool, russh_channels::Error> {
        let prefix = records::FramePrefix::new(&frame.header, frame.len());
        let prefix = prefix.as_bytes();
        let length = prefix.len() + frame.len();
        let room = self.out.room(self.channel);
        if room.is_none_or(|room| length > room.window.min(room.max_packet) as usize) {
            self.outbound.next = Some(frame);
            return Ok(false);
        }
        let frame_len = frame.len();
        let (mut storage, start) = frame.into_storage();
        // The room in front of a frame is there for this, and behind it the buffer need not grow.
        const { assert!(HEADROOM + records::MAX_PREFIX <= pool::HEADROOM) };
        const { assert!(MAX_FRAME + TAILROOM <= Landing::CAPACITY) };
        let start = start.saturating_sub(prefix.len());
        if let Some(place) = storage.get_mut(start..start + prefix.len()) {
            place.copy_from_slice(prefix);
        }
        if let Some(storage) = self.out.datagram_within(self.channel, 0, storage, start)? {
            self.counters.send_drops.add(1);
            self.outbound.queue.recycle_storage(storage);
            return Ok(true);
        }
        self.counters.sent.add(1, frame_len);
        self.line.pace().wrote(length);
        Ok(true)
    }

    fn send_waiting_datagram(&mut self) -> Result<bool, russh_channels::Error> {
        // Stock peers have no records to answer.
        self.outbound.urgent.clear();
        let Some(frame) = self.outbound.take_next(self.now) else { return Ok(false) };
        match self.datagram(frame.bytes(), &[])? {
            Sent::Yes | Sent::Never => {
                self.outbound.queue.recycle(frame);
                Ok(true)
            }
            Sent::NoRoom => {
                self.outbound.next = Some(frame);
                Ok(false)
            }
        }
    }

    /// One CHANNEL_DATA of a stock channel.
    fn datagram(&mut self, head: &[u8], payload: &[u8]) -> Result<Sent, russh_channels::Error> {
        let len = head.len() + payload.len();
        if self.outbound.mode == Mode::PointToPoint && len > stock::MAX_ANSWERED {
            self.outbound.refuse_long(len);
            self.counters.send_drops.add(1);
            return Ok(Sent::Never);
        }
        // Both guards look at the first bytes and at the length alone, which is why the head will do.
        let prefix = match stock::prefix_of_parts(self.outbound.mode, head, payload.len()) {
            Ok(prefix) => prefix,
            Err(_) => {
                self.counters.send_drops.add(1);
                return Ok(Sent::Never);
            }
        };
        let Some(room) = self.out.room(self.channel) else { return Ok(Sent::NoRoom) };
        let length = prefix.len() + len;
        if length > room.max_packet as usize {
            self.counters.send_drops.add(1);
            return Ok(Sent::Never);
        }
        let cost = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(self.surcharge);
        if let Some(window) = &mut self.outbound.window
            && window.room(room.window) < cost
        {
            return Ok(Sent::NoRoom);
        }
        let sent = self.out.datagram(self.channel, self.surcharge, |message| {
            message.extend_from_slice(prefix);
            message.extend_from_slice(head);
            message.extend_from_slice(payload);
        })?;
        if !sent {
            return Ok(Sent::NoRoom);
        }
        if let Some(window) = &mut self.outbound.window {
            window.sent(cost);
        }
        self.line.pace().wrote(length);
        self.counters.sent.add(1, len);
        Ok(Sent::Yes)
    }

    /// A frame of the device for a stock peer: sent if it can be, else queued.
    fn pass(&mut self, header: &NetHeader, head: &[u8], payload: &[u8]) {
        if self.failed.is_none() && self.has_room() && !self.has_waiting() {
            match self.datagram(head, payload) {
                Ok(Sent::Yes | Sent::Never) => return,
                Ok(Sent::NoRoom) => {}
                Err(error) => self.failed = Some(error),
            }
        }
        self.outbound.queue.enqueue_parts(self.now, header, head, payload);
    }
}

enum Sent {
    Yes,
    NoRoom,
    /// A frame that no peer may get.
    Never,
}

struct MessageSent {
    sent: bool,
    read: std::io::Result<usize>,
}

/// Frames of the device that do not go straight into a message of records.
impl FrameSink for Turn<'_, '_> {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.read += 1;
        match (self.outbound.dialect, self.outbound.cut(header, frame.len())) {
            (Dialect::Stock, Some(cut)) => {
                let mode = self.outbound.mode;
                let pieces = segment::segment(mode, header, frame, cut, |header, head, payload| {
                    self.pass(header, head, payload);
                });
                if pieces.is_err() {
                    self.counters.send_drops.add(1);
                }
            }
            (Dialect::Stock, None) => self.pass(header, frame, &[]),
            (Dialect::Native, _) => self.outbound.enqueue(self.now, header, frame, self.counters),
        }
        self.read < TURN
    }

    fn push_landed(&mut self, header: &NetHeader, landing: &mut Landing) -> bool {
        if self.outbound.dialect == Dialect::Stock {
            return self.push(header, landing.frame());
        }
        self.read += 1;
        self.outbound.enqueue_landed(self.now, header, landing, self.counters);
        self.read < TURN
    }
}

/// Fills one message of the native channel.
struct Packer<'a> {
    outbound: &'a mut Outbound,
    counters: &'a Counters,
    now: Instant,
    message: &'a mut Vec<u8>,
    /// The longest the message's buffer may become.
    end: usize,
    /// A message of this length gets no further frame.
    enough: usize,
    read: &'a mut usize,
}

impl Packer<'_> {
    fn pack_waiting(&mut self) {
        while self.message.len() < self.enough {
            let Some(frame) = self.outbound.take_next(self.now) else { return };
            // A large one goes in a message of its own.
            if frame.is_large() || !self.pack(&frame.header, frame.bytes()) {
                self.outbound.next = Some(frame);
                return;
            }
            self.outbound.queue.recycle(frame);
        }
    }

    /// Whether the frame is dealt with; otherwise it did not fit.
    fn pack(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        if self.message.len() + records::frame_record_len(header, frame.len()) > self.end {
            return false;
        }
        match records::encode_frame(self.outbound.mode, header, frame, self.message) {
            Ok(()) => self.counters.sent.add(1, frame.len()),
            Err(_) => self.counters.send_drops.add(1),
        }
        true
    }
}

impl FrameSink for Packer<'_> {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        *self.read += 1;
        // What must be cut takes the way through the queue; it is not the case that has to be fast.
        if self.outbound.cut(header, frame.len()).is_some() || !self.pack(header, frame) {
            self.outbound.enqueue(self.now, header, frame, self.counters);
            return false;
        }
        *self.read < TURN
            && self.message.len() < self.enough
            && self.message.len() + LARGEST_RECORD <= self.end
    }
}
