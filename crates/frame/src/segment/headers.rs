//! Rewriting the headers of one TCP or UDP packet in place.

use crate::checksum::{self, Sum, address_range};
use crate::guard::IpVersion;
use crate::view::{Ip, TCP, Transport, TransportProtocol, UDP, read_u16, read_u32};

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// The headers of a packet up to its payload, and where they stand. Offsets are those of the layout they were found by.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    bytes: &'a mut [u8],
    version: IpVersion,
    protocol: TransportProtocol,
    ip: usize,
    ip_payload: usize,
    transport: usize,
    payload: usize,
}

impl<'a> Headers<'a> {
    /// `bytes` reaches at least to the payload.
    pub(crate) fn new(bytes: &'a mut [u8], ip: &Ip, transport: &Transport) -> Self {
        Self {
            bytes,
            version: ip.version,
            protocol: transport.protocol,
            ip: ip.start,
            ip_payload: ip.payload,
            transport: transport.start,
            payload: transport.payload,
        }
    }

    /// Writes the lengths for a payload of `len` bytes.
    pub(crate) fn set_payload_len(&mut self, len: usize) {
        let end = self.payload + len;
        let (at, value) = match self.version {
            IpVersion::V4 => (self.ip + 2, end - self.ip),
            IpVersion::V6 => (self.ip + 4, end - self.ip - 40),
        };
        // Pieces of a packet are shorter than it was, and its length had 16 bits.
        put_u16(self.bytes, at, value as u16);
        if self.protocol == TransportProtocol::Udp {
            put_u16(self.bytes, self.transport + 4, (end - self.transport) as u16);
        }
    }

    /// Moves on by `segments` packets and `bytes` of payload: IPv4's identification and TCP's sequence number.
    pub(crate) fn advance(&mut self, segments: usize, bytes: usize) {
        if self.version == IpVersion::V4 {
            let at = self.ip + 4;
            let id = read_u16(self.bytes, at).unwrap_or_default();
            put_u16(self.bytes, at, id.wrapping_add(segments as u16));
        }
        if self.protocol == TransportProtocol::Tcp {
            let at = self.transport + 4;
            let seq = read_u32(self.bytes, at).unwrap_or_default();
            put_u32(self.bytes, at, seq.wrapping_add(bytes as u32));
        }
    }

    /// Clears the TCP flags that belong to the first or the last segment alone.
    pub(crate) fn keep_flags(&mut self, first: bool, last: bool) {
        if let Some(flags) = self.bytes.get_mut(self.transport + 13) {
            *flags &= !(if first { 0 } else { CWR } | if last { 0 } else { FIN_PSH });
        }
    }

    /// Computes the IPv4 header checksum.
    pub(crate) fn finish_ip(&mut self) {
        if self.version == IpVersion::V4 {
            put_u16(self.bytes, self.ip + 10, 0);
            let header = self.bytes.get(self.ip..self.ip_payload).unwrap_or_default();
            let sum = Sum::default().add_bytes(header).finish();
            put_u16(self.bytes, self.ip + 10, sum);
        }
    }

    /// Leaves the transport checksum to the receiver: stores the sum of the pseudo-header.
    pub(crate) fn start_transport(&mut self, payload_len: usize) {
        let sum = self.pseudo_header(payload_len).fold();
        put_u16(self.bytes, self.checksum_at(), sum);
    }

    /// Computes the transport checksum over headers and payload.
    pub(crate) fn finish_transport(&mut self, payload: &[u8]) {
        put_u16(self.bytes, self.checksum_at(), 0);
        let header = self.bytes.get(self.transport..self.payload).unwrap_or_default();
        // Transport headers have an even length, so the payload may be added behind.
        let sum = self.pseudo_header(payload.len()).add_bytes(header).add_bytes(payload).finish_nonzero();
        put_u16(self.bytes, self.checksum_at(), sum);
    }

    fn checksum_at(&self) -> usize {
        self.transport
            + match self.protocol {
                TransportProtocol::Tcp => 16,
                TransportProtocol::Udp => 6,
            }
    }

    fn pseudo_header(&self, payload_len: usize) -> Sum {
        let (offset, len) = address_range(self.version);
        let from = self.ip + offset;
        let addresses = self.bytes.get(from..from + len).unwrap_or_default();
        let protocol = match self.protocol {
            TransportProtocol::Tcp => TCP,
            TransportProtocol::Udp => UDP,
        };
        checksum::pseudo_header(addresses, protocol, self.payload - self.transport + payload_len)
    }
}

/// Writes a number if there is room; callers have found its place by walking the same bytes.
pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value.to_be_bytes();
    }
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value.to_be_bytes();
    }
}
