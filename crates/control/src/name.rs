//! Names of interfaces and link-layer addresses, checked once where they enter.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a network interface: 1 to 15 bytes, by the kernel's own rule (`dev_valid_name`), and without `%`,
/// which the kernel would take for a template when it creates an interface.
///
/// A value of this type is safe as one component of a path below `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The longest name in bytes (`IFNAMSIZ` without the closing NUL).
    pub const MAX_LENGTH: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceNameError {
    #[error("an interface name cannot be empty; write 1 to 15 characters")]
    Empty,
    #[error("interface name `{0}` is too long; the kernel takes at most 15 bytes")]
    TooLong(String),
    #[error("interface name `{name}` contains {found:?}; leave out spaces, `/`, `:` and `%`")]
    Forbidden { name: String, found: char },
    #[error("`{0}` is not an interface name; choose one that is no directory")]
    Directory(String),
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InterfaceNameError::Empty);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(InterfaceNameError::TooLong(text.chars().take(64).collect()));
        }
        if text == "." || text == ".." {
            return Err(InterfaceNameError::Directory(text.to_owned()));
        }
        let forbidden = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
        if let Some(found) = text.chars().find(forbidden) {
            return Err(InterfaceNameError::Forbidden { name: text.to_owned(), found });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = InterfaceNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&str> for InterfaceName {
    type Error = InterfaceNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ethernet address of one interface, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

/// The text is no Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an Ethernet address; write six pairs of hexadecimal digits, as in 02:00:5e:00:53:01")]
pub struct MacAddressError(String);

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || MacAddressError(text.chars().take(64).collect());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(octets)) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests;
