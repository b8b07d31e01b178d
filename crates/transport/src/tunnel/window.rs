/// The window we grant for one channel (RFC 4254 section 5.2), in bytes of CHANNEL_DATA strings.
///
/// Only the length of the strings counts, whatever the peer debits: OpenSSH gives back four bytes more for each
/// datagram than it takes as a sender, and a receiver that did the same would drift from every correct peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveWindow {
    target: u32,
    left: u32,
}

impl ReceiveWindow {
    pub fn new(target: u32) -> Self {
        Self { target, left: target }
    }

    /// Counts a received string and returns what to grant with a CHANNEL_WINDOW_ADJUST, or 0.
    ///
    /// The device takes every frame at once, so the window is given back as soon as half of it is used.
    pub fn received(&mut self, len: usize) -> u32 {
        // A peer that sends beyond its window gains nothing: the excess is not granted again.
        self.left = self.left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        if self.left >= self.target / 2 {
            return 0;
        }
        let credit = self.target - self.left;
        self.left = self.target;
        credit
    }
}

/// What sending one datagram to this peer debits beyond its length, in bytes.
///
/// OpenSSH, in every release since 2017, gives back `len + 4` for each datagram of `tun@openssh.com` and since 9.6
/// disconnects a peer whose window grew more than a tenth beyond what it was granted; so that is what it is owed.
pub fn surcharge(peer_version: &[u8]) -> u32 {
    let software = peer_version.strip_prefix(b"SSH-2.0-").unwrap_or(peer_version);
    if software.starts_with(b"OpenSSH_") { 4 } else { 0 }
}

#[cfg(test)]
mod tests;
