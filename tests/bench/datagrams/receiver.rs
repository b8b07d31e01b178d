use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

use super::{Datagram, RECEIVE_BUFFER};

/// Datagrams taken in one call.
const BATCH: usize = 256;
/// After this long without a datagram, those that have not come are lost: longer than any queue that is measured.
const QUIET: Duration = Duration::from_millis(400);

/// Counts the datagrams of one trial.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: UdpSocket,
    trial: u32,
    received: AtomicU64,
    stop: AtomicBool,
}

impl Receiver {
    pub(super) fn new(socket: UdpSocket, trial: u32) -> Self {
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).unwrap();
        socket.set_read_timeout(Some(QUIET)).unwrap();
        Self { socket, trial, received: AtomicU64::new(0), stop: AtomicBool::new(false) }
    }

    /// How many have come until now, each number counted once.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn stop_when_quiet(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Receives until it is to stop and nothing comes any more.
    pub(super) fn run(&self) -> u64 {
        let mut buffers = vec![[0; 2048]; BATCH];
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut seen = Seen::default();
        loop {
            let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            let count = match recvmmsg(self.socket.as_raw_fd(), &mut headers, &mut slices, flags, None) {
                Ok(results) => results.count(),
                Err(Errno::EAGAIN) if self.stop.load(Ordering::Relaxed) => return self.received(),
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(error) => panic!("recvmmsg: {error}"),
            };
            let sequences = buffers.iter().take(count).filter_map(|bytes| Datagram::read(self.trial, bytes));
            let new = sequences.filter(|sequence| seen.is_new(*sequence)).count();
            self.received.fetch_add(new as u64, Ordering::Relaxed);
        }
    }
}

/// The numbers that have been seen, a bit each.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<u64>);

impl Seen {
    pub(super) fn is_new(&mut self, sequence: u64) -> bool {
        let (word, bit) = (usize::try_from(sequence / 64).unwrap(), 1 << (sequence % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}
