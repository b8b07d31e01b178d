//! What can be in the way of a daemon that starts.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use tapline_tests::{Keys, Namespace, are_met, eventually, tapline};

use crate::kernel_state::KernelState;
use crate::sites::{Daemon, Sites, fails, run, says};

const BRIDGE: &str = "bridges:\n  br-lab: {addresses: [10.77.0.1/24, 'fd77::1/64']}\n";

#[test]
fn a_port_in_use_is_named_and_waited_for() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.berlin);
    let listener = sites.berlin.enter(|| TcpListener::bind("192.0.2.1:2222").unwrap());
    let configuration = sites.server_section("bridge: br-lab") + BRIDGE;
    let mut daemon = Daemon::start(&sites.berlin, &configuration);
    daemon.process.wait_for("192.0.2.1:2222 is in use by another process");
    drop(listener);
    daemon.process.wait_for("Server listening on 192.0.2.1 port 2222");
    daemon.stop();
    before.is_back(&sites.berlin);
}

#[test]
fn a_host_key_is_made_once_and_readable_by_its_owner_alone() {
    if !are_met(&["ssh-keygen"]) {
        return;
    }
    let host = Namespace::new("berlin");
    let key = host.path("host_key");
    let configuration = format!(
        "server: {{listen: ['127.0.0.1:2222'], host-keys: [{}], permit-tunnel: ethernet}}\n",
        key.display()
    );
    Daemon::start(&host, &configuration).stop();
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o600);
    let public = host.run(&format!("ssh-keygen -y -f {}", key.display()));
    assert!(public.starts_with("ssh-ed25519 "));
    let first = fs::read(&key).unwrap();
    Daemon::start(&host, &configuration).stop();
    assert_eq!(fs::read(&key).unwrap(), first);

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let line = fails(&host, 1, &mut run(&host, &configuration));
    says(&line, &["host_key", "chmod 600"]);
}

#[test]
fn a_unit_that_is_taken_is_named_on_either_side() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let server = sites.server();
    // Somebody else has tap5 on both hosts, for a link that never comes up.
    let holding =
        "links:\n  nowhere: {host: 192.0.2.99, tunnel-device: '5:any', identity-file: /nonexistent}\n";
    let here = Daemon::start(&sites.leipzig, holding);
    let holding = sites.berlin.write("holding.yaml", holding);
    let there = sites.berlin.start(
        "holder",
        tapline().arg("run").arg("-c").arg(holding).arg("--state-dir").arg(sites.berlin.path("holding")),
    );
    eventually("tap5 on berlin", || sites.berlin.has_interface("tap5"));

    let before = KernelState::of(&sites.leipzig);
    let options = ["StrictHostKeyChecking=accept-new"];
    for (units, words) in [("5", ["tap5", "in use"]), ("any:5", ["192.0.2.1", "tap5"])] {
        let mut command = sites.connect("id", &options, "root@192.0.2.1");
        let line = fails(&sites.leipzig, 255, command.args(["-w", units]));
        says(&line, &words);
        before.is_back(&sites.leipzig);
    }
    here.stop();
    drop(there);
    server.stop();
}

#[test]
fn u17_a_second_daemon_with_the_same_state_directory_is_told_of_the_first() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    let first = Daemon::start(&host, BRIDGE);
    let meanwhile = KernelState::of(&host);
    let process = format!("(process {})", first.process.pid());
    let words =
        ["another tapline", "state", &process, "one daemon serves all links", "SIGHUP", "--state-dir"];
    let mut connect = tapline();
    connect.args(["connect", "-F", "none", "192.0.2.1", "--state-dir"]).arg(host.path("state"));
    let runs = [BRIDGE, "bridges: {}\n", "links: {}\n"].map(|configuration| (1, run(&host, configuration)));
    for (status, mut command) in runs.into_iter().chain([(255, connect)]) {
        says(&fails(&host, status, &mut command), &words);
        meanwhile.is_back(&host);
    }
    first.stop();
    before.is_back(&host);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    if !are_met(&["unshare"]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    let file = host.write("file", "");
    let configuration = host.write("bridge.yaml", BRIDGE);
    let below_file = file.join("state");
    let line = fails(
        &host,
        1,
        tapline().arg("run").arg("-c").arg(&configuration).arg("--state-dir").arg(&below_file),
    );
    says(&line, &[below_file.to_str().unwrap(), "--state-dir"]);

    let read_only = host.path("read-only");
    fs::create_dir(&read_only).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", "mount -t tmpfs -o ro,mode=755 none \"$0\" && exec \"$@\""])
        .arg(&read_only)
        .arg(tapline().get_program())
        .args(["run", "-c"])
        .arg(&configuration)
        .arg("--state-dir")
        .arg(&read_only);
    let line = fails(&host, 1, &mut command);
    says(&line, &[read_only.to_str().unwrap(), "Read-only file system"]);
    before.is_back(&host);
}

#[test]
fn a_record_that_is_damaged_is_not_acted_on() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    fs::create_dir(host.path("state")).unwrap();
    fs::write(host.path("state").join("network.json"), "{\"version\": 1, \"scope\":").unwrap();
    let line = fails(&host, 1, &mut run(&host, BRIDGE));
    says(&line, &["network.json", "is damaged", "move it away"]);
    before.is_back(&host);
}

#[test]
fn an_identity_that_is_missing_is_named() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let server = sites.server();
    let keys = Keys::new(&[]);
    let missing = keys.path("missing");
    let option = format!("IdentityFile={}", missing.display());
    let mut command =
        sites.connect("stranger", &["StrictHostKeyChecking=accept-new", &option], "root@192.0.2.1");
    let line = fails(&sites.leipzig, 255, &mut command);
    says(&line, &["permission denied", missing.to_str().unwrap()]);
    server.stop();
}

#[test]
fn a_daemon_that_is_stopped_while_it_starts_leaves_nothing() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    for _ in 0..5 {
        let mut daemon = Daemon::begin(&host, BRIDGE);
        eventually("the bridge", || host.has_interface("br-lab"));
        let status = daemon.process.terminate();
        assert_eq!(status.code(), Some(0));
        before.is_back(&host);
    }
}
