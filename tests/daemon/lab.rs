//! `tapline lab run`: the first command that a newcomer types.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, PATIENCE, Process, are_met, eventually, tapline};

use crate::kernel_state::KernelState;
use crate::sites::{as_nobody, calm, public_directory, says};

fn two_sites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/two-sites.yaml")
}

/// A lab that runs on a host of the test, with a word in its environment by which its processes can be told.
struct Lab<'a> {
    host: &'a Namespace,
    before: KernelState,
    mark: String,
    process: Process,
}

impl<'a> Lab<'a> {
    fn start(host: &'a Namespace, mut command: Command, file: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        let before = KernelState::of(host);
        command.args(["lab", "run"]).arg(file).env("TAPLINE_TEST_MARK", &mark);
        let process = host.start("tapline lab", &mut command);
        Self { host, before, mark, process }
    }

    /// Network namespaces, other than the host's, that processes of the lab are in.
    fn namespaces(&self) -> Vec<PathBuf> {
        let home = fs::read_link(format!("/proc/{}/ns/net", self.process.pid())).ok();
        let mark = format!("TAPLINE_TEST_MARK={}", self.mark);
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        processes
            .filter(|process| {
                let environment = fs::read(process.path().join("environ")).unwrap_or_default();
                environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
            })
            .filter_map(|process| fs::read_link(process.path().join("ns/net")).ok())
            .filter(|namespace| Some(namespace) != home.as_ref())
            .collect()
    }

    /// Waits for its end, after which nothing of it is there; its exit status and what it said.
    fn ended(mut self) -> (Option<i32>, String) {
        eventually("the lab's hosts", || !self.namespaces().is_empty() || !self.process.is_running());
        let status = self.process.ended_within(PATIENCE);
        let log = self.process.log();
        calm(&log);
        assert!(self.namespaces().is_empty(), "processes are left");
        self.before.is_back(self.host);
        (status.code(), log)
    }
}

/// Every check of the file is named as passed, and the throughput has a figure.
fn all_passed(log: &str) {
    says(
        log,
        &[
            "IPv4",
            "IPv6, global address",
            "IPv6, link-local address",
            "multicast, leipzig to berlin",
            "multicast, berlin to leipzig",
            "throughput, leipzig to berlin",
            "bit/s",
        ],
    );
}

#[test]
fn two_sites_are_joined_and_nothing_is_left() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("newcomer");
    let (status, log) = Lab::start(&host, tapline(), &two_sites()).ended();
    assert_eq!(status, Some(0), "{log}");
    all_passed(&log);
}

#[test]
fn no_rights_are_needed() {
    if !are_met(&["setpriv", "unshare"]) {
        return;
    }
    let host = Namespace::new("newcomer");
    let (directory, program) = public_directory(&host);
    let file = directory.join("two-sites.yaml");
    fs::copy(two_sites(), &file).unwrap();
    // Open to everyone, as udev leaves the device; containers may have another.
    let as_nobody = as_nobody(&program);
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c"])
        .arg("mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec \"$@\"")
        .args([OsStr::new("sh"), as_nobody.get_program()])
        .args(as_nobody.get_args());
    for (name, value) in as_nobody.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let (status, log) = Lab::start(&host, command, &file).ended();
    assert_eq!(status, Some(0), "{log}");
    all_passed(&log);
}

#[test]
fn a_check_that_fails_says_why() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("newcomer");
    let text = fs::read_to_string(two_sites()).unwrap();
    let broken = text.replacen("ping: 10.77.0.1\n", "ping: 10.77.0.9\n", 1);
    assert_ne!(broken, text);
    let file = host.write("broken.yaml", &broken);
    let (status, log) = Lab::start(&host, tapline(), &file).ended();
    assert_eq!(status, Some(1), "{log}");
    let line = log.lines().find(|line| line.contains("10.77.0.9")).unwrap_or_else(|| panic!("{log}"));
    says(line, &["IPv4"]);
}

#[test]
fn a_lab_that_is_interrupted_leaves_nothing() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("newcomer");
    let mut lab = Lab::start(&host, tapline(), &two_sites());
    eventually("the lab's hosts", || lab.namespaces().len() > 1);
    lab.process.signal(Signal::SIGINT);
    let status = lab.process.ended();
    assert_ne!(status.code(), Some(0), "{}", lab.process.log());
    eventually("no process of the lab is left", || lab.namespaces().is_empty());
    lab.before.is_back(&host);
}

#[test]
fn n19_without_a_tun_device_the_lab_says_what_to_do_and_makes_nothing() {
    if !are_met(&["unshare"]) {
        return;
    }
    let host = Namespace::new("newcomer");
    let cases = [
        ("mount -t tmpfs none /dev/net", "modprobe tun"),
        (
            "mount -t tmpfs none /dev/net && mkdir /dev/net/tun && mount -t tmpfs none /dev/net/tun",
            "cannot be opened",
        ),
    ];
    for (obstacle, remedy) in cases {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c"])
            .arg(format!("{obstacle} && exec \"$@\""))
            .args([OsStr::new("sh"), tapline().get_program()]);
        let (status, log) = Lab::start(&host, command, &two_sites()).ended();
        assert_eq!(status, Some(1), "{log}");
        assert_eq!(log.lines().filter(|line| !line.is_empty()).count(), 1, "{log}");
        says(&log, &["/dev/net/tun", remedy]);
    }
}
