//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use crate::guard::IpVersion;

/// A running ones' complement sum. The order of bytes does not matter to it until [`Sum::finish`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes as 16-bit words; an odd last byte is padded with zero, so only the last piece may be odd.
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<8>();
        let mut sum = self.0;
        for word in words {
            let word = u64::from_ne_bytes(*word);
            // Halves cannot overflow 64 bits before 16 GiB have been added.
            sum += (word & 0xffff_ffff) + (word >> 32);
        }
        let (pairs, last) = tail.as_chunks::<2>();
        for pair in pairs {
            sum += u64::from(u16::from_ne_bytes(*pair));
        }
        if let [last] = last {
            sum += u64::from(u16::from_ne_bytes([*last, 0]));
        }
        Self(sum)
    }

    /// Adds a number that stands big-endian in the packet.
    #[must_use]
    pub fn add_u16(self, value: u16) -> Self {
        Self(self.0 + u64::from(value.to_be()))
    }

    /// Adds a number that stands big-endian in the packet.
    #[must_use]
    pub fn add_u32(self, value: u32) -> Self {
        let value = value.to_be();
        Self(self.0 + u64::from(value & 0xffff) + u64::from(value >> 16))
    }

    /// The folded sum, not complemented: what a partial checksum field holds after the pseudo-header.
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // The loop leaves 16 bits.
        u16::from_be(sum as u16)
    }

    /// The checksum, as the number whose big-endian bytes stand in the packet.
    pub fn finish(self) -> u16 {
        !self.fold()
    }

    /// The checksum of TCP or UDP, where zero is sent as all ones (RFC 768; the same number to TCP).
    pub fn finish_nonzero(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

/// The pseudo-header of RFC 9293 section 3.1 (IPv4) or RFC 8200 section 8.1 (IPv6).
///
/// `addresses` is source and destination as they stand in the IP header, `len` the bytes of the upper-layer packet.
pub fn pseudo_header(addresses: &[u8], protocol: u8, len: usize) -> Sum {
    // Lengths are those of frames, far below 4 GiB.
    Sum::default().add_bytes(addresses).add_u16(u16::from(protocol)).add_u32(len as u32)
}

/// The checksum after one 16-bit word of what it covers went from `old` to `new` (RFC 1624, equation 3).
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::default().add_u16(!checksum).add_u16(!old).add_u16(new).finish()
}

/// Offset and length of source and destination together in an IP header.
pub(crate) fn address_range(version: IpVersion) -> (usize, usize) {
    match version {
        IpVersion::V4 => (12, 8),
        IpVersion::V6 => (8, 32),
    }
}

#[cfg(test)]
mod tests;
