//! The smallest test that every frame passes on its way to a kernel or a peer, in either direction.

use crate::Mode;

/// Bytes of an Ethernet header without tags.
pub const ETHERNET_HEADER: usize = 14;
/// The longest frame Tapline carries: an IP packet of 65535 bytes behind an Ethernet header with two VLAN tags.
pub const MAX_FRAME: usize = 65535 + ETHERNET_HEADER + 2 * 4;
/// The longest packet of a point-to-point tunnel. A payload length of IPv6 does not count its header.
pub const MAX_PACKET: usize = 65535 + 40;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// Why bytes are no frame or packet. Lengths are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("{len} bytes are no {what}, at least {min} are needed; the frame is dropped")]
    TooShort { what: &'static str, len: usize, min: usize },
    #[error("{len} bytes are more than the {max} a frame may have here; lower the MTU of the sending device")]
    TooLong { len: usize, max: usize },
    #[error("IP version {0} in a point-to-point tunnel, which carries 4 and 6 only; the packet is dropped")]
    IpVersion(u8),
}

/// What a packet of a point-to-point tunnel says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpVersion {
    V4,
    V6,
}

/// Accepts what a kernel takes from a tap (ethernet) or tun (point-to-point).
///
/// # Errors
/// Shorter than the first header, longer than [`MAX_FRAME`] or [`MAX_PACKET`], or a packet of neither IP version.
pub fn check(mode: Mode, frame: &[u8]) -> Result<(), Unfit> {
    match mode {
        Mode::Ethernet => check_ethernet(frame, MAX_FRAME),
        Mode::PointToPoint => check_packet(frame, MAX_PACKET).map(|_| ()),
    }
}

pub(crate) fn check_ethernet(frame: &[u8], max: usize) -> Result<(), Unfit> {
    check_len("Ethernet frame", frame.len(), ETHERNET_HEADER, max)
}

pub(crate) fn check_packet(packet: &[u8], max: usize) -> Result<IpVersion, Unfit> {
    let Some(first) = packet.first() else {
        return Err(Unfit::TooShort { what: "IP packet", len: 0, min: IPV4_HEADER });
    };
    match first >> 4 {
        4 => check_len("IPv4 packet", packet.len(), IPV4_HEADER, max).map(|()| IpVersion::V4),
        6 => check_len("IPv6 packet", packet.len(), IPV6_HEADER, max).map(|()| IpVersion::V6),
        other => Err(Unfit::IpVersion(other)),
    }
}

fn check_len(what: &'static str, len: usize, min: usize, max: usize) -> Result<(), Unfit> {
    if len < min {
        Err(Unfit::TooShort { what, len, min })
    } else if len > max {
        Err(Unfit::TooLong { len, max })
    } else {
        Ok(())
    }
}
