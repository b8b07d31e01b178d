use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh_channels::ChannelId;
use russh_channels::tunnel::TunnelWriter;
use tapline_frame::{Offloads, records, tunnel as stock};

use super::carrier::Carrier;
use super::flight::Bounds;
use super::inbound::{Inbound, InboundError, Said};
use super::line::Line;
use super::outbound::{Left, Outbound, TurnError};
use super::window::ReceiveWindow;
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

    /// The window we grant at first, in bytes.
    pub fn window(self) -> u32 {
        self.receive_bounds().least
    }

    /// Between which the window we grant moves. The device never blocks, so nothing is held in memory for it.
    fn receive_bounds(self) -> Bounds {
        match self {
            // What its sender's buffers hold is a queue that nobody manages, so it gets little more than the path needs,
            // and enough that one turn of its loop after the other finds something to do.
            Self::Stock => {
                Bounds { least: 192 << 10, most: u32::MAX, gain: 150, ahead: Duration::from_millis(8) }
            }
            Self::Native => Bounds { least: 320 << 10, most: u32::MAX, gain: 200, ahead: Duration::ZERO },
        }
    }
}

/// One tunnel: a device at one end, a channel at the other.
#[derive(Debug)]
pub(super) struct Port {
    channel: ChannelId,
    device: Lease,
    carrier: Carrier,
    outbound: Outbound,
    inbound: Inbound,
    window: ReceiveWindow,
    counters: Arc<Counters>,
    /// Something is to be sent that no device will announce.
    fresh: bool,
    /// The last turn was as long as a turn may be.
    is_tired: bool,
    /// What the peer's first HELLO said of the bundle, and whether that has been passed on.
    greeting: Option<Greeting>,
    /// A frame came since the end of the last batch.
    received: bool,
}

/// Why a port cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("the device is gone: {0}")]
    Device(#[from] io::Error),
    #[error("the peer broke the tunnel protocol: {0}")]
    Peer(#[from] records::RecordError),
}

impl Port {
    /// `takes` is what the peer is known to take beyond ordinary frames; `window_limit` bounds the window we grant.
    pub(super) fn new(
        channel: ChannelId,
        dialect: Dialect,
        takes: Offloads,
        window_limit: u32,
        device: Lease,
        counters: Arc<Counters>,
    ) -> Self {
        let mode = device.mode();
        Self {
            channel,
            outbound: Outbound::new(mode, dialect, takes),
            inbound: Inbound::new(mode, dialect, device.offloads()),
            window: ReceiveWindow::new(dialect.receive_bounds().within(window_limit)),
            device,
            carrier: Carrier::default(),
            counters,
            fresh: false,
            is_tired: false,
            greeting: None,
            received: false,
        }
    }

    pub(super) fn channel(&self) -> ChannelId {
        self.channel
    }

    pub(super) fn device(&mut self) -> &mut Lease {
        &mut self.device
    }

    /// The tunnel is there: the device gets its carrier.
    pub(super) fn plug(&mut self) {
        self.carrier.turn_on(&mut *self.device);
    }

    /// The acceptor's first record.
    pub(super) fn greet(&mut self, hello: &records::Hello<'_>) {
        self.outbound.greet(hello);
        self.fresh = true;
    }

    /// Ready when [`Port::send`] has something to do: the device is read there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PortError>> {
        self.carrier.poll(&mut *self.device, cx);
        if self.fresh {
            return Poll::Ready(Ok(()));
        }
        self.device.poll_readable(cx).map_err(PortError::from)
    }

    /// Whether the device has more than the last turn could take; true once for each such turn.
    pub(super) fn take_tired(&mut self) -> bool {
        std::mem::take(&mut self.is_tired)
    }

    /// Takes a turn: sends frames until the window is used up or the socket has enough to do, and takes what the device
    /// has either way.
    pub(super) fn send(&mut self, line: &mut Line, out: &mut TunnelWriter<'_>) -> Result<(), SendError> {
        let before = out.unsent();
        let left = self.outbound.turn(self.channel, &mut *self.device, line, out, &self.counters)?;
        self.fresh = left != Left::Nothing;
        self.is_tired = left == Left::Much;
        let is_company = out.unsent() > before;
        if let Some(credit) = self.window.credit(is_company) {
            out.grant(self.channel, credit)?;
        }
        Ok(())
    }

    /// Handles one CHANNEL_DATA string.
    pub(super) fn receive(&mut self, data: &[u8]) -> Result<(), PortError> {
        self.received = true;
        let Self { inbound, outbound, device, counters, fresh, greeting, .. } = self;
        inbound.message(data, &mut **device, counters, |said| match said {
            Said::Hello { takes, bundled } => {
                outbound.set_takes(takes);
                greeting.get_or_insert(Greeting { bundled, told: false });
            }
            Said::Ping(opaque) => *fresh |= outbound.answer_ping(opaque),
        })?;
        self.window.received(data.len());
        Ok(())
    }

    /// Whether the peer has joined the channel into the bundle: once, when it has said so or not.
    pub(super) fn greeted(&mut self) -> Option<bool> {
        let greeting = self.greeting.as_mut().filter(|greeting| !greeting.told)?;
        greeting.told = true;
        Some(greeting.bundled)
    }

    /// All that the socket had has been received.
    pub(super) fn received_batch(&mut self, line: &mut Line) -> Result<(), PortError> {
        if std::mem::take(&mut self.received) {
            self.window.observe(line.now(), line.round_trip());
            self.inbound.batch_ended(&mut *self.device, &self.counters)?;
            if self.inbound.dialect() == Dialect::Stock {
                line.acknowledge();
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Greeting {
    bundled: bool,
    told: bool,
}

/// Whose fault it is that nothing can be sent.
pub(super) enum SendError {
    Port(PortError),
    Session(russh_channels::Error),
}

impl From<TurnError> for SendError {
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::Device(error) => Self::Port(error.into()),
            TurnError::Ssh(error) => Self::Session(error),
        }
    }
}

impl From<russh_channels::Error> for SendError {
    fn from(error: russh_channels::Error) -> Self {
        Self::Session(error)
    }
}

impl From<InboundError> for PortError {
    fn from(error: InboundError) -> Self {
        match error {
            InboundError::Device(error) => Self::Device(error),
            InboundError::Record(error) => Self::Peer(error),
        }
    }
}
