//! Which frames may be joined at all.

use crate::checksum::{self, Sum};
use crate::guard::IpVersion;
use crate::segment::MAX_HEADERS;
use crate::view::{Ip, Layout, TCP, Transport, TransportProtocol, UDP, read_u16};
use crate::{Gso, Mode, NetHeader, Offloads};

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
/// Smaller segments are not worth a super-frame, and [`NetHeader::check`] refuses those of TCP below 8 bytes.
const MIN_SEGMENT: usize = 8;
const MAX_TAGS: u8 = 2;

/// A frame of TCP or UDP, whose place among the frames of its flow matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) flow: u64,
    pub(super) ip: Ip,
    pub(super) transport: Transport,
    tags: u8,
    /// An ordinary frame, not a super-frame already.
    ordinary: bool,
    /// The checksum is left undone, in its right place.
    partial: bool,
    vouched: bool,
}

impl Candidate {
    pub(super) fn find(mode: Mode, header: &NetHeader, frame: &[u8]) -> Option<Self> {
        let layout = Layout::parse(mode, frame);
        let transport = layout.transport(frame)?;
        Some(Self {
            flow: layout.flow_hash(frame, 0),
            ip: layout.ip?,
            transport,
            tags: layout.tags,
            ordinary: header.gso == Gso::None,
            partial: header.needs_csum && usize::from(header.csum_start) == transport.start,
            vouched: header.data_valid,
        })
    }

    pub(super) fn payload_len(&self) -> usize {
        self.transport.end - self.transport.payload
    }

    /// Whether the frame may start or continue a super-frame. The checksums come last: they cost the most.
    pub(super) fn is_joinable(&self, offloads: Offloads, frame: &[u8]) -> bool {
        self.ordinary
            && self.tags <= MAX_TAGS
            && self.ip.segmentable
            && self.transport.end == frame.len()
            && self.transport.payload <= MAX_HEADERS
            && self.payload_len() >= MIN_SEGMENT
            && self.is_plain_data(offloads, frame)
            && self.checksums_hold(frame)
    }

    /// Whether the segment is the last its sender wants delivered together.
    pub(super) fn is_pushed(&self, frame: &[u8]) -> bool {
        self.transport.protocol == TransportProtocol::Tcp
            && frame.get(self.transport.start + 13).is_some_and(|flags| flags & PSH != 0)
    }

    fn is_plain_data(&self, offloads: Offloads, frame: &[u8]) -> bool {
        match self.transport.protocol {
            TransportProtocol::Tcp => {
                offloads.tso && frame.get(self.transport.start + 13).is_some_and(|flags| flags & !PSH == ACK)
            }
            TransportProtocol::Udp => {
                offloads.uso
                    && read_u16(frame, self.transport.start + 4).map(usize::from)
                        == Some(self.transport.end - self.transport.start)
                    // Without a checksum there is none to compute anew.
                    && read_u16(frame, self.transport.start + 6) != Some(0)
            }
        }
    }

    fn checksums_hold(&self, frame: &[u8]) -> bool {
        let ip_header = frame.get(self.ip.start..self.ip.payload).unwrap_or_default();
        if self.ip.version == IpVersion::V4 && Sum::default().add_bytes(ip_header).finish() != 0 {
            return false;
        }
        if self.partial || self.vouched {
            return true;
        }
        let protocol = match self.transport.protocol {
            TransportProtocol::Tcp => TCP,
            TransportProtocol::Udp => UDP,
        };
        let covered = frame.get(self.transport.start..self.transport.end).unwrap_or_default();
        let addresses = self.ip.addresses(frame).unwrap_or_default();
        checksum::pseudo_header(addresses, protocol, covered.len()).add_bytes(covered).finish() == 0
    }
}
