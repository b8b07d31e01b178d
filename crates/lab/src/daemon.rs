//! The daemon of one host.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapline_control::namespace::Namespace;

use crate::render::Files;

/// A daemon that was started.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

/// What the daemon takes over from the caller's environment. Agents, homes and sockets of the caller are none of it.
const ENVIRONMENT: [&str; 4] = ["PATH", "RUST_LOG", "RUST_BACKTRACE", "LANG"];

impl Daemon {
    pub(crate) fn start(
        program: &Path,
        files: &Files,
        home: &Path,
        namespace: &Namespace,
    ) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(&files.log)?;
        let mut command = Command::new(program);
        command.arg0("tapline").arg("run").arg("-c").arg(&files.configuration);
        command.arg("--state-dir").arg(&files.state);
        command.env_clear().env("HOME", home).current_dir(home);
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Signals of the terminal are not for it; when the init goes the kernel kills it.
        let child = namespace.spawn(command.process_group(0))?;
        Ok(Self { child, log: files.log.clone() })
    }

    /// The status with which it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(crate) fn log(&self) -> String {
        // What is not UTF-8 is still worth reading.
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    pub(crate) fn terminate(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Waits for the end until `deadline`, then brings it about. `None` says that it was brought about.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return None;
            }
            sleep(Duration::from_millis(5));
        }
    }
}
