//! Cutting super-frames, as a kernel does for a device without offload.
//!
//! TCP and UDP over IPv4 and IPv6, behind up to two VLAN tags and the extension headers a kernel repeats. No payload is
//! copied: the sink gets the rewritten headers and, apart, a slice of the original frame.

mod headers;

use crate::view::{Layout, TransportProtocol};
use crate::{Gso, Mode, NetHeader, Offloads, Refusal, checksum};

pub(crate) use headers::Headers;

/// Headers longer than this are not repeated; a kernel makes at most 14 + 8 + 60 + 60, extension headers apart.
pub const MAX_HEADERS: usize = 512;

/// What to make of a super-frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Ordinary frames with complete checksums, for stock peers and devices without offload.
    Frames,
    /// Super-frames of at most `max_len` bytes each, or of one segment where even that is longer. Checksums stay undone.
    SuperFrames { max_len: usize },
}

/// Why a frame cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("headers of {0} bytes are too long to be repeated; the frame is dropped")]
    Headers(usize),
}

/// Hands the pieces of `frame` to `sink` in order: a net header, the bytes of the packet's headers, and the payload that
/// follows them. Returns the number of pieces.
///
/// An ordinary frame is one piece, its checksum finished for [`Cut::Frames`]. The frame may come straight from a peer:
/// its header is checked as by [`NetHeader::check`].
///
/// # Errors
/// The frame is to be dropped; `sink` has not been called.
pub fn segment(
    mode: Mode,
    header: &NetHeader,
    frame: &[u8],
    cut: Cut,
    mut sink: impl FnMut(&NetHeader, &[u8], &[u8]),
) -> Result<usize, SegmentError> {
    let header = header.check(frame, mode, Offloads::ALL)?;
    if header.gso == Gso::None {
        return whole(&header, frame, cut, sink);
    }
    let layout = Layout::parse(mode, frame);
    let not_segmentable = SegmentError::Refusal(Refusal::NotSegmentable);
    let (Some(ip), Some(transport)) = (layout.ip, layout.transport(frame)) else {
        return Err(not_segmentable);
    };
    let (head, payload) = frame.split_at_checked(transport.payload).ok_or(not_segmentable)?;
    let mut scratch = [0; MAX_HEADERS];
    let scratch = scratch.get_mut(..head.len()).ok_or(SegmentError::Headers(head.len()))?;

    let segment_len = usize::from(header.gso_size);
    let per_piece = match cut {
        Cut::Frames => 1,
        Cut::SuperFrames { max_len } => (max_len.saturating_sub(head.len()) / segment_len).max(1),
    };
    let pieces = payload.chunks(per_piece.saturating_mul(segment_len));
    let count = pieces.len();
    for (index, piece) in pieces.enumerate() {
        scratch.copy_from_slice(head);
        let mut headers = Headers::new(scratch, &ip, &transport);
        headers.set_payload_len(piece.len());
        headers.advance(index * per_piece, index * per_piece * segment_len);
        if transport.protocol == TransportProtocol::Tcp {
            headers.keep_flags(index == 0, index + 1 == count);
        }
        headers.finish_ip();
        let piece_header = match cut {
            Cut::Frames => {
                headers.finish_transport(piece);
                NetHeader::default()
            }
            Cut::SuperFrames { .. } => {
                headers.start_transport(piece.len());
                if piece.len() > segment_len {
                    NetHeader { gso_ecn: header.gso_ecn && index == 0, ..header }
                } else {
                    NetHeader { gso: Gso::None, gso_ecn: false, hdr_len: 0, gso_size: 0, ..header }
                }
            }
        };
        sink(&piece_header, scratch, piece);
    }
    Ok(count)
}

/// Takes the first segment out of a super-frame, in place: what a queue drops to signal congestion, where a whole
/// super-frame would be a window's worth. Afterwards the frame starts at the returned offset, described by `header`.
///
/// `None`, and nothing changed, when there is no second segment.
pub fn drop_first(mode: Mode, header: &mut NetHeader, frame: &mut [u8]) -> Option<usize> {
    if header.gso == Gso::None || header.gso_size == 0 {
        return None;
    }
    let layout = Layout::parse(mode, frame);
    let (ip, transport) = (layout.ip?, layout.transport(frame)?);
    let dropped = usize::from(header.gso_size);
    let rest = (transport.end - transport.payload).checked_sub(dropped).filter(|rest| *rest > 0)?;
    frame.copy_within(..transport.payload, dropped);
    let mut headers = Headers::new(frame.get_mut(dropped..)?, &ip, &transport);
    headers.set_payload_len(rest);
    headers.advance(1, dropped);
    headers.finish_ip();
    headers.start_transport(rest);
    if rest <= dropped {
        *header = NetHeader { gso: Gso::None, gso_ecn: false, hdr_len: 0, gso_size: 0, ..*header };
    }
    Some(dropped)
}

fn whole(
    header: &NetHeader,
    frame: &[u8],
    cut: Cut,
    mut sink: impl FnMut(&NetHeader, &[u8], &[u8]),
) -> Result<usize, SegmentError> {
    if !header.needs_csum || cut != Cut::Frames {
        sink(header, frame, &[]);
        return Ok(1);
    }
    let start = usize::from(header.csum_start);
    let field = start + usize::from(header.csum_offset);
    let misplaced = Refusal::ChecksumPlace { start: header.csum_start, offset: header.csum_offset };
    let covered = frame.get(start..).ok_or(misplaced)?;
    let (head, payload) = frame.split_at_checked(field + 2).ok_or(misplaced)?;
    let mut scratch = [0; MAX_HEADERS];
    let scratch = scratch.get_mut(..head.len()).ok_or(SegmentError::Headers(head.len()))?;
    scratch.copy_from_slice(head);
    let sum = checksum::Sum::default().add_bytes(covered).finish_nonzero();
    headers::put_u16(scratch, field, sum);
    sink(&NetHeader::default(), scratch, payload);
    Ok(1)
}

#[cfg(test)]
mod tests;
