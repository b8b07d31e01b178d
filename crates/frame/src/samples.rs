//! Packets for the tests, and a judge of them that shares no code with what it judges.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use crate::guard::IpVersion;
use crate::view::TransportProtocol;
use crate::{Gso, Mode, NetHeader};

/// A TCP or UDP packet to be built.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) mode: Mode,
    /// VLAN identifiers, outermost first.
    pub(crate) tags: Vec<u16>,
    pub(crate) version: IpVersion,
    /// IPv4 options or the kinds of IPv6 extension headers (0, 43, 60; 8 bytes each).
    pub(crate) extensions: Vec<u8>,
    pub(crate) protocol: TransportProtocol,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) host: u8,
    pub(crate) ports: (u16, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// TCP options, a multiple of four bytes.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const ACK: u8 = 0x10;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const CWR: u8 = 0x80;

/// The timestamp option as Linux pads it.
pub(crate) fn timestamps(value: u32) -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10];
    options.extend(value.to_be_bytes());
    options.extend(7_u32.to_be_bytes());
    options
}

impl Sample {
    pub(crate) fn tcp(version: IpVersion, payload: Vec<u8>) -> Self {
        Self {
            mode: Mode::Ethernet,
            tags: Vec::new(),
            version,
            extensions: Vec::new(),
            protocol: TransportProtocol::Tcp,
            tos: 0,
            ttl: 64,
            id: 100,
            host: 1,
            ports: (40000, 5201),
            seq: 1_000_000,
            ack: 77,
            flags: ACK,
            options: timestamps(99),
            payload,
        }
    }

    pub(crate) fn udp(version: IpVersion, payload: Vec<u8>) -> Self {
        Self { protocol: TransportProtocol::Udp, ..Self::tcp(version, payload) }
    }

    /// The frame with all checksums complete.
    pub(crate) fn build(&self) -> Vec<u8> {
        let (mut frame, start) = self.headers();
        let offset = self.checksum_offset();
        let sum = naive_checksum(&self.pseudo_header(frame.len() - start), &frame[start..]);
        let sum = if sum == 0 { 0xffff } else { sum };
        frame[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// The frame as a kernel hands it over: the checksum partial, to be cut into segments of `gso_size` bytes.
    pub(crate) fn super_frame(&self, gso_size: u16) -> (NetHeader, Vec<u8>) {
        let (mut frame, start) = self.headers();
        let offset = self.checksum_offset();
        let partial = !naive_checksum(&self.pseudo_header(frame.len() - start), &[]);
        frame[start + offset..start + offset + 2].copy_from_slice(&partial.to_be_bytes());
        let gso = match (self.protocol, self.version) {
            (TransportProtocol::Tcp, IpVersion::V4) => Gso::TcpV4,
            (TransportProtocol::Tcp, IpVersion::V6) => Gso::TcpV6,
            (TransportProtocol::Udp, _) => Gso::UdpL4,
        };
        let header = NetHeader {
            needs_csum: true,
            data_valid: false,
            gso,
            gso_ecn: self.protocol == TransportProtocol::Tcp && self.flags & CWR != 0,
            hdr_len: u16::try_from(frame.len() - self.payload.len()).unwrap(),
            gso_size,
            csum_start: u16::try_from(start).unwrap(),
            csum_offset: u16::try_from(offset).unwrap(),
        };
        (header, frame)
    }

    /// The frame as a kernel hands it over when it is an ordinary one with a partial checksum.
    pub(crate) fn partial(&self) -> (NetHeader, Vec<u8>) {
        let (header, frame) = self.super_frame(0);
        (NetHeader { gso: Gso::None, gso_ecn: false, hdr_len: 0, ..header }, frame)
    }

    fn checksum_offset(&self) -> usize {
        match self.protocol {
            TransportProtocol::Tcp => 16,
            TransportProtocol::Udp => 6,
        }
    }

    fn protocol_number(&self) -> u8 {
        match self.protocol {
            TransportProtocol::Tcp => 6,
            TransportProtocol::Udp => 17,
        }
    }

    fn addresses(&self) -> Vec<u8> {
        match self.version {
            IpVersion::V4 => vec![192, 0, 2, self.host, 198, 51, 100, 2],
            IpVersion::V6 => {
                let mut addresses = vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self.host];
                addresses.extend([0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
                addresses
            }
        }
    }

    fn pseudo_header(&self, len: usize) -> Vec<u8> {
        let mut pseudo = self.addresses();
        pseudo.extend(u32::try_from(len).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol_number()]);
        pseudo
    }

    /// The frame with a zero transport checksum, and where the transport header starts.
    fn headers(&self) -> (Vec<u8>, usize) {
        let mut frame = Vec::new();
        if self.mode == Mode::Ethernet {
            frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, self.host]);
            for (depth, tag) in self.tags.iter().enumerate() {
                let tpid: u16 = if depth == 0 && self.tags.len() > 1 { 0x88a8 } else { 0x8100 };
                frame.extend(tpid.to_be_bytes());
                frame.extend(tag.to_be_bytes());
            }
            frame.extend(match self.version {
                IpVersion::V4 => [8, 0],
                IpVersion::V6 => [0x86, 0xdd],
            });
        }
        let transport = self.transport_header();
        match self.version {
            IpVersion::V4 => {
                let options = self.extensions.len().div_ceil(4) * 4;
                let total = u16::try_from(20 + options + transport.len() + self.payload.len()).unwrap();
                let ihl = u8::try_from((20 + options) / 4).unwrap();
                let mut header = vec![0x40 | ihl, self.tos];
                header.extend(total.to_be_bytes());
                header.extend(self.id.to_be_bytes());
                header.extend([0x40, 0, self.ttl, self.protocol_number(), 0, 0]);
                header.extend(self.addresses());
                // No-operation options.
                header.resize(20 + options, 1);
                let sum = naive_checksum(&header, &[]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend(header);
            }
            IpVersion::V6 => {
                let extensions = self.extensions.len() * 8;
                let len = u16::try_from(extensions + transport.len() + self.payload.len()).unwrap();
                frame.extend([0x60 | self.tos >> 4, self.tos << 4, 0x12, 0x34]);
                frame.extend(len.to_be_bytes());
                let mut kinds = self.extensions.clone();
                kinds.push(self.protocol_number());
                frame.extend([kinds[0], self.ttl]);
                frame.extend(self.addresses());
                for next in &kinds[1..] {
                    // A PadN option of six bytes; as a routing header: type 1, no segments left.
                    frame.extend([*next, 0, 1, 4, 0, 0, 0, 0]);
                }
            }
        }
        let start = frame.len();
        frame.extend(transport);
        frame.extend(&self.payload);
        (frame, start)
    }

    fn transport_header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(self.ports.0.to_be_bytes());
        header.extend(self.ports.1.to_be_bytes());
        match self.protocol {
            TransportProtocol::Tcp => {
                header.extend(self.seq.to_be_bytes());
                header.extend(self.ack.to_be_bytes());
                let words = u8::try_from((20 + self.options.len()) / 4).unwrap();
                header.extend([words << 4, self.flags, 2, 0, 0, 0, 0, 0]);
                header.extend(&self.options);
            }
            TransportProtocol::Udp => {
                header.extend(u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes());
                header.extend([0, 0]);
            }
        }
        header
    }
}

/// RFC 1071 by the letter.
pub(crate) fn naive_checksum(first: &[u8], second: &[u8]) -> u16 {
    let bytes: Vec<u8> = first.iter().chain(second).copied().collect();
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        let (total, carry) = sum.overflowing_add(word);
        sum = total + u16::from(carry);
    }
    !sum
}

/// Panics unless a strict parser accepts the frame and all its checksums are right. Returns the transport payload.
pub(crate) fn judge(mode: Mode, frame: &[u8]) -> Vec<u8> {
    let packet = match mode {
        Mode::Ethernet => SlicedPacket::from_ethernet(frame),
        Mode::PointToPoint => SlicedPacket::from_ip(frame),
    }
    .expect("a frame a strict parser accepts");
    let (addresses, payload_len) = match packet.net.as_ref().expect("an IP packet") {
        NetSlice::Ipv4(ip) => {
            assert_eq!(naive_checksum(ip.header().slice(), &[]), 0, "IPv4 header checksum");
            let header = ip.header();
            ([&header.source()[..], &header.destination()[..]].concat(), ip.payload().payload.len())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            ([&header.source()[..], &header.destination()[..]].concat(), ip.payload().payload.len())
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    let (number, slice, payload) = match packet.transport.as_ref().expect("a transport header") {
        TransportSlice::Tcp(tcp) => (6, tcp.slice(), tcp.payload()),
        TransportSlice::Udp(udp) => (17, udp.slice(), udp.payload()),
        other => panic!("{other:?}"),
    };
    assert_eq!(slice.len(), payload_len, "the transport packet fills the IP packet");
    let mut pseudo = addresses;
    pseudo.extend(u32::try_from(slice.len()).unwrap().to_be_bytes());
    pseudo.extend([0, 0, 0, number]);
    assert_eq!(naive_checksum(&pseudo, slice), 0, "transport checksum");
    payload.to_vec()
}

/// TCP and UDP packets of all shapes that may be segmented, with 1 to `max_payload` bytes.
pub(crate) fn any_sample(max_payload: usize) -> impl Strategy<Value = Sample> {
    let shape = (
        any::<(bool, bool, bool)>(),
        prop::collection::vec(0_u16..4096, 0..3),
        prop::collection::vec(prop_oneof![Just(43_u8), Just(60)], 0..3),
        any::<(u8, u8, u16, u8, u16, u16)>(),
    );
    let tcp = (any::<(u32, u32)>(), 0_u8..16, 0_usize..11);
    (shape, tcp, 1..=max_payload, any::<u8>()).prop_map(
        |((bits, tags, extensions, numbers), ((seq, ack), flags, options), len, byte)| {
            let (ethernet, v4, is_tcp) = bits;
            let (tos, ttl, id, host, source, destination) = numbers;
            let version = if v4 { IpVersion::V4 } else { IpVersion::V6 };
            Sample {
                mode: if ethernet { Mode::Ethernet } else { Mode::PointToPoint },
                tags: if ethernet { tags } else { Vec::new() },
                version,
                extensions,
                protocol: if is_tcp { TransportProtocol::Tcp } else { TransportProtocol::Udp },
                tos,
                ttl,
                id,
                host,
                ports: (source, destination),
                seq,
                ack,
                flags: ACK
                    | if flags & 1 != 0 { PSH } else { 0 }
                    | if flags & 2 != 0 { FIN } else { 0 }
                    | if flags & 4 != 0 { CWR } else { 0 },
                options: vec![1; options * 4],
                payload: (0..len).map(|i| (i as u8).wrapping_mul(31) ^ byte).collect(),
            }
        },
    )
}
