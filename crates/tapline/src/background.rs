//! `connect -f`: the link goes on in the background once it is up, as ssh's session does.
//!
//! The program starts itself again. The one in the terminal waits for the other's word that the link is up, which comes
//! on its standard output, or for its end. A fork would not do: a runtime with threads cannot be forked.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// Set for the one that goes to the background.
const INSIDE: &str = "TAPLINE_BACKGROUND";

/// Whether this is the one that goes to the background.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Starts the other one. Returns its exit status if it ended before its link was up.
pub(crate) fn start() -> io::Result<Option<u8>> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "tapline".into());
    let mut other = Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .env(INSIDE, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut word = [0];
    if let Some(mut stdout) = other.stdout.take()
        && stdout.read(&mut word)? > 0
    {
        return Ok(None);
    }
    let code = other.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(Some(code.unwrap_or(u8::MAX)))
}

/// To be called at the start of the one that goes to the background: until the link is up it ends with the other.
pub(crate) fn stay_with_parent() {
    if let Err(error) = set_pdeathsig(Signal::SIGTERM) {
        tracing::debug!(%error, "this process does not end with its parent");
    }
}

/// Says that the link is up, and leaves the terminal.
pub(crate) fn leave_terminal() -> io::Result<()> {
    set_pdeathsig(None)?;
    let mut stdout = io::stdout();
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    // Fails for the leader of a group, who has no parent that waits either.
    let _ = setsid();
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    crate::log::finish();
    // A log in a file (-E) or behind a pipe is meant to go on.
    if io::stderr().is_terminal() {
        dup2_stderr(&null)?;
    }
    Ok(())
}
