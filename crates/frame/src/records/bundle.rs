//! Several channels that carry the flows of one link together, each on a connection of its own.

use std::fmt;

/// The most channels of a bundle.
pub const MAX_CHANNELS: u8 = 16;

const PREFIX: &str = "bundle=";

/// Tells the bundles of a peer apart: 16 random bytes that the opener draws for the life of a link. No secret, and no
/// proof of anything: who may join is decided by who has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BundleId(pub [u8; 16]);

/// The place of one channel in its bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BundleMember {
    bundle: BundleId,
    number: u8,
    of: u8,
}

impl BundleMember {
    /// Channel `number`, from 1, of `of` channels, from 2 to [`MAX_CHANNELS`].
    pub fn new(bundle: BundleId, number: u8, of: u8) -> Option<Self> {
        let valid = (2..=MAX_CHANNELS).contains(&of) && (1..=of).contains(&number);
        valid.then_some(Self { bundle, number, of })
    }

    pub fn bundle(self) -> BundleId {
        self.bundle
    }

    /// From 1 to [`Self::of`].
    pub fn number(self) -> u8 {
        self.number
    }

    /// How many channels the opener means to open.
    pub fn of(self) -> u8 {
        self.of
    }

    /// Whether a name of a feature list is meant to be one of these.
    pub(super) fn is_meant_by(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// Takes exactly what [`fmt::Display`] writes.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('/');
        let (digits, number, of) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Self::new(parse_id(digits)?, parse_count(number)?, parse_count(of)?)
    }
}

impl fmt::Display for BundleMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for byte in self.bundle.0 {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "/{}/{}", self.number, self.of)
    }
}

fn parse_id(digits: &str) -> Option<BundleId> {
    let mut id = [0; 16];
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != id.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in id.iter_mut().zip(pairs) {
        *byte = parse_digit(high)? << 4 | parse_digit(low)?;
    }
    Some(BundleId(id))
}

fn parse_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Without sign or leading zero, so that one place has one spelling.
fn parse_count(text: &str) -> Option<u8> {
    let starts_well = text.as_bytes().first().is_some_and(|first| (b'1'..=b'9').contains(first));
    if starts_well { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
