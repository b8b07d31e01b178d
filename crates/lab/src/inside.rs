//! The inside of a lab: the two processes between the caller and the daemons.

use std::io::{self, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, ExitStatus, exit};
use std::{env, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tapline_control::namespace;

use crate::message::{Message, Request, receive, send};
use crate::session::{self, SessionError};

/// The program that runs, also when its file was replaced since.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";
/// Arguments by which [`entry`] knows what it is to be.
pub(crate) const ISOLATE: &str = "--lab-isolate";
const INIT: &str = "--lab-init";

/// Does the work of a lab's own processes and returns their exit status; `None` in every other process.
///
/// To be called first thing in `main`, before threads are started and arguments looked at:
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = tapline_lab::entry() {
///         return code;
///     }
///     // the program's own work
///     ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn entry() -> Option<ExitCode> {
    let role = env::args_os().nth(1)?;
    let result = match role.to_str()? {
        ISOLATE => isolate(),
        INIT => init(),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When the caller is gone nobody wants to know.
            let _ = send(&mut io::stdout(), &Message::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    })
}

#[derive(Debug, thiserror::Error)]
enum InsideError {
    #[error(transparent)]
    Isolation(#[from] namespace::IsolationError),
    #[error(
        "cannot create a PID namespace: {0}; run as root, or raise the limit (sysctl user.max_pid_namespaces)"
    )]
    PidNamespace(io::Error),
    #[error("cannot start the lab's init: {0}")]
    Init(io::Error),
    /// When the init could say why, it has, and the caller hears no second reason.
    #[error("the lab's init ended unexpectedly, {0}; see whether memory ran out")]
    Ended(ExitStatus),
    #[error("the lab has no request to work on: {0}; `{INIT}` is not for people")]
    Request(io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Leaves the caller's namespaces. The PID namespace is only for children, so one follows.
fn isolate() -> Result<(), InsideError> {
    namespace::isolate()?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|error| InsideError::PidNamespace(error.into()))?;
    let mut init = Command::new(THIS_PROGRAM);
    init.arg0("tapline").arg(INIT);
    // Standard input and output are the caller's, who finds out by them how it went.
    let status = init.status().map_err(InsideError::Init)?;
    if status.success() { Ok(()) } else { Err(InsideError::Ended(status)) }
}

/// PID 1 of the lab.
fn init() -> Result<(), InsideError> {
    let mut lifeline = BufReader::new(io::stdin());
    let request: Request = receive(&mut lifeline)
        .and_then(|request| request.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
        .map_err(InsideError::Request)?;
    thread::spawn(move || follow(lifeline));
    // A `/proc` of the outer PID namespace serves as well; a container may insist on its own.
    let _ = mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>);
    let mut out = io::stdout();
    session::run(&request, &mut |event| {
        let _ = send(&mut out, &Message::Event(event));
    })?;
    Ok(())
}

/// Ends the init, and by that every process of the lab, when the caller is gone.
fn follow(mut lifeline: impl Read) {
    let _ = io::copy(&mut lifeline, &mut io::sink());
    exit(1);
}
