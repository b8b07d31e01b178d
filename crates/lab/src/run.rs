//! The outside of a lab: starts the inside, passes on what it says, and holds its lifeline.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::libc;
use tapline_config::{Diagnostics, Lab};

use crate::inside::{ISOLATE, THIS_PROGRAM};
use crate::message::{Message, Request, receive, send};
use crate::outcome::Outcome;
use crate::report::{Event, Report};

/// How a lab is run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The program that is started as `PROGRAM run -c FILE --state-dir DIR` on every host; otherwise the running one.
    pub daemon: Option<PathBuf>,
    /// A directory, empty or to be created, where configurations, keys and logs stay for people to look at.
    pub keep: Option<PathBuf>,
}

/// Why a lab could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("cannot read {}: {source}; give the name of a lab file", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
    #[error("cannot start the lab's own process: {0}; see that /proc is mounted")]
    Start(io::Error),
    #[error(
        "the lab's links need /dev/net/tun, and it is not here: run `modprobe tun`, or pass the device node into this container"
    )]
    NoTun,
    #[error(
        "the lab's links need /dev/net/tun, and it may not be opened: run as root, or `chmod 666 /dev/net/tun`"
    )]
    TunPermission,
    #[error("the lab's links need /dev/net/tun, and it cannot be opened: {0}")]
    Tun(io::Error),
    /// Something went wrong inside.
    #[error("{0}")]
    Inside(String),
    #[error("the lab ended unexpectedly, {0}; see above, or whether memory ran out")]
    Ended(ExitStatus),
    #[error("lost the lab's own process: {0}")]
    Lost(io::Error),
}

/// Brings up the lab that `file` describes, tries its checks and takes it down.
///
/// The calling process stays as it is, and may have threads. It must be a program that begins with
/// [`entry`](crate::entry). When it ends in whatever way, so does the lab.
///
/// # Errors
/// The file has mistakes, or the lab could not be brought up. Checks that fail are no error but in the outcome.
pub fn run(file: &Path, options: &RunOptions, report: &mut dyn Report) -> Result<Outcome, LabError> {
    let unreadable = |source| LabError::Read { path: file.to_owned(), source };
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)).map_err(unreadable)?;
    let name = file.display().to_string();
    let lab = Lab::from_str(&name, &text)?;
    if lab.hosts.values().any(|host| host.tapline.is_some()) {
        find_tun(Path::new("/dev/net/tun"))?;
    }
    let request = Request {
        file: name,
        text,
        daemon: options
            .daemon
            .as_deref()
            .map_or_else(|| Ok(THIS_PROGRAM.into()), absolute)
            .map_err(LabError::Start)?,
        keep: options.keep.as_deref().map(absolute).transpose().map_err(LabError::Start)?,
    };

    let mut inside = Inside::start()?;
    // An inside that failed before it could read has said why.
    let sent = inside.0.stdin.as_mut().map_or(Ok(()), |stdin| send(stdin, &request));
    let mut messages = BufReader::new(inside.0.stdout.take().ok_or_else(|| no_pipe("stdout"))?);
    loop {
        match receive(&mut messages).map_err(LabError::Lost)? {
            Some(Message::Event(event)) => {
                report.event(&event);
                if let Event::Finished(outcome) = event {
                    return Ok(outcome);
                }
            }
            Some(Message::Failed(reason)) => return Err(LabError::Inside(reason)),
            None => {
                sent.map_err(LabError::Lost)?;
                return Err(LabError::Ended(inside.end().map_err(LabError::Lost)?));
            }
        }
    }
}

/// Before anything is made that would be for nothing.
fn find_tun(node: &Path) -> Result<(), LabError> {
    match File::options().read(true).write(true).open(node) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO) => LabError::NoTun,
            Some(libc::EACCES | libc::EPERM) => LabError::TunPermission,
            _ => LabError::Tun(error),
        }),
    }
}

/// More than a lab file may have in bytes, so that one that is too long is still seen to be.
const MOST_BYTES: u64 = 2 << 20;

/// The process that isolates itself. Its standard input is the lifeline of all that it starts.
struct Inside(Child);

impl Inside {
    fn start() -> Result<Self, LabError> {
        let mut command = Command::new(THIS_PROGRAM);
        command.arg0("tapline").arg(ISOLATE).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C is for the caller alone; the rest follows by the lifeline.
        command.process_group(0);
        command.spawn().map(Self).map_err(LabError::Start)
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        drop(self.0.stdin.take());
        self.0.wait()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn no_pipe(which: &str) -> LabError {
    LabError::Start(io::Error::other(format!("it has no {which}")))
}

#[cfg(test)]
mod tests;
