//! One super-frame in the making.

use super::candidate::Candidate;
use crate::guard::IpVersion;
use crate::segment::Headers;
use crate::view::{TransportProtocol, read_u16, read_u32};
use crate::{Gso, NetHeader};

/// The longest IP packet that is made, in bytes: what its length field can say.
const MAX_IP: usize = 65535;
/// The most datagrams a kernel takes in a UDP super-frame (`UDP_MAX_SEGMENTS` before Linux 6.9).
const MAX_DATAGRAMS: usize = 64;
/// Far below what a receiver refuses, far above what fits at common MTUs.
const MAX_SEGMENTS: usize = 512;
const PSH: u8 = 0x08;

#[derive(Debug, Default)]
pub(super) struct Slot {
    /// What has been joined so far; the headers are those of the first frame until it is emitted.
    bytes: Vec<u8>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// The net header of the first frame.
    header: NetHeader,
    first: Candidate,
    segment_len: usize,
    segments: usize,
    pushed: bool,
    complete: bool,
}

impl Slot {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none()
    }

    pub(super) fn holds(&self, flow: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.first.flow == flow)
    }

    /// Begins with a joinable frame that is not pushed. The slot is empty.
    pub(super) fn start(&mut self, header: &NetHeader, frame: &[u8], first: Candidate) {
        self.bytes.clear();
        self.bytes.extend_from_slice(frame);
        self.open = Some(Open {
            header: *header,
            first,
            segment_len: first.payload_len(),
            segments: 1,
            pushed: false,
            complete: false,
        });
    }

    /// Appends a joinable frame if it continues what is held.
    pub(super) fn append(&mut self, frame: &[u8], next: &Candidate) -> bool {
        let Some(open) = &mut self.open else { return false };
        if !open.continues(&self.bytes, frame, next) {
            return false;
        }
        let payload = frame.get(next.transport.payload..next.transport.end).unwrap_or_default();
        self.bytes.extend_from_slice(payload);
        open.segments += 1;
        open.pushed = next.is_pushed(frame);
        open.complete = open.pushed || payload.len() < open.segment_len;
        true
    }

    /// Whether nothing may follow.
    pub(super) fn is_complete(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.complete)
    }

    /// Hands out what is held, if anything.
    pub(super) fn emit(&mut self, out: &mut impl FnMut(&NetHeader, &[u8])) {
        let Some(open) = self.open.take() else { return };
        if open.segments == 1 {
            return out(&open.header, &self.bytes);
        }
        let header = open.finish(&mut self.bytes);
        out(&header, &self.bytes);
    }
}

impl Open {
    /// Whether `frame` is what cutting a longer super-frame would yield next.
    fn continues(&self, bytes: &[u8], frame: &[u8], next: &Candidate) -> bool {
        let payload = next.payload_len();
        let limit = match next.transport.protocol {
            TransportProtocol::Tcp => MAX_SEGMENTS,
            TransportProtocol::Udp => MAX_DATAGRAMS,
        };
        !self.complete
            && self.segments < limit
            && payload <= self.segment_len
            && bytes.len() - self.first.ip.start + payload <= MAX_IP
            && next.transport.payload == self.first.transport.payload
            && next.transport.start == self.first.transport.start
            && next.ip.start == self.first.ip.start
            && self.same_headers(bytes, frame).unwrap_or(false)
    }

    fn same_headers(&self, bytes: &[u8], frame: &[u8]) -> Option<bool> {
        let ip = self.first.ip.start;
        let transport = self.first.transport.start;
        let end = self.first.transport.payload;
        let same = |from: usize, to: usize| Some(bytes.get(from..to)? == frame.get(from..to)?);

        let same_ip = match self.first.ip.version {
            // All but length, identification and checksum.
            IpVersion::V4 => {
                same(0, ip + 2)?
                    && same(ip + 6, ip + 10)?
                    && same(ip + 12, transport)?
                    && self.identification_continues(bytes, frame)?
            }
            // All but the length.
            IpVersion::V6 => same(0, ip + 4)? && same(ip + 6, transport)?,
        };
        let same_transport = match self.first.transport.protocol {
            // All but sequence number, PSH and checksum.
            TransportProtocol::Tcp => {
                let payload = bytes.len() - end;
                let expected = read_u32(bytes, transport + 4)?.wrapping_add(payload as u32);
                read_u32(frame, transport + 4)? == expected
                    && same(transport, transport + 4)?
                    && same(transport + 8, transport + 13)?
                    && (bytes.get(transport + 13)? ^ frame.get(transport + 13)?) & !PSH == 0
                    && same(transport + 14, transport + 16)?
                    && same(transport + 18, end)?
            }
            // The ports.
            TransportProtocol::Udp => same(transport, transport + 4)?,
        };
        Some(same_ip && same_transport)
    }

    /// One up for each segment; or constant in packets that must not be fragmented, where it says nothing (RFC 6864).
    fn identification_continues(&self, bytes: &[u8], frame: &[u8]) -> Option<bool> {
        let at = self.first.ip.start + 4;
        let first = read_u16(bytes, at)?;
        let next = read_u16(frame, at)?;
        let dont_fragment = bytes.get(at + 2)? & 0x40 != 0;
        Some(next == first.wrapping_add(self.segments as u16) || (dont_fragment && next == first))
    }

    fn finish(&self, bytes: &mut [u8]) -> NetHeader {
        let transport = &self.first.transport;
        let payload_len = bytes.len() - transport.payload;
        if self.pushed
            && let Some(flags) = bytes.get_mut(transport.start + 13)
        {
            *flags |= PSH;
        }
        let mut headers = Headers::new(bytes, &self.first.ip, transport);
        headers.set_payload_len(payload_len);
        headers.finish_ip();
        headers.start_transport(payload_len);
        let (gso, csum_offset) = match (transport.protocol, self.first.ip.version) {
            (TransportProtocol::Tcp, IpVersion::V4) => (Gso::TcpV4, 16),
            (TransportProtocol::Tcp, IpVersion::V6) => (Gso::TcpV6, 16),
            (TransportProtocol::Udp, _) => (Gso::UdpL4, 6),
        };
        NetHeader {
            needs_csum: true,
            data_valid: false,
            gso,
            gso_ecn: false,
            // Headers were limited to 512 bytes, segments to an IP packet.
            hdr_len: transport.payload as u16,
            gso_size: self.segment_len as u16,
            csum_start: transport.start as u16,
            csum_offset,
        }
    }
}
