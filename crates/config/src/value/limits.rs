//! Limits that OpenSSH writes as several numbers in one word.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::number::{bytes, whole};
use super::{InvalidValue, parse_duration, text_scalar};
use crate::diagnostic::quoted;

/// `MaxStartups` of `sshd_config(5)`: how many connections may be logging in at once.
///
/// From `start` on new ones are refused with `rate` percent chance, which grows evenly until at `full` all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxStartups {
    /// Connections, at least 1.
    pub start: u32,
    /// Percent, 1 to 100.
    pub rate: u32,
    /// Connections, at least `start`.
    pub full: u32,
}

/// `PerSourceNetBlockSize` of `sshd_config(5)`: addresses that are the same in so many leading bits are one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetBlockSize {
    /// Bits, at most 32.
    pub ipv4: u32,
    /// Bits, at most 128.
    pub ipv6: u32,
}

/// `RekeyLimit` of `ssh_config(5)`: after how much traffic and time new keys are agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RekeyLimit {
    /// Bytes in either direction; `None` leaves it to the cipher (`default`).
    pub bytes: Option<u64>,
    /// Time since the last keys; `None` sets no limit.
    pub time: Option<Duration>,
}

impl Default for MaxStartups {
    fn default() -> Self {
        Self { start: 10, rate: 30, full: 100 }
    }
}

impl FromStr for MaxStartups {
    type Err = InvalidValue;

    /// `start:rate:full`, or one number after which every further connection is refused.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut parts = text.split(':');
        let numbers = (parts.next(), parts.next(), parts.next(), parts.next());
        let read = |text, most| whole(text, 1, most).ok();
        let limits = match numbers {
            (Some(all), None, ..) => read(all, 100_000).map(|all| Self { start: all, rate: 100, full: all }),
            (Some(start), Some(rate), Some(full), None) => read(start, 100_000)
                .zip(read(rate, 100))
                .zip(read(full, 100_000))
                .map(|((start, rate), full)| Self { start, rate, full }),
            _ => None,
        };
        limits.filter(|limits| limits.start <= limits.full).ok_or_else(|| {
            InvalidValue::new(
                format!("{} is not start:rate:full", quoted(text)),
                "write it as in sshd_config, rate in percent and start <= full: `10:30:100`",
            )
        })
    }
}

impl fmt::Display for MaxStartups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.start, self.rate, self.full)
    }
}

impl Default for NetBlockSize {
    /// One host can make addresses in the whole of an IPv6 /64.
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl FromStr for NetBlockSize {
    type Err = InvalidValue;

    /// `IPV4:IPV6`, or the first alone.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (ipv4, ipv6) = match text.split_once(':') {
            Some((ipv4, ipv6)) => (ipv4, Some(ipv6)),
            None => (text, None),
        };
        let ipv6 = ipv6.map_or(Some(Self::default().ipv6), |bits| whole(bits, 0, 128).ok());
        let sizes = whole(ipv4, 0, 32).ok().zip(ipv6).map(|(ipv4, ipv6)| Self { ipv4, ipv6 });
        sizes.ok_or_else(|| {
            InvalidValue::new(
                format!("{} is not the size of two networks", quoted(text)),
                "write it as in sshd_config, bits of IPv4 and of IPv6: `32:64`",
            )
        })
    }
}

impl fmt::Display for NetBlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ipv4, self.ipv6)
    }
}

impl FromStr for RekeyLimit {
    type Err = InvalidValue;

    /// `BYTES [TIME]`, BYTES with K, M or G or `default`, TIME in OpenSSH's format or `none`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut words = text.split_ascii_whitespace();
        let (bytes, time, more) = (words.next(), words.next(), words.next());
        let limit = match (bytes, more) {
            (Some(bytes), None) => traffic(bytes).and_then(|bytes| {
                let time = match time {
                    None | Some("none") => None,
                    Some(time) => Some(parse_duration(time).ok().filter(|time| !time.is_zero())?),
                };
                Some(Self { bytes, time })
            }),
            _ => None,
        };
        limit.ok_or_else(|| {
            InvalidValue::new(
                format!("{} is no limit for keys", quoted(text)),
                "write bytes and perhaps a time, as in ssh_config: `1G`, `1G 1h`, `default 30m`",
            )
        })
    }
}

/// OpenSSH takes no limit below 16 bytes.
fn traffic(text: &str) -> Option<Option<u64>> {
    if text == "default" {
        return Some(None);
    }
    Some(Some(bytes(text).filter(|bytes| *bytes >= 16)?))
}

impl fmt::Display for RekeyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            Some(bytes) => bytes.fmt(f)?,
            None => f.write_str("default")?,
        }
        match self.time {
            Some(time) => write!(f, " {}", time.as_secs()),
            None => Ok(()),
        }
    }
}

text_scalar!(MaxStartups, { "type": ["string", "integer"], "pattern": "^[0-9]+(:[0-9]+:[0-9]+)?$" });
text_scalar!(NetBlockSize, { "type": ["string", "integer"], "pattern": "^[0-9]+(:[0-9]+)?$" });
text_scalar!(RekeyLimit, {
    "type": ["string", "integer"],
    "pattern": "^(default|[0-9]+[kKmMgG]?)( +(none|([0-9]+[sSmMhHdDwW]?)+))?$",
});
