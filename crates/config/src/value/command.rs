//! Commands for the user's shell.

use std::fmt;
use std::str::FromStr;

use super::{InvalidValue, text_scalar};

/// A command, for the user's shell, with the percent tokens of `ssh_config(5)` still to be replaced. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShellCommand(String);

impl ShellCommand {
    /// The command as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ShellCommand {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.trim() {
            "" => Err(InvalidValue::new("the command is empty", "write a command, or remove the key")),
            command => Ok(Self(command.to_owned())),
        }
    }
}

impl fmt::Display for ShellCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_scalar!(ShellCommand, { "type": "string", "minLength": 1 });
