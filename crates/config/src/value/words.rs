//! Choices between a few words.

use std::fmt;
use std::str::FromStr;

use super::{InvalidValue, text_scalar};
use crate::diagnostic::quoted;
use crate::nearest::nearest;

/// Declares an enum whose variants are written as one word each. YAML 1.1 tools rewrite `yes` and `no` as `true` and
/// `false`, so where one of the first two is a word, the other is read as it.
macro_rules! words {
    ($(
        $(#[doc = $about:literal])*
        pub enum $name:ident {
            $( $(#[$meta:meta])* $variant:ident = $word:literal, )*
        }
    )*) => { $(
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            $( $(#[$meta])* $variant, )*
        }

        impl $name {
            const WORDS: &[&str] = &[$($word),*];
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let word = match text {
                    "true" | "True" | "TRUE" => "yes",
                    "false" | "False" | "FALSE" => "no",
                    other => other,
                };
                match word {
                    $( $word => Ok(Self::$variant), )*
                    _ => Err(not_one_of(text, Self::WORDS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( Self::$variant => $word, )* })
            }
        }

        text_scalar!($name, with_booleans($name::WORDS));
    )* };
}

words! {
    /// Which tunnels a server lets a peer open: `PermitTunnel` of `sshd_config(5)`.
    pub enum PermitTunnel {
        /// None.
        #[default]
        No = "no",
        /// Layer 3 only.
        PointToPoint = "point-to-point",
        /// Layer 2 only.
        Ethernet = "ethernet",
        /// Both.
        Yes = "yes",
    }

    /// What happens with a host key that is not known yet: `StrictHostKeyChecking` of `ssh_config(5)`. A changed key
    /// is always refused, also with `no`, where OpenSSH would connect and open no tunnel.
    pub enum StrictHostKeyChecking {
        /// It is refused.
        Yes = "yes",
        /// It is added.
        AcceptNew = "accept-new",
        /// The user decides at the terminal; without one it is refused.
        #[default]
        Ask = "ask",
        /// It is added.
        No = "no",
    }

    /// Which addresses of a host are tried: `AddressFamily` of `ssh_config(5)`.
    pub enum AddressFamily {
        /// IPv4 and IPv6.
        #[default]
        Any = "any",
        /// IPv4 only.
        Inet = "inet",
        /// IPv6 only.
        Inet6 = "inet6",
    }

    /// Which channel a link opens.
    pub enum Native {
        /// Tapline's own first; a peer that refuses it gets OpenSSH's on the same connection.
        #[default]
        Auto = "auto",
        /// Tapline's own or none.
        Only = "only",
        /// OpenSSH's at once.
        No = "no",
    }
}

fn with_booleans(words: &[&str]) -> serde_json::Value {
    let mut values: Vec<serde_json::Value> = words.iter().map(|word| (*word).into()).collect();
    values.extend(words.contains(&"yes").then_some(true.into()));
    values.extend(words.contains(&"no").then_some(false.into()));
    serde_json::json!({ "enum": values })
}

fn not_one_of(text: &str, words: &[&str]) -> InvalidValue {
    let lower = text.to_ascii_lowercase();
    let meant = match lower.as_str() {
        "on" | "enable" | "enabled" | "y" | "1" => "yes",
        "off" | "disable" | "disabled" | "none" | "never" | "n" | "0" => "no",
        "tap" | "layer2" | "l2" => "ethernet",
        "tun" | "layer3" | "l3" => "point-to-point",
        "ipv4" | "4" | "inet4" => "inet",
        "ipv6" | "6" => "inet6",
        other => other,
    };
    let hint = match words.iter().find(|word| **word == meant) {
        Some(word) => format!("write `{word}`"),
        None => match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => "choose one of the words".to_owned(),
        },
    };
    InvalidValue::new(format!("{} is none of {}", quoted(text), words.join(", ")), hint)
}
