//! The TCP connection that carries frames, in either role.

#[allow(unsafe_code)]
mod info;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::libc;
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::tuning::{Congestion, Tuning};

pub(crate) use info::PathState;

/// What the kernel may hold unsent at first, in bytes. More would stand in a queue that nothing manages; less costs a
/// fast path its full rate.
const LOW_WATER: u32 = 64 << 10;

/// How old what is known of the path may be.
const FRESH: Duration = Duration::from_millis(10);

/// A round trip that is more than a few switches away. On shorter ways the pacing of BBR costs more than it gives.
const LONG: Duration = Duration::from_millis(1);

/// What of a round trip may be the hosts' own doing.
const HOSTS_OWN: Duration = Duration::from_millis(2);

/// No waiting for more to send, a probe when nothing has come for long, and a short queue in the kernel.
pub(crate) fn tune(stream: &impl AsFd) -> io::Result<()> {
    let options = socket2::SockRef::from(stream);
    options.set_tcp_nodelay(true)?;
    options.set_keepalive(true)?;
    options.set_tcp_notsent_lowat(LOW_WATER)
}

/// Reads what the socket has now.
///
/// Unlike tokio's own `poll_read` it takes a short read for no sign that the socket is empty: while one message is
/// decrypted the next arrives, and a call that finds nothing costs less than a turn of the runtime.
///
/// Cancel safe.
pub(crate) fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read(buffer.initialize_unfilled()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done.map(|count| buffer.advance(count))),
        }
    }
}

/// Writes what the socket takes now of `slices`, in order.
///
/// Each write is marked as the end of a record (`MSG_EOR`, tcp(7)): the kernel then never appends to what still waits to
/// be sent, which it would do past the low-water mark, up to 64 KiB.
///
/// Cancel safe.
pub(crate) fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let flags = libc::MSG_EOR | libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let sent = stream.try_io(Interest::WRITABLE, || {
            socket2::SockRef::from(stream).send_vectored_with_flags(slices, flags)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// The path of a session's connection, as the kernel sees it. It holds a second descriptor of the connection, so it has
/// to go with the session.
#[derive(Debug)]
pub struct Path {
    /// `None` where nothing is known.
    socket: Option<OwnedFd>,
    low_water: u32,
    round_trip: Duration,
    asked: Option<Instant>,
    is_long: bool,
    automatic: Automatic,
}

/// Whether the congestion control follows the path.
#[derive(Debug)]
enum Automatic {
    Off,
    Possible {
        /// The name of the system's own.
        system: Vec<u8>,
        is_bbr: bool,
    },
}

impl Path {
    pub(crate) fn of(stream: &impl AsFd, tuning: &Tuning) -> Self {
        // Without a second descriptor the path is merely unknown.
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return Self::unknown() };
        let options = socket2::SockRef::from(&socket);
        let mut automatic = Automatic::Off;
        match &tuning.congestion {
            Congestion::System => {}
            Congestion::Auto => {
                let system = options.tcp_congestion().unwrap_or_default();
                let system = system.split(|byte| *byte == 0).next().unwrap_or_default();
                if !system.is_empty() && system != b"bbr" {
                    automatic = Automatic::Possible { system: system.to_vec(), is_bbr: false };
                }
            }
            Congestion::Named(name) => {
                if let Err(error) = options.set_tcp_congestion(name.as_bytes()) {
                    tracing::warn!(
                        name, %error, "cannot use this congestion control; see net.ipv4.tcp_available_congestion_control"
                    );
                }
            }
        }
        Self { socket: Some(socket), automatic, ..Self::unknown() }
    }

    /// The path of a session within another one, or through a command.
    pub fn unknown() -> Self {
        Self {
            socket: None,
            low_water: LOW_WATER,
            round_trip: Duration::ZERO,
            asked: None,
            is_long: false,
            automatic: Automatic::Off,
        }
    }

    /// Whether the path is the bottleneck, so that queues stand on it. That a path is long is seen here.
    pub(crate) fn prefer_short_queues(&mut self, is_slow: bool) {
        let Automatic::Possible { system, is_bbr } = &mut self.automatic else { return };
        let wants_bbr = is_slow || self.is_long;
        if wants_bbr == *is_bbr {
            return;
        }
        let name = if wants_bbr { b"bbr".as_slice() } else { system.as_slice() };
        let Some(socket) = &self.socket else { return };
        match socket2::SockRef::from(socket).set_tcp_congestion(name) {
            Ok(()) => *is_bbr = wants_bbr,
            Err(error) => {
                tracing::debug!(%error, "no BBR for a long or slow path");
                self.automatic = Automatic::Off;
            }
        }
    }

    /// The round-trip time, without what scheduling on busy hosts adds to a short one; zero while it is unknown.
    pub(crate) fn round_trip(&mut self, now: Instant) -> Duration {
        let is_fresh = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < FRESH);
        if !is_fresh {
            self.look(now);
        }
        self.round_trip
    }

    /// Asks the kernel. `None` if nothing is known.
    pub(crate) fn look(&mut self, now: Instant) -> Option<PathState> {
        self.asked = Some(now);
        let state = info::read(self.socket.as_ref()?).ok()?;
        self.round_trip = state.least.max(state.smoothed.saturating_sub(HOSTS_OWN));
        self.is_long = state.least >= LONG;
        Some(state)
    }

    /// Acknowledges now what has come, without waiting for something to send with it. A peer that has left Nagle's algorithm
    /// on, as OpenSSH does, holds its next small segment back until then, for up to 40 ms.
    pub(crate) fn acknowledge(&mut self) {
        let Some(socket) = &self.socket else { return };
        // tcp(7): the flag does not last, so it is no state to be kept.
        if let Err(error) = socket2::SockRef::from(socket).set_tcp_quickack(true) {
            tracing::debug!(%error, "cannot set TCP_QUICKACK");
        }
    }

    /// Bounds what the kernel holds unsent, in bytes. Small steps are left out, as each costs a system call.
    pub(crate) fn set_low_water(&mut self, bytes: u32) {
        let Some(socket) = &self.socket else { return };
        if bytes.abs_diff(self.low_water) * 4 <= self.low_water {
            return;
        }
        self.low_water = bytes;
        if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(bytes) {
            tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
        }
    }
}

#[cfg(test)]
mod tests;
