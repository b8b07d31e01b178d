//! Echo requests and replies as bytes: ICMP (RFC 792) and ICMPv6 (RFC 4443, section 4). Numbers are big-endian.

/// What tells one request from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
}

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
/// As `ping` sends it, in bytes.
const PAYLOAD: usize = 56;

const V4_REQUEST: u8 = 8;
const V4_REPLY: u8 = 0;
const V6_REQUEST: u8 = 128;
const V6_REPLY: u8 = 129;

impl Echo {
    /// The request as an ICMP message.
    pub(crate) fn v4_request(self) -> [u8; HEADER + PAYLOAD] {
        let mut message = self.message(V4_REQUEST);
        let [high, low] = checksum(&message).to_be_bytes();
        let [_, _, first, second, ..] = &mut message;
        (*first, *second) = (high, low);
        message
    }

    /// The request as an ICMPv6 message. The kernel fills in the checksum (RFC 3542, section 3.1).
    pub(crate) fn v6_request(self) -> [u8; HEADER + PAYLOAD] {
        self.message(V6_REQUEST)
    }

    /// The reply in an IPv4 packet, as a raw socket gives it, header included. `None` when it is something else.
    pub(crate) fn from_v4_reply(packet: &[u8]) -> Option<Self> {
        let words = usize::from(packet.first()? & 0x0f);
        let message = packet.get(words.max(5) * 4..)?;
        if checksum(message) != 0 { None } else { Self::from_message(message, V4_REPLY) }
    }

    /// The reply in an ICMPv6 message, as a raw socket gives it, whose checksum the kernel has verified. `None` when
    /// it is something else.
    pub(crate) fn from_v6_reply(message: &[u8]) -> Option<Self> {
        Self::from_message(message, V6_REPLY)
    }

    fn message(self, kind: u8) -> [u8; HEADER + PAYLOAD] {
        let [a, b] = self.identifier.to_be_bytes();
        let [c, d] = self.sequence.to_be_bytes();
        let mut message = [0; HEADER + PAYLOAD];
        for (byte, value) in message.iter_mut().zip([kind, 0, 0, 0, a, b, c, d]) {
            *byte = value;
        }
        for (byte, value) in message.iter_mut().skip(HEADER).zip(0..) {
            *byte = value;
        }
        message
    }

    fn from_message(message: &[u8], kind: u8) -> Option<Self> {
        match message {
            [first, 0, _, _, a, b, c, d, ..] if *first == kind => Some(Self {
                identifier: u16::from_be_bytes([*a, *b]),
                sequence: u16::from_be_bytes([*c, *d]),
            }),
            _ => None,
        }
    }
}

/// The Internet checksum (RFC 1071); of data that holds its own checksum it is 0.
fn checksum(data: &[u8]) -> u16 {
    let (words, rest) = data.as_chunks::<2>();
    let odd = rest.first().map_or(0, |last| u16::from_be_bytes([*last, 0]));
    let sum = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>() + u64::from(odd);
    let folded = (0..4).fold(sum, |sum, _| (sum & 0xffff) + (sum >> 16));
    // Four folds bring any 64-bit sum below 2^16.
    !u16::try_from(folded).unwrap_or_default()
}

#[cfg(test)]
mod tests;
