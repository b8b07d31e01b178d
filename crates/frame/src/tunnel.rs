//! The payload of OpenSSH's channel `tun@openssh.com` (OpenSSH `PROTOCOL`, section 2.3).
//!
//! One CHANNEL_DATA holds one datagram, never split and never merged. Ethernet frames travel bare; a packet of a
//! point-to-point tunnel follows its address family in OpenBSD's numbers. Some datagrams silently stop an OpenSSH server
//! from ever writing to its device again; [`prefix`] refuses to send those.

use crate::Mode;
use crate::guard::{IpVersion, MAX_FRAME, MAX_PACKET, Unfit, check_ethernet, check_packet};

/// The channel type.
pub const CHANNEL_TYPE: &str = "tun@openssh.com";
/// The longest CHANNEL_DATA string that OpenSSH accepts, in bytes: it wants the string and its length field within 32768.
pub const MAX_DATA: usize = 32768 - 4;
/// The largest packet in bytes, and so the largest MTU, that crosses a tap or tun of OpenSSH whole: it reads its device
/// into 16 KiB, where an Ethernet header and the address family of a tun have to fit.
pub const MAX_MTU: u32 = 16_384 - 14;
/// The longest packet of a point-to-point tunnel whose answer may be as long: OpenSSH stops for good to read a tun device
/// that had a longer one.
pub const MAX_ANSWERED: usize = 16_380;
/// The unit number that stands for "any" in an open message.
pub const UNIT_ANY: u32 = 0x7fff_ffff;
/// The highest unit number OpenSSH takes.
pub const UNIT_MAX: u32 = 0x7fff_fffd;

const FAMILY_IPV4: [u8; 4] = [0, 0, 0, 2];
const FAMILY_IPV6: [u8; 4] = [0, 0, 0, 24];

/// What the open message says after the fields of RFC 4254 section 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub mode: Mode,
    /// The number of the remote device; `None` is "any".
    pub unit: Option<u32>,
}

/// Why an open message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the open message has {0} bytes after the window fields, tun@openssh.com has 8")]
    Length(usize),
    #[error("Unsupported tunnel device mode.")]
    Mode(u32),
    #[error("tunnel device {0} is out of range; use any or a number up to 2147483645")]
    Unit(u32),
}

/// Why a received datagram goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a datagram of {0} bytes has no room for its address family; it is dropped")]
    NoFamily(usize),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// The bytes that go before `frame` in its CHANNEL_DATA string: none (ethernet) or the address family (point-to-point).
///
/// # Errors
/// The datagram would be discarded by OpenSSH, or stop the channel for good without a word.
pub fn prefix(mode: Mode, frame: &[u8]) -> Result<&'static [u8], Unfit> {
    prefix_of_parts(mode, frame, 0)
}

/// As [`prefix`], of a frame that begins with `head`, its headers, and has `payload_len` bytes more.
///
/// # Errors
/// As [`prefix`].
pub fn prefix_of_parts(mode: Mode, head: &[u8], payload_len: usize) -> Result<&'static [u8], Unfit> {
    let max = |all: usize| all.saturating_sub(payload_len);
    match mode {
        Mode::Ethernet => check_ethernet(head, max(MAX_DATA)).map(|()| [].as_slice()),
        Mode::PointToPoint => {
            let family = match check_packet(head, max(MAX_DATA - FAMILY_IPV4.len()))? {
                IpVersion::V4 => &FAMILY_IPV4,
                IpVersion::V6 => &FAMILY_IPV6,
            };
            Ok(family)
        }
    }
}

/// Appends the datagram of `frame` to `out` and returns its length in bytes.
///
/// # Errors
/// As [`prefix`]; then `out` is unchanged.
pub fn encode(mode: Mode, frame: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
    let prefix = prefix(mode, frame)?;
    out.extend_from_slice(prefix);
    out.extend_from_slice(frame);
    Ok(prefix.len() + frame.len())
}

/// What a received CHANNEL_DATA string holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The Ethernet frame or IP packet.
    pub frame: &'a [u8],
    /// The address family in front of the packet, where it is not OpenBSD's number for the packet's version: systems that
    /// number IPv6 otherwise (Linux 10, FreeBSD 28, macOS 30) have been seen to send their own.
    pub odd_family: Option<u32>,
}

/// The frame or packet inside a received CHANNEL_DATA string. Which version a packet is of its own first bits say.
///
/// # Errors
/// Nothing a kernel's tap or tun could use; the datagram is to be dropped and counted, the channel may go on.
pub fn decode(mode: Mode, data: &[u8]) -> Result<Datagram<'_>, DecodeError> {
    match mode {
        Mode::Ethernet => {
            check_ethernet(data, MAX_FRAME)?;
            Ok(Datagram { frame: data, odd_family: None })
        }
        Mode::PointToPoint => {
            let (family, frame) = data.split_first_chunk::<4>().ok_or(DecodeError::NoFamily(data.len()))?;
            let expected = match check_packet(frame, MAX_PACKET)? {
                IpVersion::V4 => FAMILY_IPV4,
                IpVersion::V6 => FAMILY_IPV6,
            };
            let odd_family = (*family != expected).then_some(u32::from_be_bytes(*family));
            Ok(Datagram { frame, odd_family })
        }
    }
}

impl Open {
    /// The eight bytes after the fields of RFC 4254.
    pub fn encode(&self) -> [u8; 8] {
        let [m0, m1, m2, m3] = self.mode.to_wire().to_be_bytes();
        let [u0, u1, u2, u3] = unit_to_wire(self.unit).to_be_bytes();
        [m0, m1, m2, m3, u0, u1, u2, u3]
    }

    /// Reads the bytes after the fields of RFC 4254.
    ///
    /// # Errors
    /// Another length than 8, or a mode or unit out of range.
    pub fn decode(payload: &[u8]) -> Result<Self, OpenError> {
        let Ok(&[m0, m1, m2, m3, u0, u1, u2, u3]) = <&[u8; 8]>::try_from(payload) else {
            return Err(OpenError::Length(payload.len()));
        };
        let mode = u32::from_be_bytes([m0, m1, m2, m3]);
        let unit = u32::from_be_bytes([u0, u1, u2, u3]);
        Ok(Self {
            mode: Mode::from_wire(mode).ok_or(OpenError::Mode(mode))?,
            unit: unit_from_wire(unit).ok_or(OpenError::Unit(unit))?,
        })
    }
}

pub(crate) fn unit_to_wire(unit: Option<u32>) -> u32 {
    unit.unwrap_or(UNIT_ANY)
}

pub(crate) fn unit_from_wire(number: u32) -> Option<Option<u32>> {
    match number {
        UNIT_ANY => Some(None),
        0..=UNIT_MAX => Some(Some(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
