//! Without the rights or the device that a link needs.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, are_met, tapline};

use crate::kernel_state::KernelState;
use crate::sites::{as_nobody, fails, public_directory, says};

const BRIDGE: &str = "bridges:\n  br-lab: {addresses: [10.77.0.1/24]}\n";
const LINK: &str = "links:\n  berlin: {host: 192.0.2.1, addresses: [10.77.0.1/24]}\n";

/// `command` with a `/dev` that has nothing but a tun device of this mode, or nothing at all.
fn with_device(mode: Option<&str>, command: &Command) -> Command {
    let device = match mode {
        None => String::new(),
        Some(mode) => {
            format!(
                "mkdir /dev/net && mknod -m {mode} /dev/net/tun c 10 200 && mknod -m 666 /dev/null c 1 3 && "
            )
        }
    };
    let mut isolated = Command::new("unshare");
    let script = format!("mount -t tmpfs none /dev && {device}exec \"$@\"");
    isolated.args(["-m", "sh", "-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    isolated
}

fn run(program: &Path, configuration: &Path, state: &Path) -> Command {
    let mut command = as_nobody(program);
    command.arg("run").arg("-c").arg(configuration).arg("--state-dir").arg(state);
    command
}

/// The daemon says why its link waits, and ends when it is told to.
fn waits(host: &Namespace, command: &mut Command, words: &[&str]) {
    let mut daemon = host.start("tapline run", command);
    for word in words {
        daemon.wait_for(word);
    }
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.log());
}

#[test]
fn a_missing_tun_device_is_reported_with_a_remedy() {
    if !are_met(&["unshare"]) {
        return;
    }
    let host = Namespace::new("leipzig");
    let before = KernelState::of(&host);
    let configuration = host.write("tapline.yaml", LINK);
    let mut run = tapline();
    run.arg("run").arg("-c").arg(configuration).arg("--state-dir").arg(host.path("state"));
    let mut connect = tapline();
    connect.args(["connect", "-F", "none", "192.0.2.1", "--state-dir"]).arg(host.path("state"));
    let line = fails(&host, 255, &mut with_device(None, &connect));
    says(&line, &["/dev/net/tun does not exist", "modprobe tun"]);
    before.is_back(&host);
    waits(&host, &mut with_device(None, &run), &["/dev/net/tun does not exist", "modprobe tun"]);
    before.is_back(&host);
}

#[test]
fn a_tun_device_that_may_not_be_opened_is_reported_with_a_remedy() {
    if !are_met(&["unshare", "setpriv"]) {
        return;
    }
    let host = Namespace::new("leipzig");
    let before = KernelState::of(&host);
    let (directory, program) = public_directory(&host);
    let configuration = host.write("public/tapline.yaml", LINK);
    let command = run(&program, &configuration, &directory.join("state"));
    waits(
        &host,
        &mut with_device(Some("600"), &command),
        &["no permission to open /dev/net/tun", "run as root"],
    );
    // Open to everyone, as udev leaves it: then it is the capability that is missing.
    waits(&host, &mut with_device(Some("666"), &command), &["CAP_NET_ADMIN", "run as root"]);
    before.is_back(&host);
}

#[test]
fn a_daemon_without_cap_net_admin_says_so() {
    if !are_met(&["setpriv"]) {
        return;
    }
    let host = Namespace::new("leipzig");
    let before = KernelState::of(&host);
    let (directory, program) = public_directory(&host);
    let configuration = host.write("public/tapline.yaml", BRIDGE);
    let line = fails(&host, 1, &mut run(&program, &configuration, &directory.join("state")));
    says(&line, &["CAP_NET_ADMIN is missing", "run as root"]);
    let line = fails(&host, 1, &mut run(&program, &configuration, Path::new("/run/tapline-of-nobody")));
    says(&line, &["/run/tapline-of-nobody", "Permission denied", "--state-dir"]);
    before.is_back(&host);
}
