//! The single values of a configuration. Each parses from one word and prints as that word again.

mod address;
mod command;
mod duration;
mod host;
mod interface_address;
mod key;
mod limits;
mod name;
mod number;
mod path;
mod route;
mod tuning;
mod tunnel;
mod words;

pub use address::{AddressBlock, LinkLocal, MacAddr, ZonedAddr};
pub use command::ShellCommand;
pub use host::{HostName, HostTarget, Jump, ProxyCommand, ProxyJump, UserName};
pub use interface_address::InterfaceAddress;
pub use key::PublicKey;
pub use limits::{MaxStartups, NetBlockSize, RekeyLimit};
pub use name::{InterfaceName, Name};
pub use number::{Bounded, Mtu};
pub use path::PathPattern;
pub use route::Route;
pub use tuning::{Congestion, CongestionName, WindowLimit};
pub use tunnel::{Tunnel, TunnelDevice, Unit};
pub use words::{AddressFamily, Native, PermitTunnel, StrictHostKeyChecking};

pub use duration::parse_duration;

/// A word that does not mean anything where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {hint}")]
pub struct InvalidValue {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl InvalidValue {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// Gives a type with `FromStr` and `Display` its place in a document, as a string of this JSON Schema.
macro_rules! text_scalar {
    ($type:ty, { $($schema:tt)+ }) => {
        $crate::value::text_scalar!($type, serde_json::json!({ $($schema)+ }));
    };
    ($type:ty, $schema:expr) => {
        impl $crate::schema::Scalar for $type {
            fn from_text(text: &str) -> Result<Self, $crate::value::InvalidValue> {
                text.parse()
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::String(self.to_string())
            }

            fn schema() -> serde_json::Value {
                $schema
            }
        }
    };
}
pub(crate) use text_scalar;

/// Free text in one line.
impl crate::schema::Scalar for String {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        Ok(text.to_owned())
    }

    fn to_json(&self) -> serde_json::Value {
        self.as_str().into()
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests;
