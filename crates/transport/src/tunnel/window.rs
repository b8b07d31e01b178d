use std::time::{Duration, Instant};

use super::flight::{Bounds, Flight};

/// The window we grant for one channel (RFC 4254 section 5.2), in bytes of CHANNEL_DATA strings. It follows what the
/// path holds: a larger one would let the peer fill queues on the way, a smaller one would slow it down.
///
/// Only the length of the strings counts, whatever the peer debits: OpenSSH gives back four bytes more for each
/// datagram than it takes as a sender, and a receiver that did the same would drift from every correct peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReceiveWindow {
    flight: Flight,
    left: u32,
}

impl ReceiveWindow {
    /// Grants `bounds.least` at first.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { flight: Flight::new(bounds), left: bounds.least }
    }

    /// To be called now and then, with the path's round-trip time.
    pub(super) fn observe(&mut self, now: Instant, round_trip: Duration) {
        self.flight.observe(now, round_trip);
    }

    /// Counts a received string.
    pub(super) fn received(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.flight.arrived(len);
        // A peer that sends beyond its window gains nothing: the excess is not granted again.
        self.left = self.left.saturating_sub(len);
    }

    /// What to grant with a CHANNEL_WINDOW_ADJUST now. `with_data`: something goes to the peer anyway.
    ///
    /// The device takes every frame at once, so the window could be given back as soon as it is used. But each adjustment
    /// that travels alone is a system call here and a wake-up there; so it waits for company until half is used.
    pub(super) fn credit(&mut self, with_data: bool) -> Option<u32> {
        let target = self.flight.limit();
        let enough = if with_data { target / 4 * 3 } else { target / 2 };
        let credit = target.checked_sub(self.left).filter(|_| self.left < enough)?;
        self.left = target;
        Some(credit)
    }
}

/// How much of the window that a peer grants is used. OpenSSH grants 2 MiB whatever the path, and reads all of it into
/// a buffer from which it writes one frame for each turn of its loop; what stands there is a queue that nobody manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendWindow {
    flight: Flight,
    /// The largest window seen: what is missing from it is on its way.
    largest: u32,
    /// What the window must be if nothing was granted since.
    last: Option<u32>,
}

impl SendWindow {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { flight: Flight::new(bounds), largest: 0, last: None }
    }

    /// See [`ReceiveWindow::observe`].
    pub(super) fn observe(&mut self, now: Instant, round_trip: Duration) {
        self.flight.observe(now, round_trip);
    }

    /// How much may be sent now, in bytes, of the window that is left.
    pub(super) fn room(&mut self, window: u32) -> u32 {
        let granted = window.saturating_sub(self.last.unwrap_or(window));
        self.flight.arrived(granted);
        self.last = Some(window);
        self.largest = self.largest.max(window);
        window.min(self.flight.limit().saturating_sub(self.largest - window))
    }

    /// Counts what was sent and debited.
    pub(super) fn sent(&mut self, bytes: u32) {
        self.last = self.last.map(|last| last.saturating_sub(bytes));
    }
}

/// What sending one datagram to this peer debits beyond its length, in bytes.
///
/// OpenSSH, in every release since 2017, gives back `len + 4` for each datagram of `tun@openssh.com` and since 9.6
/// disconnects a peer whose window grew more than a tenth beyond what it was granted; so that is what it is owed.
pub(super) fn surcharge(peer_version: &[u8]) -> u32 {
    let software = peer_version.strip_prefix(b"SSH-2.0-").unwrap_or(peer_version);
    if software.starts_with(b"OpenSSH_") { 4 } else { 0 }
}

#[cfg(test)]
mod tests;
