//! Which frames a device takes.

use tapline_frame::{Gso, Mode};

use crate::{FrameRef, Offloads};

/// Longest frame or packet read or written, in bytes without the virtio-net header: a super-frame of 64 KiB with its
/// Ethernet header and VLAN tags.
pub const MAX_FRAME: usize = 65_536 + 64;

/// Shortest Ethernet frame: two addresses and a type.
pub const MIN_ETHERNET_FRAME: usize = 14;

impl FrameRef<'_> {
    /// Whether a device of that mode and with these offloads may be given the frame: its length is possible, and it
    /// leaves nothing undone that the device would not finish. Offsets in the header are not looked at.
    pub fn fits(&self, mode: Mode, offloads: Offloads) -> bool {
        let shortest = match mode {
            Mode::Ethernet => MIN_ETHERNET_FRAME,
            Mode::PointToPoint => 1,
        };
        let segmentation = match self.header.gso {
            Gso::None => true,
            Gso::TcpV4 | Gso::TcpV6 => offloads.tso,
            Gso::UdpL4 => offloads.uso,
        };
        (shortest..=MAX_FRAME).contains(&self.bytes.len())
            && segmentation
            && (offloads.checksum || !self.header.needs_csum)
    }
}

#[cfg(test)]
mod tests;
