//! The tunnels of one SSH session: devices at one end, channels at the other, on one thread.
//!
//! [`Tunnels`] is what a session's handler owns. It is a state machine driven by the session's loop (see
//! `russh_channels::tunnel`): data in place, datagrams on demand, no task and no queue between device and cipher.

mod carrier;
mod counters;
mod flight;
mod inbound;
mod lease;
mod line;
mod opening;
mod outbound;
mod pace;
mod port;
mod window;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh_channels::ChannelId;
use russh_channels::tunnel::TunnelWriter;
use tapline_frame::{Offloads, records};
use tokio::sync::{mpsc, oneshot};

use crate::Tuning;
use line::Line;
use opening::Opening;
use port::{Port, SendError};

pub use crate::tcp::Path;
pub use counters::{Counter, Counters, Flow};
pub use lease::Lease;
pub use opening::{Established, NativePolicy, OpenTunnelError, TunnelRequest};
pub use port::{Dialect, PortError};

/// The channels of one session, and the devices they lead to.
#[derive(Debug)]
pub struct Tunnels {
    line: Line,
    /// The largest window that is granted for one tunnel.
    window_limit: u32,
    ports: Vec<Port>,
    opening: Vec<Opening>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<Event>,
    /// Channels to ask for on the next turn.
    to_open: VecDeque<Opening>,
    /// Channels to close on the next turn, because their port failed.
    to_close: Vec<ChannelId>,
    /// Whether the peer is to be asked for a sign of life on the next turn.
    to_ask: bool,
    /// The last SSH_MSG_DEBUG: OpenSSH says there why it refuses a tunnel.
    last_debug: Option<String>,
}

/// Lets other code of the process act on a session's tunnels.
#[derive(Debug, Clone)]
pub struct TunnelHandle {
    commands: mpsc::UnboundedSender<Command>,
}

/// What a session tells about its tunnels.
#[derive(Debug)]
pub enum Event {
    /// The peer of a native tunnel has said its first word; with it comes whether it has joined the channel into the
    /// bundle that was named to it.
    Greeted { channel: ChannelId, bundled: bool },
    /// The tunnel is over; its device is on its way home.
    Closed { channel: ChannelId, reason: ClosedReason },
}

#[derive(Debug, thiserror::Error)]
pub enum ClosedReason {
    #[error(
        "the peer closed the tunnel; a ChannelTimeout in its sshd_config does so, or somebody who took its device away"
    )]
    Peer,
    /// One direction alone, and for good: OpenSSH does so after a packet that it takes for the end of its device.
    #[error(
        "the peer's end of the tunnel has ended (EOF); OpenSSH does so when its device is gone, or gave it a packet with nothing after the header"
    )]
    Eof,
    #[error(transparent)]
    Port(#[from] PortError),
}

#[derive(Debug)]
enum Command {
    Open(Opening),
    Ask,
}

impl Tunnels {
    pub fn new(path: Path, tuning: &Tuning, events: mpsc::UnboundedSender<Event>) -> (Self, TunnelHandle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let tunnels = Self {
            line: Line::new(path),
            window_limit: tuning.window_limit,
            ports: Vec::new(),
            opening: Vec::new(),
            commands,
            events,
            to_open: VecDeque::new(),
            to_close: Vec::new(),
            to_ask: false,
            last_debug: None,
        };
        (tunnels, TunnelHandle { commands: sender })
    }

    /// Connects an accepted channel (server). Frames flow after the confirmation.
    ///
    /// `takes` is what the peer said in its open message to take beyond ordinary frames; stock peers take none.
    pub fn accept(
        &mut self,
        channel: ChannelId,
        dialect: Dialect,
        takes: Offloads,
        device: Lease,
        counters: Arc<Counters>,
    ) {
        let mut port = Port::new(channel, dialect, takes, self.window_limit, device, counters);
        if dialect == Dialect::Native {
            let name = port.device().name().to_owned();
            let features = port.device().offloads();
            let bundled = port.device().is_bundled();
            port.greet(&records::Hello {
                version: records::VERSION,
                features,
                bundled,
                device: &name,
                mtu: None,
            });
        }
        self.plug(port);
    }

    /// A channel that we asked for was confirmed (client).
    pub fn confirmed(&mut self, channel: ChannelId) {
        let Some(opening) = self.take_opening(channel) else { return };
        match opening.confirmed(channel, self.window_limit) {
            Some(port) => self.plug(port),
            None => self.to_close.push(channel),
        }
    }

    /// A channel that we asked for was refused (client). A native offer that a stock peer does not know is followed
    /// by the stock one.
    pub fn refused(
        &mut self,
        channel: ChannelId,
        reason: &russh_channels::ChannelOpenFailure,
        description: &str,
    ) {
        let debug = self.last_debug.take();
        if let Some(opening) = self.take_opening(channel)
            && let Some(next) = opening.refused(reason, description, debug)
        {
            self.to_open.push_back(next);
        }
    }

    /// The peer sent the end-of-file of a channel, which is closed then: half a tunnel is none.
    pub fn ended(&mut self, channel: ChannelId) {
        if self.unplug(channel) {
            self.to_close.push(channel);
            let _ = self.events.send(Event::Closed { channel, reason: ClosedReason::Eof });
        }
    }

    /// The peer closed a channel, or sent its end-of-file.
    pub fn closed(&mut self, channel: ChannelId) {
        if self.unplug(channel) {
            let _ = self.events.send(Event::Closed { channel, reason: ClosedReason::Peer });
        }
    }

    /// The peer sent SSH_MSG_DEBUG.
    pub fn debug_message(&mut self, text: &str) {
        tracing::debug!(text, "the peer says");
        self.last_debug = Some(text.chars().filter(|c| !c.is_control()).take(200).collect());
    }

    fn plug(&mut self, mut port: Port) {
        port.plug();
        self.ports.push(port);
    }

    fn unplug(&mut self, channel: ChannelId) -> bool {
        let Some(at) = self.ports.iter().position(|port| port.channel() == channel) else { return false };
        self.ports.swap_remove(at);
        true
    }

    fn fail(&mut self, channel: ChannelId, error: PortError) {
        if self.unplug(channel) {
            self.to_close.push(channel);
            let _ = self.events.send(Event::Closed { channel, reason: error.into() });
        }
    }

    fn take_opening(&mut self, channel: ChannelId) -> Option<Opening> {
        let at = self.opening.iter().position(|opening| opening.channel() == Some(channel))?;
        Some(self.opening.swap_remove(at))
    }
}

impl russh_channels::tunnel::Tunnels for Tunnels {
    fn receive(&mut self, channel: ChannelId, data: &[u8]) -> bool {
        let Some(port) = self.ports.iter_mut().find(|port| port.channel() == channel) else { return false };
        match port.receive(data) {
            Ok(()) => {
                if let Some(bundled) = port.greeted() {
                    let _ = self.events.send(Event::Greeted { channel, bundled });
                }
            }
            Err(error) => self.fail(channel, error),
        }
        true
    }

    fn carries(&self, channel: ChannelId) -> bool {
        self.ports.iter().any(|port| port.channel() == channel)
    }

    fn received_batch(&mut self) {
        self.line.read();
        let mut failed = None;
        for port in &mut self.ports {
            if let Err(error) = port.received_batch(&mut self.line) {
                failed = Some((port.channel(), error));
            }
        }
        if let Some((channel, error)) = failed {
            self.fail(channel, error);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
            match command {
                Command::Open(opening) => self.to_open.push_back(opening),
                Command::Ask => self.to_ask = true,
            }
        }
        // A device that is never empty would keep the thread from learning that the socket has something to read, for
        // instance the window that the device's frames wait for.
        if self.ports.iter_mut().any(Port::take_tired) {
            return yield_once(cx);
        }
        let mut ready = !self.to_open.is_empty() || !self.to_close.is_empty() || self.to_ask;
        let mut failed = None;
        for port in &mut self.ports {
            match port.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => ready = true,
                Poll::Ready(Err(error)) => failed = Some((port.channel(), error)),
            }
        }
        if let Some((channel, error)) = failed {
            self.fail(channel, error);
            ready = true;
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), russh_channels::Error> {
        for channel in self.to_close.drain(..) {
            out.close(channel)?;
        }
        while let Some(mut opening) = self.to_open.pop_front() {
            // What the peer said before has nothing to do with this request.
            self.last_debug = None;
            opening.ask(out)?;
            self.opening.push(opening);
        }
        if std::mem::take(&mut self.to_ask)
            && let Some(port) = self.ports.first()
        {
            out.ask(port.channel())?;
        }
        self.line.turn(out.unsent());
        let mut failed = None;
        for port in &mut self.ports {
            match port.send(&mut self.line, out) {
                Ok(()) => {}
                Err(SendError::Port(error)) => failed = Some((port.channel(), error)),
                Err(SendError::Session(error)) => return Err(error),
            }
        }
        if let Some((channel, error)) = failed {
            self.fail(channel, error);
        }
        Ok(())
    }
}

/// Pending, until the runtime has looked at its sockets.
fn yield_once(cx: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::yield_now()).poll(cx)
}

impl TunnelHandle {
    /// Asks the peer for a sign of life, on one of the session's tunnels. Whatever it sends next is one.
    pub(crate) fn ask(&self) {
        let _ = self.commands.send(Command::Ask);
    }

    /// Opens a tunnel (client). Cancel safe: a tunnel that is established after its requester is gone is closed.
    ///
    /// # Errors
    /// The peer refuses, or the session ends first.
    pub async fn open(&self, request: TunnelRequest) -> Result<Established, OpenTunnelError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Open(Opening::new(request, reply)))
            .map_err(|_| OpenTunnelError::SessionEnded)?;
        answer.await.map_err(|_| OpenTunnelError::SessionEnded)?
    }
}
