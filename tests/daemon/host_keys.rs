//! Who is let in, and which server is believed.

use std::fs;

use tapline_tests::are_met;

use crate::kernel_state::KernelState;
use crate::sites::{Sites, fails, says};

/// What `tapline connect` says when it must not connect, with this list of known hosts.
fn refusal(key: &str, options: &[&str], known_hosts: impl FnOnce(&Sites) -> String) -> String {
    let sites = Sites::new();
    let server = sites.server();
    let known_hosts = known_hosts(&sites);
    let list = sites.leipzig.write("known_hosts", &known_hosts);
    let before = [KernelState::of(&sites.leipzig), KernelState::of(&sites.berlin)];
    let line = fails(&sites.leipzig, 1, &mut sites.connect(key, options, "root@192.0.2.1"));
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
