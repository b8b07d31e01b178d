//! Who is let in, and which server is believed.

use std::fs;

use tapline_tests::are_met;

use crate::kernel_state::KernelState;
use crate::sites::{Daemon, Sites, fails, says};

/// What `tapline connect` says when it must not connect, with this list of known hosts.
fn refusal(key: &str, options: &[&str], known_hosts: impl FnOnce(&Sites) -> String) -> String {
    let sites = Sites::new();
    let server = sites.server();
    let known_hosts = known_hosts(&sites);
    let list = sites.leipzig.write("known_hosts", &known_hosts);
    let before = [KernelState::of(&sites.leipzig), KernelState::of(&sites.berlin)];
    let line = fails(&sites.leipzig, 255, &mut sites.connect(key, options, "root@192.0.2.1"));
    before[0].is_back(&sites.leipzig);
    before[1].is_back(&sites.berlin);
    assert_eq!(fs::read_to_string(list).unwrap(), known_hosts, "the list of known hosts is unchanged");
    server.stop();
    line
}

fn known(sites: &Sites) -> String {
    format!("[192.0.2.1]:2222 {}\n", sites.keys.public("host"))
}

#[test]
fn a_key_that_is_not_authorized_is_refused() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = refusal("stranger", &["StrictHostKeyChecking=yes"], known);
    says(&line, &["permission denied", "root", "192.0.2.1", "stranger", "authorized_keys"]);
}

#[test]
fn an_unknown_host_key_is_refused_when_checking_is_strict() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = refusal("id", &["StrictHostKeyChecking=yes"], |_| String::new());
    says(&line, &["192.0.2.1", "known", "SHA256:"]);
}

#[test]
fn an_unknown_host_key_is_refused_when_there_is_nobody_to_ask() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = refusal("id", &["StrictHostKeyChecking=ask"], |_| String::new());
    says(&line, &["192.0.2.1", "SHA256:"]);
}

#[test]
fn a_host_key_that_has_changed_is_refused() {
    if !are_met(&["setsid"]) {
        return;
    }
    for checking in ["StrictHostKeyChecking=yes", "StrictHostKeyChecking=accept-new"] {
        let line = refusal("id", &[checking], |sites| {
            format!("# another\n[192.0.2.1]:2222 {}\n", sites.keys.public("stranger"))
        });
        says(&line, &["192.0.2.1", "changed", "known_hosts", "SHA256:"]);
    }
}

#[test]
fn a_revoked_host_key_is_refused() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = refusal("id", &["StrictHostKeyChecking=no"], |sites| {
        format!("{}@revoked * {}\n", known(sites), sites.keys.public("host"))
    });
    says(&line, &["192.0.2.1", "revoked", "known_hosts"]);
}

/// What a link says when the server's host key is swapped while it is up, with these known hosts.
fn swapped(known_hosts: &str) -> String {
    let sites = Sites::new();
    let before = KernelState::of(&sites.leipzig);
    let server = sites.server();
    let own = format!("user-known-hosts-file: {}", sites.leipzig.path("known_hosts").display());
    let link = sites.link("").replace(&own, &format!("user-known-hosts-file: {known_hosts}"));
    let mut daemon = Daemon::start(&sites.leipzig, &format!("links:\n  berlin: {link}\n"));
    daemon.process.wait_for("up device");
    server.kill();
    let impostor = sites.server_section("addresses: [10.77.0.1/24]").replace(
        &format!("host-keys: [{}]", sites.keys.path("host").display()),
        &format!("host-keys: [{}]", sites.keys.path("stranger").display()),
    );
    let impostor = Daemon::start(&sites.berlin, &impostor);
    daemon.process.wait_for("the host key of [192.0.2.1]:2222 has changed");
    assert!(!sites.berlin.has_interface("tap0"), "{}", impostor.process.log());
    let log = daemon.process.log();
    daemon.stop();
    impostor.stop();
    before.is_back(&sites.leipzig);
    log
}

#[test]
fn t5_a_swapped_host_key_is_noticed_without_known_hosts_that_can_be_written() {
    if !are_met(&[]) {
        return;
    }
    for unwritable in ["/proc/nowhere/known_hosts", "/sys/known_hosts"] {
        let log = swapped(unwritable);
        says(&log, &[unwritable, "it is kept in", "state/known_hosts"]);
    }
}

#[test]
fn t5_a_swapped_host_key_is_noticed_without_any_known_hosts() {
    if !are_met(&[]) {
        return;
    }
    let log = swapped("/dev/null");
    says(&log, &["is held to it while this process lives", "to this process it has been"]);
}

#[test]
fn t5_known_hosts_that_cannot_be_read_or_written_refuse() {
    if !are_met(&["setsid"]) {
        return;
    }
    for (known_hosts, words) in [
        ("/proc/nowhere/known_hosts", &["cannot read the known hosts file", "state-connect/known_hosts"]),
        ("/proc/self/mem", &["cannot read the known hosts file", "/proc/self/mem"]),
        ("/", &["cannot read the known hosts file", "is a directory"]),
        ("/dev/zero", &["cannot read the known hosts file", "/dev/zero"]),
    ] {
        let sites = Sites::new();
        let server = sites.server();
        // No place to keep keys in either.
        fs::create_dir_all(sites.leipzig.path("state-connect/known_hosts")).unwrap();
        let known_hosts = format!("UserKnownHostsFile={known_hosts}");
        let options = ["StrictHostKeyChecking=accept-new", &known_hosts];
        let line = fails(&sites.leipzig, 255, &mut sites.connect("id", &options, "root@192.0.2.1"));
        says(&line.to_lowercase(), words);
        server.stop();
    }
}
