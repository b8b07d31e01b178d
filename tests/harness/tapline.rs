use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::Namespace;
use crate::process::Process;

/// The program under test: `TAPLINE_BIN`, or the one of the same build as the test.
pub fn tapline() -> Command {
    Command::new(binary())
}

/// Starts `tapline run` with this configuration; the record of what it changed is in the host's file `state`.
/// With a server it is ready once it has said `Server listening`.
pub fn run(host: &Namespace, configuration: &str) -> Process {
    let file = host.write("tapline.yaml", configuration);
    host.start(
        "tapline run",
        tapline().arg("run").arg("-c").arg(file).arg("--state-dir").arg(host.path("state")),
    )
}

/// Starts `tapline connect` without any SSH configuration of this machine, with its own list of known hosts. `words`
/// are further arguments, split at spaces.
pub fn connect(host: &Namespace, key: &Path, words: &str) -> Process {
    let known_hosts = host.path("known_hosts");
    let mut command = tapline();
    command
        .args([
            "connect",
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "BatchMode=yes",
            "-o",
        ])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(key)
        .arg("--state-dir")
        .arg(host.path("state-connect"))
        .args(words.split_whitespace())
        // No agent of whoever runs the tests.
        .env_remove("SSH_AUTH_SOCK");
    host.start("tapline connect", &mut command)
}

/// An example program of the workspace, from the same build as the test.
pub fn example(name: &str) -> Command {
    Command::new(built(&format!("examples/{name}")))
}

fn binary() -> PathBuf {
    env::var_os("TAPLINE_BIN").map_or_else(|| built("tapline"), PathBuf::from)
}

/// A file of the build directory that this program was built into: `target/PROFILE/PROGRAM`, or
/// `target/PROFILE/deps/TEST`.
fn built(file: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    let places = own.ancestors().skip(1).take(2).map(|directory| directory.join(file));
    let found = places.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is missing beside {}: build it first", own.display()))
}
