//! Whole numbers and switches.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::InvalidValue;
use crate::diagnostic::quoted;
use crate::schema::Scalar;

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

/// Largest payload of one frame in bytes: what IP sees, without the Ethernet header and VLAN tags. From IPv4's least
/// (RFC 791) to what a tap device takes.
pub type Mtu = Bounded<68, 65521>;

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// `number`, when it is in the range.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= MIN && number <= MAX { Some(Self(number)) } else { None }
    }

    /// `number`, or the end of the range that is nearest to it.
    #[must_use]
    pub const fn saturating(number: u32) -> Self {
        if number < MIN {
            Self(MIN)
        } else if number > MAX {
            Self(MAX)
        } else {
            Self(number)
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Bounded<MIN, MAX> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        whole(text, MIN, MAX).map(Self)
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u32, const MAX: u32> Scalar for Bounded<MIN, MAX> {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn to_json(&self) -> Json {
        self.0.into()
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl Scalar for u32 {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        whole(text, Self::MIN, Self::MAX)
    }

    fn to_json(&self) -> Json {
        (*self).into()
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": Self::MIN, "maximum": Self::MAX })
    }
}

/// A TCP port.
impl Scalar for NonZeroU16 {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let port = u16::try_from(whole(text, 1, 65535)?).ok().and_then(Self::new);
        port.ok_or_else(|| InvalidValue::new(format!("{} is not a port", quoted(text)), "22 is SSH's"))
    }

    fn to_json(&self) -> Json {
        self.get().into()
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

/// netplan writes `true` and `false`, OpenSSH `yes` and `no`; both mean the same here.
impl Scalar for bool {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            _ => {
                let hint = match text.to_ascii_lowercase().as_str() {
                    "yes" | "y" | "on" | "1" | "enable" | "enabled" | "t" => "write `true`",
                    "no" | "n" | "off" | "0" | "disable" | "disabled" | "none" | "f" => "write `false`",
                    _ => "write `true` or `false`",
                };
                Err(InvalidValue::new(format!("{} is neither true nor false", quoted(text)), hint))
            }
        }
    }

    fn to_json(&self) -> Json {
        (*self).into()
    }

    fn schema() -> Json {
        json!({ "enum": [true, false, "yes", "no", "on", "off"] })
    }
}

pub(super) fn whole(text: &str, least: u32, most: u32) -> Result<u32, InvalidValue> {
    let range = || format!("write a number from {least} to {most}");
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidValue::new(format!("{} is not a whole number", quoted(text)), range()));
    }
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(InvalidValue::new(format!("{} is out of range", quoted(text)), range())),
    }
}

/// Bytes as OpenSSH writes them: a number alone, or with K, M or G for powers of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1 << 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(number) => (number, 1 << 20),
            None => match text.strip_suffix(['g', 'G']) {
                Some(number) => (number, 1 << 30),
                None => (text, 1u64),
            },
        },
    };
    let number: u64 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    number.checked_mul(unit)
}
