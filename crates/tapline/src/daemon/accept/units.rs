//! Which tun or tap a peer gets. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tapline_config::{self as config, Accept, Config};
use tapline_device::{OpenError, Unit};
use tapline_frame::Mode;
use tapline_transport::server::{DeviceRefused, DeviceRequest};

/// The devices that the configuration names, and whose they are. Nobody else gets one of them, be it there or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reserved(BTreeMap<(Kind, u32), Owner>);

/// `tun` or `tap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tun,
    Tap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Link,
    /// The name under `accept`.
    Accept(String),
}

/// What a peer may have at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grant {
    /// A new one, of whatever number.
    Any,
    /// A new one of this number, if there is none.
    New(u32),
    /// The one that is named so for it, be it there or not.
    Named(u32),
    /// The same, by a name of its own.
    Called(String),
}

/// A request, as far as its device is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) mode: Mode,
    pub(super) unit: Unit,
    /// Whether the key's line of authorized_keys names the unit.
    pub(super) is_named: bool,
    /// What lines of authorized_keys name for whatever key.
    pub(super) named: &'a BTreeSet<u32>,
}

impl Reserved {
    pub(crate) fn of(config: &Config) -> Self {
        let mut reserved = BTreeMap::new();
        for link in config.links.values() {
            let mode = match link.tunnel {
                config::Tunnel::Ethernet => Mode::Ethernet,
                config::Tunnel::PointToPoint => Mode::PointToPoint,
            };
            if let config::Unit::Number(unit) = link.tunnel_device.local {
                reserved.insert((Kind::of(mode), unit), Owner::Link);
            }
            if let Some(name) = &link.set_name {
                reserved.extend(both_units_of(name).map(|device| (device, Owner::Link)));
            }
        }
        for (name, accept) in config.server.iter().flat_map(|server| &server.accept) {
            if let Some(config::Unit::Number(unit)) = accept.tunnel_device {
                // Without a bridge the peer decides between the two.
                let kinds = if accept.bridge.is_some() { &[Kind::Tap][..] } else { &[Kind::Tap, Kind::Tun] };
                for kind in kinds {
                    reserved.insert((*kind, unit), Owner::Accept(name.to_string()));
                }
            }
            if let Some(own) = &accept.set_name {
                reserved.extend(both_units_of(own).map(|device| (device, Owner::Accept(name.to_string()))));
            }
        }
        Self(reserved)
    }

    /// Whether the device is somebody else's than the peer's of this name under `accept`.
    pub(super) fn is_of_another(&self, mode: Mode, unit: u32, name: Option<&str>) -> bool {
        match self.0.get(&(Kind::of(mode), unit)) {
            None => false,
            Some(Owner::Link) => true,
            Some(Owner::Accept(owner)) => Some(owner.as_str()) != name,
        }
    }

    /// The numbers that are taken whether or not a device has them.
    pub(crate) fn units(&self, mode: Mode) -> BTreeSet<u32> {
        self.0.keys().filter(|(kind, _)| *kind == Kind::of(mode)).map(|(_, unit)| *unit).collect()
    }
}

impl Kind {
    fn of(mode: Mode) -> Self {
        match mode {
            Mode::Ethernet => Self::Tap,
            Mode::PointToPoint => Self::Tun,
        }
    }
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Tun => "tun",
            Self::Tap => "tap",
        }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn by(request: &'a DeviceRequest) -> Self {
        Self {
            mode: request.mode,
            unit: request.unit,
            is_named: request.unit_is_named,
            named: &request.named_units,
        }
    }
}

impl Grant {
    /// For the peer with this entry under `accept`, or one without.
    ///
    /// # Errors
    /// It asks for a device that nobody gave it.
    pub(super) fn decide(
        accept: Option<(&str, &Accept)>,
        asked: Asked<'_>,
        reserved: &Reserved,
    ) -> Result<Self, DeviceRefused> {
        let (name, given) = match accept {
            Some((name, accept)) => (Some(name), accept.tunnel_device),
            None => (None, None),
        };
        let refused = |why: String| Err(DeviceRefused(why));
        if let Some(own) = accept.and_then(|(_, accept)| accept.set_name.as_ref()) {
            return match asked.unit {
                Unit::Any => Ok(Self::Called(own.to_string())),
                Unit::Number(wanted) => refused(format!(
                    "the peer's device is {own} here, and it asks for number {wanted}; ask for any"
                )),
            };
        }
        match (given, asked.unit) {
            (Some(config::Unit::Number(given)), Unit::Any) => Ok(Self::Named(given)),
            (Some(config::Unit::Number(given)), Unit::Number(wanted)) if wanted == given => {
                Ok(Self::Named(given))
            }
            (Some(config::Unit::Number(given)), Unit::Number(wanted)) => {
                refused(format!("the peer has tunnel-device {given} here and asks for {wanted}; ask for any"))
            }
            (_, Unit::Any) => Ok(Self::Any),
            (_, Unit::Number(wanted)) if reserved.is_of_another(asked.mode, wanted, name) => {
                refused(format!("number {wanted} is another link's here; ask for any"))
            }
            (_, Unit::Number(wanted)) if asked.is_named => Ok(Self::Named(wanted)),
            (Some(config::Unit::Any), Unit::Number(wanted)) => {
                refused(format!("the peer has tunnel-device any here and asks for {wanted}; ask for any"))
            }
            (None, Unit::Number(wanted)) if asked.named.contains(&wanted) => {
                refused(format!("number {wanted} is another key's here; ask for any"))
            }
            (None, Unit::Number(wanted)) => Ok(Self::New(wanted)),
        }
    }

    /// Whether a device that the peer has had before is what it may have and asks for.
    pub(super) fn is_met_by(&self, mode: Mode, device: &str) -> bool {
        match self {
            Self::Any => true,
            Self::New(wanted) | Self::Named(wanted) => unit_of(mode, device) == Some(*wanted),
            Self::Called(name) => name == device,
        }
    }

    pub(super) fn number(&self) -> Option<u32> {
        match self {
            Self::Any | Self::Called(_) => None,
            Self::New(unit) | Self::Named(unit) => Some(*unit),
        }
    }
}

/// The number in a device's name, if it is a name with a number of this mode's.
pub(super) fn unit_of(mode: Mode, device: &str) -> Option<u32> {
    let digits = device.strip_prefix(Kind::of(mode).prefix())?;
    digits.parse().ok().filter(|unit: &u32| unit.to_string() == digits)
}

/// A name that somebody has chosen may look like a number.
fn both_units_of(name: &config::InterfaceName) -> impl Iterator<Item = (Kind, u32)> {
    [Mode::Ethernet, Mode::PointToPoint]
        .into_iter()
        .filter_map(|mode| Some((Kind::of(mode), unit_of(mode, name.as_str())?)))
}

/// A new device of the least number that is free and not `taken`. `make` makes one of a number, or of the kernel's choice,
/// if there is none.
pub(crate) fn next_free<T>(
    taken: &BTreeSet<u32>,
    make: impl Fn(Unit, bool) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    const MAX_TRIES: u32 = 4096;
    if !taken.is_empty() {
        for unit in (0..MAX_TRIES).filter(|unit| !taken.contains(unit)) {
            match make(Unit::Number(unit), true) {
                Err(OpenError::Exists { .. }) => {}
                made => return made,
            }
        }
    }
    make(Unit::Any, true)
}

#[cfg(test)]
mod tests;
