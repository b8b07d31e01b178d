//! What stands between a peer's virtio-net header and a kernel.

use super::{Gso, NetHeader};
use crate::guard::IpVersion;
use crate::view::{Ip, Layout, Transport, TransportProtocol, read_u16};
use crate::{Mode, Offloads, checksum, guard};

/// The least payload of a TCP segment: Linux' least MSS of 48 bytes less 40 bytes of options.
const MIN_TCP_SEGMENT: u16 = 8;
/// The most ordinary frames one super-frame may become. A kernel makes 45 of 64 KiB at an MTU of 1500 bytes and some
/// 750 at the least MTU of IPv4's hosts.
const MAX_SEGMENTS: usize = 1024;
/// VLAN tags a kernel segments behind.
const MAX_TAGS: u8 = 2;

const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;
const TCP_FLAGS: usize = 13;
const SYN_RST: u8 = 0x06;
const CWR: u8 = 0x80;

/// Why a frame with its net header goes to no kernel. The frame is dropped, the channel goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Unfit(#[from] guard::Unfit),
    #[error("the frame leaves its checksum undone, which this side did not offer to take")]
    ChecksumNotOffered,
    #[error("the frame is a {0:?} super-frame, which this side did not offer to take")]
    GsoNotOffered(Gso),
    #[error("the frame leaves work undone inside an IP packet whose lengths contradict each other")]
    MalformedIp,
    #[error(
        "the checksum is said to start at {start} and to stand {offset} bytes on, which is not where it belongs"
    )]
    ChecksumPlace { start: u16, offset: u16 },
    #[error("a super-frame must leave its checksum undone, this one does not")]
    GsoWithoutChecksum,
    #[error("a {gso:?} super-frame holds another protocol")]
    GsoProtocol { gso: Gso },
    #[error(
        "a super-frame whose headers cannot be repeated: a fragment, more than two tags, or TCP's SYN or RST"
    )]
    NotSegmentable,
    #[error("the lengths inside a super-frame do not match its {0} bytes")]
    GsoLength(usize),
    #[error("segments of {gso_size} bytes make too many of {payload} bytes of payload, or are too small")]
    SegmentSize { gso_size: u16, payload: usize },
}

impl NetHeader {
    /// Checks a header from a peer against its frame and returns the one a kernel may see: every offset belongs to the
    /// headers that are really there, and nothing is taken over that can be recomputed.
    ///
    /// `offered` is what this side told the peer it takes. An ordinary frame passes with the default header, whatever
    /// else its net header says; the peer's voucher for checksums is dropped.
    ///
    /// # Errors
    /// The frame is to be dropped and counted.
    pub fn check(&self, frame: &[u8], mode: Mode, offered: Offloads) -> Result<Self, Refusal> {
        guard::check(mode, frame)?;
        if self.is_plain() {
            return Ok(Self::default());
        }
        if !self.needs_csum {
            return Err(Refusal::GsoWithoutChecksum);
        }
        if !offered.checksum {
            return Err(Refusal::ChecksumNotOffered);
        }
        let layout = Layout::parse(mode, frame);
        if layout.is_malformed_ip() {
            return Err(Refusal::MalformedIp);
        }
        let partial = Self {
            needs_csum: true,
            csum_start: self.csum_start,
            csum_offset: self.csum_offset,
            ..Self::default()
        };
        if self.gso == Gso::None {
            self.check_place(frame, &layout)?;
            return Ok(partial);
        }
        if !self.is_offered(offered) {
            return Err(Refusal::GsoNotOffered(self.gso));
        }
        let ip = layout.ip.ok_or(Refusal::GsoProtocol { gso: self.gso })?;
        if layout.tags > MAX_TAGS || ip.fragment || !ip.segmentable {
            return Err(Refusal::NotSegmentable);
        }
        let transport = layout.transport(frame).ok_or(Refusal::GsoProtocol { gso: self.gso })?;
        self.check_protocol(&ip, &transport)?;
        self.check_place(frame, &layout)?;
        self.check_lengths(frame, &transport)?;
        if transport.end - transport.payload <= usize::from(self.gso_size) {
            return Ok(partial);
        }
        let flags = match transport.protocol {
            TransportProtocol::Tcp => frame.get(transport.start + TCP_FLAGS).copied().unwrap_or_default(),
            TransportProtocol::Udp => 0,
        };
        if flags & SYN_RST != 0 {
            return Err(Refusal::NotSegmentable);
        }
        Ok(Self {
            gso: self.gso,
            gso_ecn: flags & CWR != 0,
            hdr_len: u16::try_from(transport.payload).map_err(|_| Refusal::GsoLength(frame.len()))?,
            gso_size: self.gso_size,
            ..partial
        })
    }

    fn is_offered(&self, offered: Offloads) -> bool {
        match self.gso {
            Gso::None => true,
            Gso::TcpV4 | Gso::TcpV6 => offered.tso,
            Gso::UdpL4 => offered.uso,
        }
    }

    fn check_protocol(&self, ip: &Ip, transport: &Transport) -> Result<(), Refusal> {
        let matches = match self.gso {
            Gso::None => true,
            Gso::TcpV4 => ip.version == IpVersion::V4 && transport.protocol == TransportProtocol::Tcp,
            Gso::TcpV6 => ip.version == IpVersion::V6 && transport.protocol == TransportProtocol::Tcp,
            Gso::UdpL4 => transport.protocol == TransportProtocol::Udp,
        };
        if matches { Ok(()) } else { Err(Refusal::GsoProtocol { gso: self.gso }) }
    }

    /// TCP and UDP have one place for their checksum. Behind anything else (a tunnel's inner header, say) the field must
    /// lie inside the packet, where the sender could have written what it likes anyway.
    fn check_place(&self, frame: &[u8], layout: &Layout) -> Result<(), Refusal> {
        let start = usize::from(self.csum_start);
        let belongs = match layout.transport(frame) {
            Some(transport) => {
                let offset = match transport.protocol {
                    TransportProtocol::Tcp => TCP_CHECKSUM,
                    TransportProtocol::Udp => UDP_CHECKSUM,
                };
                start == transport.start && self.csum_offset == offset
            }
            None => {
                let (from, to) = layout.ip.map_or((layout.network, frame.len()), |ip| (ip.payload, ip.end));
                start >= from && start + usize::from(self.csum_offset) + 2 <= to
            }
        };
        if belongs {
            Ok(())
        } else {
            Err(Refusal::ChecksumPlace { start: self.csum_start, offset: self.csum_offset })
        }
    }

    fn check_lengths(&self, frame: &[u8], transport: &Transport) -> Result<(), Refusal> {
        // Padding behind a super-frame would become payload.
        let udp_agrees =
            || read_u16(frame, transport.start + 4).map(usize::from) == Some(transport.end - transport.start);
        if transport.end != frame.len() || (transport.protocol == TransportProtocol::Udp && !udp_agrees()) {
            return Err(Refusal::GsoLength(frame.len()));
        }
        let payload = transport.end - transport.payload;
        let least = if transport.protocol == TransportProtocol::Tcp { MIN_TCP_SEGMENT } else { 1 };
        if self.gso_size < least || payload.div_ceil(usize::from(self.gso_size)) > MAX_SEGMENTS {
            return Err(Refusal::SegmentSize { gso_size: self.gso_size, payload });
        }
        Ok(())
    }
}

/// Finishes the checksum that `header` leaves undone, in place. The frame must not be a super-frame: a single sum over
/// one says nothing. Does nothing when the checksum is complete.
///
/// # Errors
/// [`Refusal::ChecksumPlace`] when the field lies outside the frame; the frame is unchanged.
pub fn complete_checksum(frame: &mut [u8], header: &NetHeader) -> Result<(), Refusal> {
    if !header.needs_csum {
        return Ok(());
    }
    let outside = Refusal::ChecksumPlace { start: header.csum_start, offset: header.csum_offset };
    let covered = frame.get_mut(usize::from(header.csum_start)..).ok_or(outside)?;
    // The field holds the sum of the pseudo-header, which so enters with the rest.
    let sum = checksum::Sum::default().add_bytes(covered).finish_nonzero();
    let field = covered.get_mut(usize::from(header.csum_offset)..).and_then(|rest| rest.first_chunk_mut());
    *field.ok_or(outside)? = sum.to_be_bytes();
    Ok(())
}
