use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::net::if_::{if_nameindex, if_nametoindex};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::process::Process;
use crate::requirements::search_path;

/// How often what runs in a namespace is looked for and killed.
const MAX_ROUNDS: usize = 1000;

/// A host: a new network namespace with `lo` up, and a directory for its files.
///
/// It has no name and no mount: the kernel removes it with the last process and descriptor in it, so that a test that
/// is killed leaves none behind. Dropping it kills whatever still runs in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
    directory: TempDir,
}

impl Namespace {
    /// `name` is for messages.
    pub fn new(name: &str) -> Self {
        let file = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self {
            name: name.to_owned(),
            file: file.join().expect("a new network namespace; does this container allow one?"),
            directory: tempfile::tempdir().unwrap(),
        };
        namespace.run("ip link set lo up");
        namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file of this host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of this host.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Does `work` on a thread that is in this namespace. Sockets that it opens stay there, processes too.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let result = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside.join()
        });
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs a command line, split at spaces, which must succeed; what it printed.
    pub fn run(&self, line: &str) -> String {
        let output = self.output(&mut words(line));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {line}: {errors}", self.name);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether a command line, split at spaces, succeeds.
    pub fn succeeds(&self, line: &str) -> bool {
        self.output(&mut words(line)).status.success()
    }

    /// Runs a command to its end.
    pub fn output(&self, command: &mut Command) -> Output {
        command.env("PATH", search_path()).stdin(Stdio::null());
        self.enter(|| command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts a command that goes on beside the test; both its outputs go to one log.
    pub fn start(&self, name: &str, command: &mut Command) -> Process {
        self.start_prepared(name, command, || ())
    }

    /// As [`start`](Self::start), after `prepare` on the thread that starts it.
    pub(crate) fn start_prepared(
        &self,
        name: &str,
        command: &mut Command,
        prepare: impl FnOnce() + Send,
    ) -> Process {
        command.env("PATH", search_path());
        let name = format!("{name} on {}", self.name);
        self.enter(|| {
            prepare();
            Process::start(&name, self.directory.path(), command)
        })
    }

    /// Starts a command line, split at spaces.
    pub fn start_line(&self, line: &str) -> Process {
        let program = line.split(' ').next().unwrap_or_default();
        self.start(program, &mut words(line))
    }

    /// The first line of `/proc/sys/NAME` in this namespace, such as `net/ipv6/conf/tap0/mtu`.
    pub fn sysctl(&self, name: &str) -> String {
        let path = Path::new("/proc/sys").join(name);
        self.enter(|| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
            .trim()
            .to_owned()
    }

    pub fn set_sysctl(&self, name: &str, value: &str) {
        let path = Path::new("/proc/sys").join(name);
        self.enter(|| fs::write(&path, value).unwrap_or_else(|error| panic!("{path:?}: {error}")));
    }

    /// The names of the interfaces, in the kernel's order; with `lo`.
    pub fn interfaces(&self) -> Vec<String> {
        self.enter(|| {
            let interfaces = if_nameindex().unwrap();
            interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
        })
    }

    pub fn has_interface(&self, name: &str) -> bool {
        self.interfaces().iter().any(|interface| interface == name)
    }

    /// The kernel's index of an interface.
    pub fn index(&self, interface: &str) -> u32 {
        self.enter(|| if_nametoindex(interface).unwrap())
    }

    /// Processes of this namespace.
    fn processes(&self) -> Vec<i32> {
        let own = self.file.metadata().unwrap().ino();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let namespace = fs::metadata(format!("/proc/{pid}/ns/net"));
                namespace.is_ok_and(|namespace| namespace.ino() == own)
            })
            .collect()
    }

    /// How `ip` names this namespace.
    fn handle(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Children of daemons that outlive their parents would keep the namespace; what forks meanwhile is seen in the
        // next round.
        for _ in 0..MAX_ROUNDS {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            thread::yield_now();
        }
        eprintln!("{}: cannot end the processes {:?}", self.name, self.processes());
    }
}

/// Joins two hosts with a pair of interfaces, up, with these addresses (an empty one: none).
pub fn veth(
    (left, left_interface, left_address): (&Namespace, &str, &str),
    (right, right_interface, right_address): (&Namespace, &str, &str),
) {
    left.run(&format!(
        "ip link add {left_interface} type veth peer name {right_interface} netns {}",
        right.handle()
    ));
    for (host, interface, address) in
        [(left, left_interface, left_address), (right, right_interface, right_address)]
    {
        // The underlay has IPv4 alone, so that what IPv6 is seen has crossed a link.
        host.set_sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "1");
        if !address.is_empty() {
            host.run(&format!("ip address add {address} dev {interface}"));
        }
        host.run(&format!("ip link set {interface} up"));
    }
}

fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}
