mod check;

pub use check::{Refusal, complete_checksum};

/// The virtio-net header that travels with every frame (`struct virtio_net_hdr`, VIRTIO 1.2 section 5.1.6).
///
/// The default value says "an ordinary frame, checksums complete".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetHeader {
    /// The checksum is partial: it is summed from `csum_start` to the frame's end and stored `csum_offset` bytes after it.
    pub needs_csum: bool,
    /// The sender vouches for the checksum (`VIRTIO_NET_HDR_F_DATA_VALID`).
    pub data_valid: bool,
    pub gso: Gso,
    /// The TCP segments carry ECN's CWR in the first one only (`VIRTIO_NET_HDR_GSO_ECN`).
    pub gso_ecn: bool,
    /// Length of all headers in bytes, a hint; 0 when unknown.
    pub hdr_len: u16,
    /// Payload bytes per segment; 0 without segmentation.
    pub gso_size: u16,
    pub csum_start: u16,
    pub csum_offset: u16,
}

/// How the receiving kernel cuts a super-frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gso {
    #[default]
    None,
    TcpV4,
    TcpV6,
    /// UDP segmentation (USO, `VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
}

/// Why the bytes are no header that Tapline hands to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetHeaderError {
    #[error("net header flags {0:#04x} are unknown")]
    UnknownFlags(u8),
    #[error("net header segmentation type {0:#04x} is unknown")]
    UnknownGso(u8),
}

impl NetHeader {
    /// Length on the wire and in front of a frame read from a tap, in bytes.
    pub const LEN: usize = 10;

    /// Whether the frame is one that any device takes: no segmentation and no checksum left to do.
    pub fn is_plain(&self) -> bool {
        !self.needs_csum && self.gso == Gso::None
    }

    /// Reads the little-endian form.
    ///
    /// # Errors
    /// Flags or segmentation types that no kernel Tapline supports produces.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, NetHeaderError> {
        let [flags, gso_type, h0, h1, s0, s1, c0, c1, o0, o1] = *bytes;
        if flags & !0b11 != 0 {
            return Err(NetHeaderError::UnknownFlags(flags));
        }
        let gso = match gso_type & !0x80 {
            0 => Gso::None,
            1 => Gso::TcpV4,
            4 => Gso::TcpV6,
            5 => Gso::UdpL4,
            _ => return Err(NetHeaderError::UnknownGso(gso_type)),
        };
        Ok(Self {
            needs_csum: flags & 1 != 0,
            data_valid: flags & 2 != 0,
            gso,
            gso_ecn: gso_type & 0x80 != 0,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([s0, s1]),
            csum_start: u16::from_le_bytes([c0, c1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
        })
    }

    /// The little-endian form.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let flags = u8::from(self.needs_csum) | u8::from(self.data_valid) << 1;
        let gso = match self.gso {
            Gso::None => 0,
            Gso::TcpV4 => 1,
            Gso::TcpV6 => 4,
            Gso::UdpL4 => 5,
        } | u8::from(self.gso_ecn) << 7;
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [s0, s1] = self.gso_size.to_le_bytes();
        let [c0, c1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests;
