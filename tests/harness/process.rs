use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{PATIENCE, wait_until};

/// A running program, killed when dropped; if the test is failing then, what it said is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Open, so that it can be read when its directory has gone before the process.
    log: File,
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Process {
    pub(crate) fn start(name: &str, directory: &Path, command: &mut Command) -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{number}.log"));
        let log = OpenOptions::new().read(true).append(true).create_new(true).open(path).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said until now on stdout and stderr.
    pub fn log(&self) -> String {
        let mut bytes = vec![0; usize::try_from(self.log.metadata().unwrap().len()).unwrap()];
        let len = self.log.read_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    pub fn has_said(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// How many times it has said `text`.
    pub fn count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits until it says `text`; fails as soon as it has ended without.
    pub fn wait_for(&mut self, text: &str) {
        wait_until(&format!("{:?} from {}", text, self.name.clone()), PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            if self.has_said(text) {
                return true;
            }
            if let Some(status) = ended {
                panic!("{} ended ({status}) without saying {text:?}", self.name);
            }
            false
        });
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.ended_within(PATIENCE)
    }

    pub fn ended_within(&mut self, timeout: Duration) -> ExitStatus {
        let mut status = None;
        let what = format!("{} ends", self.name);
        wait_until(&what, timeout, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Asks it to end with SIGTERM and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.log());
        }
    }
}
