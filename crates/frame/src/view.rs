//! Where the headers of a frame stand.
//!
//! A [`Layout`] is a handful of offsets, found once per frame and used by the checks, the queue, segmentation and
//! coalescing. The walk is our own rather than etherparse's: every frame takes it, it must accept what a kernel forwards
//! (padding, super-frames, unknown extension headers) where a strict parser gives up, and offsets stay usable while the
//! frame is edited, which borrowed slices do not. The tests hold it against etherparse.

mod class;
mod ecn;
mod flow;

use crate::Mode;
use crate::guard::{ETHERNET_HEADER, IpVersion};

pub use class::Class;
pub use ecn::Ecn;

pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// Tags that are walked: 802.1Q, 802.1ad, and the number QinQ used before it had one.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TAG_LEN: usize = 4;
/// Deeper stacks of tags exist in no network; the rest of such a frame is opaque.
const MAX_TAGS: u8 = 8;
/// Extension headers walked before the rest is opaque. RFC 8200 section 4.1 foresees seven.
const MAX_EXTENSIONS: usize = 8;

/// Offsets in bytes from the start of the frame. Valid for the frame it was made from, whose length it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The EtherType behind all tags (or a length below 0x600, IEEE 802.3); for a packet of a point-to-point tunnel the one
    /// of its IP version.
    pub ethertype: u16,
    /// Number of VLAN tags.
    pub tags: u8,
    /// Where the first byte behind the Ethernet header and its tags stands.
    pub network: usize,
    /// The IP packet, if there is a well-formed one.
    pub ip: Option<Ip>,
}

/// An IP packet inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    pub version: IpVersion,
    /// Start of the IP header.
    pub start: usize,
    /// Start of what follows the IPv4 header or the IPv6 extension headers.
    pub payload: usize,
    /// End of the packet by its own length field; Ethernet padding may follow.
    pub end: usize,
    /// IANA's number of what stands at `payload`.
    pub protocol: u8,
    /// One of several fragments, or an IPv6 packet with a fragment header at all.
    pub fragment: bool,
    /// Only extension headers that every kernel repeats in each segment it cuts.
    pub segmentable: bool,
}

/// The TCP or UDP header of an unfragmented packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    pub protocol: TransportProtocol,
    /// Start of the header.
    pub start: usize,
    /// Start of the data.
    pub payload: usize,
    /// End of the data: the end of the IP packet.
    pub end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    Tcp,
    Udp,
}

impl Layout {
    /// Walks the headers of a frame. Total: what cannot be read is left out.
    pub fn parse(mode: Mode, frame: &[u8]) -> Self {
        let mut tags = 0;
        let (mut ethertype, mut network) = match mode {
            Mode::PointToPoint => match frame.first().map(|first| first >> 4) {
                Some(4) => (ETHERTYPE_IPV4, 0),
                Some(6) => (ETHERTYPE_IPV6, 0),
                _ => (0, 0),
            },
            Mode::Ethernet => match read_u16(frame, ETHERNET_HEADER - 2) {
                Some(ethertype) => (ethertype, ETHERNET_HEADER),
                None => (0, frame.len()),
            },
        };
        while mode == Mode::Ethernet && tags < MAX_TAGS && TAGS.contains(&ethertype) {
            let Some(inner) = read_u16(frame, network + TAG_LEN - 2) else { break };
            ethertype = inner;
            network += TAG_LEN;
            tags += 1;
        }
        let ip = match ethertype {
            ETHERTYPE_IPV4 => ipv4(frame, network),
            ETHERTYPE_IPV6 => ipv6(frame, network),
            _ => None,
        };
        Self { ethertype, tags, network, ip }
    }

    /// Announced as IP, but with lengths that contradict each other or the frame.
    pub fn is_malformed_ip(&self) -> bool {
        self.ip.is_none() && matches!(self.ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6)
    }

    /// The TCP or UDP header, unless the packet is a fragment or too short for one.
    pub fn transport(&self, frame: &[u8]) -> Option<Transport> {
        let ip = self.ip.filter(|ip| !ip.fragment)?;
        let (protocol, len) = match ip.protocol {
            TCP => (TransportProtocol::Tcp, usize::from(frame.get(ip.payload + 12)? >> 4) * 4),
            UDP => (TransportProtocol::Udp, 8),
            _ => return None,
        };
        let payload = ip.payload + len;
        let minimum = if protocol == TransportProtocol::Tcp { 20 } else { 8 };
        (len >= minimum && payload <= ip.end).then_some(Transport {
            protocol,
            start: ip.payload,
            payload,
            end: ip.end,
        })
    }
}

fn ipv4(frame: &[u8], start: usize) -> Option<Ip> {
    let header = frame.get(start..)?.first_chunk::<20>()?;
    let [version_ihl, _, l0, l1, _, _, f0, f1, _, protocol, ..] = *header;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    let end = start + total;
    if version_ihl >> 4 != 4 || header_len < 20 || total < header_len || end > frame.len() {
        return None;
    }
    // More fragments, or an offset.
    let fragment = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
    let payload = start + header_len;
    Some(Ip { version: IpVersion::V4, start, payload, end, protocol, fragment, segmentable: true })
}

fn ipv6(frame: &[u8], start: usize) -> Option<Ip> {
    let header = frame.get(start..)?.first_chunk::<40>()?;
    let [first, _, _, _, l0, l1, next, ..] = *header;
    let mut payload = start + 40;
    let end = payload + usize::from(u16::from_be_bytes([l0, l1]));
    if first >> 4 != 6 || end > frame.len() {
        return None;
    }
    let mut ip = Ip {
        version: IpVersion::V6,
        start,
        payload,
        end,
        protocol: next,
        fragment: false,
        segmentable: true,
    };
    for _ in 0..MAX_EXTENSIONS {
        // RFC 8200 section 4; AH counts in units of 4 bytes (RFC 4302), the fragment header has a fixed length.
        let unit = match ip.protocol {
            0 | 43 | 60 | 135 | 139 | 140 => 8,
            51 => 4,
            44 => 0,
            _ => break,
        };
        let Some([following, len, f0, f1]) = frame.get(payload..).and_then(|rest| rest.first_chunk()) else {
            return Some(ip.opaque());
        };
        let len = match unit {
            8 => (usize::from(*len) + 1) * 8,
            4 => (usize::from(*len) + 2) * 4,
            _ => 8,
        };
        payload += len;
        if payload > end {
            return Some(ip.opaque());
        }
        ip.segmentable &= matches!(ip.protocol, 0 | 43 | 60);
        if ip.protocol == 44 {
            ip.fragment = true;
            if u16::from_be_bytes([*f0, *f1]) & 0xfff8 != 0 {
                // Behind a later fragment's header stands no header.
                ip.protocol = *following;
                ip.payload = payload;
                return Some(ip);
            }
        }
        ip.protocol = *following;
        ip.payload = payload;
    }
    Some(ip)
}

impl Ip {
    /// The packet whose extension headers cannot be followed to the end.
    fn opaque(self) -> Self {
        Self { segmentable: false, ..self }
    }

    /// Source and destination address, together.
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let (offset, len) = crate::checksum::address_range(self.version);
        frame.get(self.start + offset..)?.get(..len)
    }
}

pub(crate) fn read_u16(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

pub(crate) fn read_u32(frame: &[u8], at: usize) -> Option<u32> {
    frame.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
