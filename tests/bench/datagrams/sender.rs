use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};

use super::{BATCH, Datagram, Pace};

/// Datagrams of one tick leave in one call. Short enough that a burst fits the 500 frames of a tap's own queue at any
/// rate that is of interest.
const TICK: Duration = Duration::from_micros(250);
/// How far a sender that was late may go beyond one tick's share, so that it makes up for it in several bursts.
const CATCH_UP: f64 = 2.0;
/// Datagrams in one call without a pace: enough to make the calls cheap.
const SATURATING: usize = 64;
/// By how much the kernel may prolong a sleep, in nanoseconds; 50 µs by default.
const TIMER_SLACK: u64 = 1000;

/// Sends for `duration` and returns how many were sent.
pub(super) fn send(socket: &UdpSocket, datagram: &Datagram, pace: Pace, duration: Duration) -> u64 {
    // Sleeps that are longer than they should be only make the bursts larger.
    let _ = prctl::set_timerslack(TIMER_SLACK);
    let mut batch = Batch::new(*datagram);
    let start = Instant::now();
    let mut sent = 0;
    loop {
        let elapsed = start.elapsed();
        if elapsed >= duration {
            return sent;
        }
        let wanted = match pace {
            Pace::Saturating => SATURATING,
            Pace::Rate(rate) => due(rate, elapsed, sent),
        };
        sent += batch.send(socket, sent, wanted);
        if pace != Pace::Saturating {
            thread::sleep(TICK.saturating_sub(start.elapsed() - elapsed));
        }
    }
}

/// How many datagrams to send now.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and BATCH")]
fn due(rate: f64, elapsed: Duration, sent: u64) -> usize {
    let due = rate * elapsed.as_secs_f64() - sent as f64;
    let at_most = (rate * TICK.as_secs_f64() * CATCH_UP).max(1.0);
    due.min(at_most).clamp(0.0, BATCH as f64) as usize
}

/// Datagrams of one call, made anew in the same buffers.
struct Batch {
    datagram: Datagram,
    buffers: Vec<Vec<u8>>,
    headers: MultiHeaders<()>,
}

impl Batch {
    fn new(datagram: Datagram) -> Self {
        let buffers = vec![Vec::new(); BATCH];
        Self { datagram, buffers, headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Sends the datagrams that follow `sequence` and returns how many the kernel took.
    fn send(&mut self, socket: &UdpSocket, sequence: u64, count: usize) -> u64 {
        for (buffer, sequence) in self.buffers.iter_mut().take(count).zip(sequence..) {
            self.datagram.write(sequence, buffer);
        }
        let slices: Vec<_> = self.buffers.iter().take(count).map(|buffer| [IoSlice::new(buffer)]).collect();
        let nowhere = vec![None; count];
        match sendmmsg(socket.as_raw_fd(), &mut self.headers, &slices, nowhere, [], MsgFlags::empty()) {
            Ok(results) => results.count() as u64,
            // The device's queue is full, which is an answer.
            Err(Errno::ENOBUFS | Errno::EAGAIN) => 0,
            Err(error) => panic!("sendmmsg: {error}"),
        }
    }
}
