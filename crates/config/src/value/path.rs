//! Names of files as OpenSSH writes them.

use std::fmt;
use std::str::FromStr;

use super::{InvalidValue, text_scalar};

/// A file name in which `~` and the percent tokens of `TOKENS` in `ssh_config(5)` are still to be replaced: who opens
/// the file knows the user and the host they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern(String);

impl PathPattern {
    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPattern {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() {
            return Err(InvalidValue::new(
                "a file name is missing",
                "write a path, such as `~/.ssh/id_ed25519`",
            ));
        }
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '%' && !characters.next().is_some_and(|token| "%dhijkLlnprUu".contains(token)) {
                return Err(InvalidValue::new(
                    "a `%` that begins no token of ssh_config(5)",
                    "write `%%` for the sign itself, `%h` and `%u` for host and user",
                ));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl AsRef<str> for PathPattern {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_scalar!(PathPattern, { "type": "string", "minLength": 1 });
