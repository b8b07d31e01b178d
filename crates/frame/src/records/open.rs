//! How two sides agree: the open message of the one and the HELLO of the other.

use std::fmt;

use super::VERSION;
use super::bundle::BundleMember;
use super::wire::{Reader, put_string, put_u32};
use crate::tunnel::{unit_from_wire, unit_to_wire};
use crate::{Mode, Offloads};

/// The longest feature list that is read, in bytes.
const MAX_FEATURES: usize = 1024;
/// The longest device name of Linux, in bytes (`IFNAMSIZ` less its zero).
const MAX_DEVICE: usize = 15;
/// The limits of an MTU in bytes: IPv4's least (RFC 791) and what a 16-bit length can say.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// What an acceptor says that has joined the channel with the others of its bundle.
const BUNDLE: &str = "bundle";

/// What the open message says after the fields of RFC 4254 section 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub mode: Mode,
    /// The number of the remote device; `None` is "any".
    pub unit: Option<u32>,
    /// What the opener takes in FRAME records, beyond ordinary frames.
    pub features: Offloads,
    /// The bundle of channels that this one is meant to be of.
    pub bundle: Option<BundleMember>,
    /// The MTU of the opener's device in bytes, without the Ethernet header; `None` when it is not known.
    pub mtu: Option<u32>,
}

/// What the acceptor says in its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version the channel speaks; today always [`VERSION`].
    pub version: u32,
    /// What the acceptor takes in FRAME records, beyond ordinary frames.
    pub features: Offloads,
    /// Whether the channel has become one of the bundle that the opener named.
    pub bundled: bool,
    /// The name of the acceptor's device, to be shown to people; 1 to 15 printable ASCII characters.
    pub device: &'a str,
    /// The MTU of the acceptor's device in bytes, without the Ethernet header; `None` when it is not known.
    pub mtu: Option<u32>,
}

/// Why an open message is refused. The text is the description of CHANNEL_OPEN_FAILURE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("tapline channel version {0} is not supported; this side speaks {VERSION}")]
    Version(u32),
    #[error("the open message ends early; update the older side")]
    Truncated,
    #[error("the open message has {0} bytes too many; update the older side")]
    Trailing(usize),
    #[error("tunnel mode {0} is unknown; use point-to-point (1) or ethernet (2)")]
    Mode(u32),
    #[error("tunnel device {0} is out of range; use any or a number up to 2147483645")]
    Unit(u32),
    #[error("the feature list is no name-list of RFC 4251 with at most 1024 bytes")]
    Features,
    #[error(
        "the feature list has another bundle than one of 32 lowercase hexadecimal digits, a number and a count from 2 to 16"
    )]
    Bundle,
    #[error("an MTU of {0} bytes is out of range; use 68 to 65535")]
    Mtu(u32),
}

/// Why a HELLO is refused; the channel is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHello {
    #[error(
        "the peer answers with tapline channel version {0}; this side speaks {VERSION}, close the channel"
    )]
    Version(u32),
    #[error("the HELLO record ends early or has bytes too many; close the channel")]
    Length,
    #[error("the HELLO record has a feature list that is no name-list; close the channel")]
    Features,
    #[error(
        "the HELLO record names a device with something else than 1 to 15 printable characters; close the channel"
    )]
    Device,
    #[error("the HELLO record has an MTU of {0} bytes; close the channel")]
    Mtu(u32),
}

impl Open {
    /// Appends the fields that follow those of RFC 4254.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, VERSION);
        put_u32(out, self.mode.to_wire());
        put_u32(out, unit_to_wire(self.unit));
        put_string(out, feature_list(self.features, self.bundle).as_bytes());
        put_u32(out, self.mtu.unwrap_or(0));
    }

    /// Reads the fields that follow those of RFC 4254. The version comes first, so that any later one is refused by name.
    ///
    /// # Errors
    /// To be sent as the description of a CHANNEL_OPEN_FAILURE.
    pub fn decode(payload: &[u8]) -> Result<Self, OpenError> {
        let mut fields = Reader(payload);
        let version = fields.u32().ok_or(OpenError::Truncated)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let mode = fields.u32().ok_or(OpenError::Truncated)?;
        let unit = fields.u32().ok_or(OpenError::Truncated)?;
        let features = fields.string().ok_or(OpenError::Truncated)?;
        let mtu = fields.u32().ok_or(OpenError::Truncated)?;
        if !fields.0.is_empty() {
            return Err(OpenError::Trailing(fields.0.len()));
        }
        let (mode, unit) = (
            Mode::from_wire(mode).ok_or(OpenError::Mode(mode))?,
            unit_from_wire(unit).ok_or(OpenError::Unit(unit))?,
        );
        let names = Names::parse(features).ok_or(OpenError::Features)?;
        Ok(Self {
            mode,
            unit,
            features: names.offloads(),
            bundle: names.bundle()?,
            mtu: parse_mtu(mtu).ok_or(OpenError::Mtu(mtu))?,
        })
    }
}

impl<'a> Hello<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.version);
        put_string(out, feature_list(self.features, self.bundled.then_some(BUNDLE)).as_bytes());
        put_string(out, self.device.as_bytes());
        put_u32(out, self.mtu.unwrap_or(0));
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, MalformedHello> {
        let mut fields = Reader(body);
        let version = fields.u32().ok_or(MalformedHello::Length)?;
        if version != VERSION {
            return Err(MalformedHello::Version(version));
        }
        let features = fields.string().ok_or(MalformedHello::Length)?;
        let device = fields.string().ok_or(MalformedHello::Length)?;
        let mtu = fields.u32().ok_or(MalformedHello::Length)?;
        if !fields.0.is_empty() {
            return Err(MalformedHello::Length);
        }
        let names = Names::parse(features).ok_or(MalformedHello::Features)?;
        Ok(Self {
            version,
            features: names.offloads(),
            bundled: names.iter().any(|name| name == BUNDLE),
            device: parse_device(device).ok_or(MalformedHello::Device)?,
            mtu: parse_mtu(mtu).ok_or(MalformedHello::Mtu(mtu))?,
        })
    }
}

/// Segmentation needs the partial checksum of the net header, so a list without `vnet` has none of it.
fn feature_list(features: Offloads, more: Option<impl fmt::Display>) -> String {
    let mut list = match (features.checksum, features.tso, features.uso) {
        (false, _, _) => "",
        (true, false, false) => "vnet",
        (true, true, false) => "vnet,tso",
        (true, false, true) => "vnet,uso",
        (true, true, true) => "vnet,tso,uso",
    }
    .to_owned();
    if let Some(name) = more {
        let comma = if list.is_empty() { "" } else { "," };
        list.push_str(&format!("{comma}{name}"));
    }
    list
}

/// A feature list. Names that nobody asks for are ignored: a later side may have more.
#[derive(Debug, Clone, Copy)]
struct Names<'a>(&'a str);

impl<'a> Names<'a> {
    fn parse(list: &'a [u8]) -> Option<Self> {
        let names = Self(str::from_utf8(list).ok().filter(|list| list.len() <= MAX_FEATURES)?);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        names.iter().all(is_name).then_some(names)
    }

    fn iter(self) -> impl Iterator<Item = &'a str> {
        // An empty list has no name, and not one that is empty.
        self.0.split(',').filter(move |_| !self.0.is_empty())
    }

    fn offloads(self) -> Offloads {
        let mut features = Offloads::NONE;
        for name in self.iter() {
            match name {
                "vnet" => features.checksum = true,
                "tso" => features.tso = true,
                "uso" => features.uso = true,
                _ => {}
            }
        }
        if features.checksum { features } else { Offloads::NONE }
    }

    fn bundle(self) -> Result<Option<BundleMember>, OpenError> {
        let mut meant = self.iter().filter(|name| BundleMember::is_meant_by(name));
        match (meant.next(), meant.next()) {
            (None, _) => Ok(None),
            (Some(name), None) => BundleMember::parse(name).map(Some).ok_or(OpenError::Bundle),
            (Some(_), Some(_)) => Err(OpenError::Bundle),
        }
    }
}

fn parse_device(name: &[u8]) -> Option<&str> {
    let name = str::from_utf8(name).ok()?;
    ((1..=MAX_DEVICE).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())).then_some(name)
}

fn parse_mtu(mtu: u32) -> Option<Option<u32>> {
    match mtu {
        0 => Some(None),
        _ => MTU.contains(&mtu).then_some(Some(mtu)),
    }
}
