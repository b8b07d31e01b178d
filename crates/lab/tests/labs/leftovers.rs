//! Whatever happens to a lab, nothing of it is left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::bystander::{Surroundings, processes, wait_until};
use crate::{LabFile, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_run_leaves_nothing", a_run_leaves_nothing),
        trial("a_failed_run_leaves_nothing", a_failed_run_leaves_nothing),
        trial("killing_the_caller_ends_everything", || killed_caller(Signal::SIGKILL)),
        trial("interrupting_the_caller_ends_everything", || killed_caller(Signal::SIGINT)),
        trial("killing_the_init_is_an_error", killing_the_init_is_an_error),
        trial("no_root_is_needed", no_root_is_needed),
    ]
}

/// A lab with a daemon and a check that passes in no time, or never.
fn lab(target: &str) -> String {
    format!(
        "
networks: {{lan: {{}}}}
hosts:
  left: {{interfaces: {{lan: {{addresses: [192.0.2.1/24]}}}}, tapline: {{}}}}
  right: {{interfaces: {{lan: {{addresses: [192.0.2.2/24]}}}}}}
checks: [{{from: left, ping: {target}, within: 600}}]
"
    )
}

fn a_run_leaves_nothing() {
    let before = Surroundings::now();
    assert!(run(&lab("192.0.2.2")).unwrap().passed());
    assert_eq!(processes(), Vec::<Vec<String>>::new());
    assert_eq!(Surroundings::now(), before);
}

fn a_failed_run_leaves_nothing() {
    let before = Surroundings::now();
    let text = lab("192.0.2.2").replace("lan: {}", "lan: {mtu: 1400}").replace("within: 600", "within: 1");
    assert!(!run(&text.replace("ping: 192.0.2.2", "ping: 192.0.2.3")).unwrap().passed());
    assert_eq!(processes(), Vec::<Vec<String>>::new());
    assert_eq!(Surroundings::now(), before);
}

/// A caller whose lab is up.
fn busy_caller(file: &LabFile) -> Child {
    let mut command = Command::new("/proc/self/exe");
    command.arg("caller").arg(&file.path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let caller = command.spawn().unwrap();
    let running =
        |role: &str| processes().iter().any(|arguments| arguments.get(1).is_some_and(|one| one == role));
    wait_until("the daemon runs", || running("run"));
    assert!(running("--lab-isolate") && running("--lab-init"));
    caller
}

fn killed_caller(signal: Signal) {
    let before = Surroundings::now();
    let file = LabFile::new(&lab("192.0.2.77"));
    let mut caller = busy_caller(&file);
    kill(pid(&caller), signal).unwrap();
    caller.wait().unwrap();
    wait_until("every process ends", || processes().is_empty());
    drop(file);
    assert_eq!(Surroundings::now(), before);
}

fn killing_the_init_is_an_error() {
    let file = LabFile::new(&lab("192.0.2.77"));
    let mut caller = busy_caller(&file);
    kill(init_of(&caller), Signal::SIGKILL).unwrap();
    let mut error = String::new();
    BufReader::new(caller.stderr.take().unwrap()).read_line(&mut error).unwrap();
    assert_eq!(caller.wait().unwrap().code(), Some(2));
    assert!(error.contains("the lab's init ended unexpectedly, signal: 9"), "{error}");
    wait_until("every process ends", || processes().is_empty());
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// The child of the only child.
fn init_of(caller: &Child) -> Pid {
    let child = |parent: String| {
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap().trim().to_owned()
    };
    Pid::from_raw(child(child(caller.id().to_string())).parse().unwrap())
}

fn no_root_is_needed() {
    if !geteuid().is_root() {
        // Then every other test here is this one.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("labs");
    std::fs::copy("/proc/self/exe", &program).unwrap();
    let file = LabFile::new(&lab("192.0.2.2"));
    for path in [directory.path(), file.path.parent().unwrap()] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    // A user's udev opens the device node to all; not every machine's does.
    const AS_NOBODY: &str = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", AS_NOBODY, "sh"]).arg(&program).arg("caller").arg(&file.path);
    let output = command.current_dir("/").output().unwrap();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{error}");
    assert!(said.ends_with("1 check passed\n"), "{said}{error}");
}
