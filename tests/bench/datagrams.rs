//! UDP datagrams, each a frame of its own: numbered, sent at a pace, and counted where they arrive.

mod receiver;
mod sender;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::pair::Pair;

/// Bytes of a datagram's payload in a frame of 64 bytes: less the headers of Ethernet (14), IPv4 (20) and UDP (8), and
/// the frame check sequence (4).
pub(crate) const SMALL: usize = 18;
/// Payload of an almost full packet.
pub(crate) const LARGE: usize = 1400;

/// At most this many datagrams in one call of the kernel.
const BATCH: usize = 1024;
/// What the receiver's socket may hold, in the kernel's bytes: enough for a few milliseconds without the processor,
/// too little to hide that it is too slow.
const RECEIVE_BUFFER: usize = 8 << 20;
const PORT: u16 = 9000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As many as the sender can.
    Saturating,
    /// Datagrams per second.
    Rate(f64),
}

/// What became of one trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trial {
    pub(crate) sent: u64,
    /// All that arrived, also after the last one was sent.
    pub(crate) received: u64,
    /// Datagrams per second, counted while the sender was sending.
    pub(crate) sent_rate: f64,
    pub(crate) received_rate: f64,
}

impl Trial {
    pub(crate) fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// The share that was lost, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.lost() as f64 / self.sent.max(1) as f64
    }
}

/// Sends datagrams with `payload` bytes, [`SMALL`] or more, from the client to the server.
pub(crate) fn trial(pair: &Pair, payload: usize, pace: Pace, duration: Duration) -> Trial {
    let number = next_number();
    let incoming = socket(pair, false);
    let outgoing = socket(pair, true);
    let receiver = receiver::Receiver::new(incoming, number);
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receiver.run());
        let start = Instant::now();
        let sent = sender::send(&outgoing, &Datagram { trial: number, payload }, pace, duration);
        let seconds = start.elapsed().as_secs_f64();
        let in_time = receiver.received();
        receiver.stop_when_quiet();
        let received = receiving.join().unwrap();
        Trial { sent, received, sent_rate: sent as f64 / seconds, received_rate: in_time as f64 / seconds }
    })
}

/// What a datagram says: in which trial it was sent, and its number there.
#[derive(Debug, Clone, Copy)]
struct Datagram {
    trial: u32,
    payload: usize,
}

impl Datagram {
    fn write(&self, sequence: u64, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.trial.to_be_bytes());
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.resize(self.payload, 0);
    }

    /// The sequence number of a datagram of this trial.
    fn read(trial: u32, bytes: &[u8]) -> Option<u64> {
        let (of, rest) = bytes.split_first_chunk()?;
        let (sequence, _) = rest.split_first_chunk()?;
        (u32::from_be_bytes(*of) == trial).then_some(u64::from_be_bytes(*sequence))
    }
}

fn next_number() -> u32 {
    static TRIALS: AtomicU32 = AtomicU32::new(1);
    TRIALS.fetch_add(1, Ordering::Relaxed)
}

/// A socket of the server, or one of the client that is connected to it.
fn socket(pair: &Pair, client: bool) -> UdpSocket {
    let (end, port) = if client { (&pair.client, 0) } else { (&pair.server, PORT) };
    let socket = end.host.enter(|| UdpSocket::bind((end.address, port))).unwrap();
    if client {
        socket.connect((pair.server.address, PORT)).unwrap();
    }
    socket
}

#[cfg(test)]
mod tests;
