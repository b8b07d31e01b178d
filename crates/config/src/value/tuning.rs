//! How a link uses the path below it.

use std::fmt;
use std::str::FromStr;

use super::number::bytes;
use super::{InvalidValue, text_scalar};
use crate::diagnostic::quoted;

/// Bytes that a peer may have on its way to this host, from 256 KiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowLimit(u32);

/// The congestion control of the TCP connection below a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// BBR, if the kernel has it, once the path turns out to be long or slow, and the system's own until then.
    #[default]
    Auto,
    /// The system's own.
    System,
    /// The one that the kernel knows by this name.
    Named(CongestionName),
}

/// A name under which a kernel may know a congestion control: 1 to 15 lowercase letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CongestionName(String);

/// Longest name of a congestion control in bytes: `TCP_CA_NAME_MAX` of the kernel less the closing zero.
const LONGEST_NAME: usize = 15;

impl WindowLimit {
    /// What is granted before the path is known.
    pub const LEAST: Self = Self(256 << 10);
    pub const MOST: Self = Self(1 << 30);

    /// The limit in bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for WindowLimit {
    fn default() -> Self {
        Self(64 << 20)
    }
}

impl FromStr for WindowLimit {
    type Err = InvalidValue;

    /// Bytes, or a number with K, M or G.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let limit = bytes(text).and_then(|bytes| u32::try_from(bytes).ok()).map(Self);
        limit.filter(|limit| (Self::LEAST..=Self::MOST).contains(limit)).ok_or_else(|| {
            InvalidValue::new(
                format!("{} is no limit for a window", quoted(text)),
                "write bytes, or a number with K, M or G, from 256K to 1G: `64M`",
            )
        })
    }
}

impl fmt::Display for WindowLimit {
    /// With the largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "G"), (20, "M"), (10, "K")];
        match units.into_iter().find(|(bits, _)| self.0.trailing_zeros() >= *bits) {
            Some((bits, unit)) => write!(f, "{}{unit}", self.0 >> bits),
            None => self.0.fmt(f),
        }
    }
}

impl CongestionName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Congestion {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "auto" => return Ok(Self::Auto),
            "system" => return Ok(Self::System),
            _ => {}
        }
        let is_of_a_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_of_a_name) {
            return Ok(Self::Named(CongestionName(text.to_owned())));
        }
        Err(InvalidValue::new(
            format!("{} cannot name a congestion control", quoted(text)),
            "write `auto`, `system`, or a name from `sysctl net.ipv4.tcp_available_congestion_control`, as `cubic`",
        ))
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::System => "system",
            Self::Named(CongestionName(name)) => name,
        })
    }
}

text_scalar!(WindowLimit, {
    "type": ["string", "integer"],
    "pattern": "^[0-9]+[kKmMgG]?$",
    "minimum": WindowLimit::LEAST.get(),
    "maximum": WindowLimit::MOST.get(),
});
text_scalar!(Congestion, { "type": "string", "pattern": "^[a-z0-9_-]{1,15}$" });
