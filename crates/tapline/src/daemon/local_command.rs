//! `LocalCommand`: what a link has run on this host each time it is up.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use tracing::{debug, info, warn};

/// Starts the command in the user's shell, as ssh does, and waits for it on a thread of its own: nothing else waits.
/// In `command`, `%T` stands for the interface and `%%` for a percent sign.
///
/// # Errors
/// There is no thread.
pub(super) fn start(link: &str, command: &str, interface: &str) -> std::io::Result<JoinHandle<()>> {
    let line = with_interface(command, interface);
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let shell = shell.unwrap_or_else(|| OsString::from("/bin/sh"));
    let link = link.to_owned();
    thread::Builder::new().name("local command".to_owned()).spawn(move || {
        let mut command = Command::new(shell);
        command.arg("-c").arg(&line).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        debug!(link, "local command: {line}");
        match command.status() {
            Ok(status) if status.success() => info!(link, "the local command is done"),
            Ok(status) => warn!(link, "the local command `{line}` failed ({status})"),
            Err(error) => warn!(link, "the local command `{line}` cannot be run: {error}"),
        }
    })
}

fn with_interface(command: &str, interface: &str) -> String {
    let mut line = String::new();
    let mut rest = command;
    while let Some((before, after)) = rest.split_once('%') {
        line.push_str(before);
        let (word, after) = match after.strip_prefix('T') {
            Some(after) => (interface, after),
            None => ("%", after.strip_prefix('%').unwrap_or(after)),
        };
        line.push_str(word);
        rest = after;
    }
    line + rest
}

#[cfg(test)]
mod tests;
