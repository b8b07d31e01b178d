//! What a tunnel carries and through which devices: `Tunnel` and `TunnelDevice` of `ssh_config(5)`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::number::whole;
use super::{InvalidValue, text_scalar};
use crate::diagnostic::quoted;
use crate::schema::Scalar;

/// What a link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// Layer 3: IP packets through a tun device.
    PointToPoint,
    /// Layer 2: Ethernet frames through a tap device.
    Ethernet,
}

/// Which tap or tun device: the N of tapN, or whichever is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The kernel chooses.
    #[default]
    Any,
    /// This one, from 0 to [`Unit::MAX`].
    Number(u32),
}

/// `local:remote`, as in `ssh -w`; the remote unit may be left out and is `any` then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TunnelDevice {
    /// The device of the host that opens the link.
    pub local: Unit,
    /// The device of the host that accepts it.
    pub remote: Unit,
}

impl Unit {
    /// Highest number of a device. OpenSSH's two values above it mean "any" and "error".
    pub const MAX: u32 = 0x7fff_fffd;
}

impl FromStr for Tunnel {
    type Err = InvalidValue;

    /// `ethernet`, `point-to-point`, or `yes`, which is OpenSSH's other word for the latter.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "ethernet" => Ok(Self::Ethernet),
            "point-to-point" | "yes" | "true" => Ok(Self::PointToPoint),
            _ => {
                let hint = match text.to_ascii_lowercase().as_str() {
                    "tap" | "layer2" | "l2" | "ether" | "ethernet" | "on" => "write `ethernet`",
                    "tun" | "layer3" | "l3" | "ip" | "pointopoint" | "true" | "yes" | "point-to-point" => {
                        "write `point-to-point`"
                    }
                    "no" | "false" | "off" | "none" => {
                        "a link is a tunnel; remove the link, or write `ethernet`"
                    }
                    _ => "write `ethernet` or `point-to-point`",
                };
                Err(InvalidValue::new(format!("{} is no kind of tunnel", quoted(text)), hint))
            }
        }
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PointToPoint => "point-to-point",
            Self::Ethernet => "ethernet",
        })
    }
}

impl FromStr for Unit {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "any" {
            return Ok(Self::Any);
        }
        whole(text, 0, Self::MAX).map(Self::Number).map_err(|_| {
            let message = format!("{} is no number of a tunnel device", quoted(text));
            InvalidValue::new(message, format!("write `any` or a number from 0 to {}", Self::MAX))
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl FromStr for TunnelDevice {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (local, remote) = match text.split_once(':') {
            Some((local, remote)) => (local.parse(), remote.parse()),
            None => (text.parse(), Ok(Unit::Any)),
        };
        match (local, remote) {
            (Ok(local), Ok(remote)) => Ok(Self { local, remote }),
            // The mode is another option, in ssh_config and in YAML.
            _ if text.parse::<Tunnel>().is_ok() => Err(InvalidValue::new(
                format!("{} is no device", quoted(text)),
                format!(
                    "it is the kind of tunnel: `tunnel: {text}`, or `-o Tunnel={text}` on the command line"
                ),
            )),
            _ => {
                let number = text.strip_prefix("tap").or_else(|| text.strip_prefix("tun"));
                let hint = match number.filter(|number| number.parse::<u32>().is_ok()) {
                    Some(number) => {
                        format!("write the number alone: `{number}`; `tunnel` says which of the two it is")
                    }
                    None => {
                        format!("write `any` or numbers from 0 to {}: `any:any`, `7:any`, `7`", Unit::MAX)
                    }
                };
                Err(InvalidValue::new(format!("{} is not local:remote", quoted(text)), hint))
            }
        }
    }
}

impl fmt::Display for TunnelDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.local, self.remote)
    }
}

text_scalar!(TunnelDevice, { "type": ["string", "integer"], "pattern": "^(any|[0-9]+)(:(any|[0-9]+))?$" });
text_scalar!(Tunnel, { "enum": ["ethernet", "point-to-point", "yes", true] });

impl Scalar for Unit {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn to_json(&self) -> Json {
        match *self {
            Self::Any => "any".into(),
            Self::Number(number) => number.into(),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "const": "any" }, { "type": "integer", "minimum": 0, "maximum": Self::MAX }] })
    }
}
