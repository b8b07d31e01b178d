//! The native channel of Tapline peers, version 1: many records in one CHANNEL_DATA, none across two.
//!
//! `crates/transport/PROTOCOL.md` describes it byte by byte. A record is `byte kind | uint24 length | body`, lengths
//! big-endian; only the virtio-net header inside a FRAME is little-endian, as the kernel has it.

mod bundle;
mod open;
mod wire;

use crate::guard::{self, MAX_PACKET, Unfit};
use crate::{Mode, NetHeader, NetHeaderError};

pub use bundle::{BundleId, BundleMember, MAX_CHANNELS};
pub use open::{Hello, MalformedHello, Open, OpenError};

/// The channel type.
pub const CHANNEL_TYPE: &str = "tunnel@tapline.internal";
/// The version this side speaks.
pub const VERSION: u32 = 1;
/// Bytes before a record's body.
pub const HEADER_LEN: usize = 4;
/// The most bytes that stand before a frame in its record.
pub const MAX_PREFIX: usize = HEADER_LEN + NetHeader::LEN;

const HELLO: u8 = 0;
const FRAME: u8 = 1;
const PLAIN_FRAME: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
/// Kinds from here on are extensions that a receiver may skip.
const FIRST_OPTIONAL_KIND: u8 = 0x80;

/// One record, borrowed from the message it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    Hello(Hello<'a>),
    /// The header is syntactically valid and nothing more: [`NetHeader::check`] comes before any kernel sees it.
    Frame {
        header: NetHeader,
        bytes: &'a [u8],
    },
    /// To be answered at once by a [`Record::Pong`] with the same bytes.
    Ping([u8; 8]),
    Pong([u8; 8]),
}

/// Why a record is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a message ends {0} bytes into a record; close the channel")]
    Truncated(usize),
    #[error("record kind {0} is unknown and may not be skipped; close the channel and update the older side")]
    UnknownKind(u8),
    #[error("a PING or PONG record has {0} bytes instead of 8; close the channel")]
    PingLength(usize),
    #[error(transparent)]
    Hello(#[from] MalformedHello),
    #[error("a FRAME record of {0} bytes has no room for its header; the frame is dropped")]
    NoNetHeader(usize),
    #[error("{0}; the frame is dropped")]
    NetHeader(#[from] NetHeaderError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl RecordError {
    /// Whether the channel is to be closed. Otherwise a single frame is lost and the records behind it are good.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Truncated(_) | Self::UnknownKind(_) | Self::PingLength(_) | Self::Hello(_) => true,
            Self::NoNetHeader(_) | Self::NetHeader(_) | Self::Unfit(_) => false,
        }
    }
}

/// The records of one message (the string of one CHANNEL_DATA), in order. Ends after a fatal error.
pub fn decode(mode: Mode, message: &[u8]) -> Records<'_> {
    Records { mode, rest: message }
}

/// Iterator of [`decode`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    mode: Mode,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some((kind, body, rest)) = split_record(self.rest) else {
                let len = self.rest.len();
                self.rest = &[];
                return Some(Err(RecordError::Truncated(len)));
            };
            self.rest = rest;
            if let Some(result) = decode_body(self.mode, kind, body).transpose() {
                if result.as_ref().is_err_and(RecordError::is_fatal) {
                    self.rest = &[];
                }
                return Some(result);
            }
        }
    }
}

/// Bytes that the record of a frame takes in a message.
pub fn frame_record_len(header: &NetHeader, frame_len: usize) -> usize {
    frame_len + if header.is_plain() { HEADER_LEN } else { MAX_PREFIX }
}

/// Appends the record of `frame`: without a net header when it would say nothing.
///
/// # Errors
/// The frame is one that the peer would drop; then `out` is unchanged.
pub fn encode_frame(mode: Mode, header: &NetHeader, frame: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    guard::check(mode, frame)?;
    out.extend_from_slice(FramePrefix::new(header, frame.len()).as_bytes());
    out.extend_from_slice(frame);
    Ok(())
}

/// Appends the record an acceptor sends first.
pub fn encode_hello(hello: &Hello<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&record_header(HELLO, 0));
    hello.encode(out);
    let body = out.len() - start - HEADER_LEN;
    if let Some(place) = out.get_mut(start..start + HEADER_LEN) {
        place.copy_from_slice(&record_header(HELLO, body));
    }
}

/// The record of a [`Record::Ping`].
pub fn encode_ping(opaque: [u8; 8]) -> [u8; HEADER_LEN + 8] {
    ping_record(PING, opaque)
}

/// The record of a [`Record::Pong`].
pub fn encode_pong(opaque: [u8; 8]) -> [u8; HEADER_LEN + 8] {
    ping_record(PONG, opaque)
}

/// What stands before a frame in its record, for callers that gather instead of copying.
#[derive(Debug, Clone, Copy)]
pub struct FramePrefix {
    bytes: [u8; MAX_PREFIX],
    plain: bool,
}

impl FramePrefix {
    /// For a frame of `frame_len` bytes that has passed [`guard::check`].
    pub fn new(header: &NetHeader, frame_len: usize) -> Self {
        debug_assert!(frame_len <= MAX_PACKET, "checked by the caller");
        let plain = header.is_plain();
        let (kind, body) = if plain { (PLAIN_FRAME, frame_len) } else { (FRAME, NetHeader::LEN + frame_len) };
        let [k, l0, l1, l2] = record_header(kind, body);
        // The voucher for a checksum stays on this side: the peer would not trust it.
        let [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9] = NetHeader { data_valid: false, ..*header }.encode();
        Self { bytes: [k, l0, l1, l2, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9], plain }
    }

    /// 4 or 14 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        let (short, _) = self.bytes.split_at(HEADER_LEN);
        if self.plain { short } else { &self.bytes }
    }
}

fn split_record(message: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, l0, l1, l2], rest) = message.split_first_chunk::<HEADER_LEN>()?;
    let len = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).ok()?;
    let (body, rest) = rest.split_at_checked(len)?;
    Some((kind, body, rest))
}

fn decode_body(mode: Mode, kind: u8, body: &[u8]) -> Result<Option<Record<'_>>, RecordError> {
    let record = match kind {
        PLAIN_FRAME => {
            guard::check(mode, body)?;
            Record::Frame { header: NetHeader::default(), bytes: body }
        }
        FRAME => {
            let (header, bytes) = body.split_first_chunk().ok_or(RecordError::NoNetHeader(body.len()))?;
            let header = NetHeader::decode(header)?;
            guard::check(mode, bytes)?;
            Record::Frame { header, bytes }
        }
        HELLO => Record::Hello(Hello::decode(body)?),
        PING => Record::Ping(opaque(body)?),
        PONG => Record::Pong(opaque(body)?),
        FIRST_OPTIONAL_KIND.. => return Ok(None),
        _ => return Err(RecordError::UnknownKind(kind)),
    };
    Ok(Some(record))
}

fn opaque(body: &[u8]) -> Result<[u8; 8], RecordError> {
    body.try_into().map_err(|_| RecordError::PingLength(body.len()))
}

fn ping_record(kind: u8, opaque: [u8; 8]) -> [u8; HEADER_LEN + 8] {
    let [k, l0, l1, l2] = record_header(kind, opaque.len());
    let [o0, o1, o2, o3, o4, o5, o6, o7] = opaque;
    [k, l0, l1, l2, o0, o1, o2, o3, o4, o5, o6, o7]
}

/// Bodies are far below 2^24 bytes: frames by their guard, the HELLO by its limits.
fn record_header(kind: u8, body_len: usize) -> [u8; HEADER_LEN] {
    let [_, l0, l1, l2] = u32::try_from(body_len).unwrap_or(0).to_be_bytes();
    [kind, l0, l1, l2]
}

#[cfg(test)]
mod tests;
