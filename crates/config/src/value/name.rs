//! Names of interfaces, links and hosts.

use std::fmt;
use std::str::FromStr;

use super::{InvalidValue, text_scalar};
use crate::diagnostic::quoted;

/// Longest name of an interface in bytes: `IFNAMSIZ` of the kernel less the closing zero.
const LONGEST_INTERFACE: usize = 15;
/// Longest name of a link or host in bytes: one label of a host name.
const LONGEST_NAME: usize = 63;

/// The name of a network interface: 1 to 15 bytes that the kernel and the usual tools take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// The name of a link, a host of a lab, or a peer: letters, digits, `-`, `_` and `.`, 1 to 63 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl FromStr for InterfaceName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let hint = if text.is_empty() || text.len() > LONGEST_INTERFACE {
            "use 1 to 15 letters, digits, `-`, `_` or `.`"
        } else if matches!(text, "." | ".." | "all" | "default") {
            "this name has another meaning to the kernel; take another"
        } else if !is_plain(text, "-_.@+") {
            "use letters, digits, `-`, `_` and `.` only, beginning with a letter or digit"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidValue::new(format!("{} cannot name an interface", quoted(text)), hint))
    }
}

impl FromStr for Name {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if !text.is_empty() && text.len() <= LONGEST_NAME && is_plain(text, "-_.") {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new(
            format!("{} is not a name", quoted(text)),
            "use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
        ))
    }
}

/// ASCII letters and digits, and `more` from the second character on.
fn is_plain(text: &str, more: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

macro_rules! name_traits {
    ($($type:ty),*) => { $(
        impl $type {
            /// The name itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )* };
}
name_traits!(InterfaceName, Name);

text_scalar!(InterfaceName, { "type": "string", "pattern": "^[A-Za-z0-9][-A-Za-z0-9_.@+]{0,14}$" });
text_scalar!(Name, { "type": "string", "pattern": "^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$" });
