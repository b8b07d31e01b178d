//! How much one key may encrypt.
//!
//! russh counts bytes and time. Packets are counted too, as in OpenSSH: after 2^32 of them the sequence number returns, and
//! with it the nonce of chacha20-poly1305 and the message that a MAC is computed over (RFC 4344 section 3.1). Tiny packets
//! get there long before any limit in bytes.

use crate::sshbuffer::SSHBuffer;
use crate::{Error, Limits};

/// OpenSSH's: half of what the sequence number counts, so that there is time for the key exchange.
pub(crate) const MAX_PACKETS: u32 = 1 << 31;

impl Limits {
    /// Packets of one direction after which keys change, whatever was asked for.
    pub fn packets(&self) -> u32 {
        self.rekey_packet_limit.clamp(1, MAX_PACKETS)
    }
}

impl SSHBuffer {
    /// One more packet has been encrypted or decrypted.
    pub(crate) fn count_packet(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }

    /// From here on another key is used.
    pub(crate) fn new_key(&mut self) {
        self.bytes = 0;
        self.packets = 0;
    }

    /// Whether it is time for another key; `bytes` is the limit for this direction.
    pub(crate) fn is_used_up(&self, bytes: usize, limits: &Limits) -> bool {
        self.bytes >= bytes || self.packets >= limits.packets()
    }

    /// A peer that answers no key exchange may go on until the sequence number would return, and no further.
    pub(crate) fn check_received(&self) -> Result<(), Error> {
        if self.packets == u32::MAX { Err(Error::KeyUsedUp) } else { Ok(()) }
    }
}
