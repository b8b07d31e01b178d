//! What the daemon adds it removes, and what it found stays.

use std::fs;

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, are_met, eventually, veth};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites, calm};

/// Leipzig with a port for its bridge, a bridge of the administrator's, and addresses everywhere.
fn furnished() -> (Sites, Namespace) {
    let sites = Sites::new();
    let lan = Namespace::new("lan");
    veth((&sites.leipzig, "eth1", ""), (&lan, "lan0", "10.77.0.9/24"));
    for line in [
        "ip address add 198.51.100.5/24 dev eth1",
        // Without an address of the kernel's, whose routes come when it has been found unique.
        "ip link add br-found type bridge",
        "ip link set br-found addrgenmode none",
        "ip address add 10.88.0.1/24 dev br-found",
        "ip address add 10.88.0.2/24 dev br-found",
        "ip address add fd88::1/64 dev br-found nodad",
        "ip link set br-found up",
        "ip route add 203.0.113.0/24 via 10.88.0.7",
    ] {
        sites.leipzig.run(line);
    }
    (sites, lan)
}

/// A link in a bridge with eth1, one with addresses and routes of its own, and more for the administrator's bridge.
fn configuration(sites: &Sites) -> String {
    format!(
        "links:\n  berlin: {}\n  nowhere: {{host: 192.0.2.99, identity-file: /nonexistent, connect-timeout: 1, \
         tunnel-device: 9, addresses: [10.99.0.1/24, 'fd99::1/64'], routes: [{{to: 10.98.0.0/16, via: 10.99.0.2}}]}}\n\
         bridges:\n  br-lab: {{interfaces: [eth1], addresses: [10.77.0.2/24, 'fd77::2/64']}}\n  \
         br-found: {{addresses: [10.88.0.2/24, 10.88.0.3/24, 'fd88::2/64'], mtu: 1400}}\n",
        sites.link(", bridge: br-lab"),
    )
}

fn is_up(sites: &Sites) {
    let leipzig = &sites.leipzig;
    eventually("the link to berlin", || has_carrier(leipzig, "tap0"));
    for name in ["tap0", "eth1"] {
        assert_eq!(Interface::of(leipzig, name).bridge(), Some("br-lab"), "{name}");
    }
    assert_eq!(Interface::of(leipzig, "br-lab").addresses(), ["10.77.0.2/24", "fd77::2/64"]);
    assert_eq!(Interface::of(leipzig, "tap9").addresses(), ["10.99.0.1/24", "fd99::1/64"]);
    let mut addresses = Interface::of(leipzig, "br-found").addresses();
    addresses.sort();
    assert_eq!(addresses, ["10.88.0.1/24", "10.88.0.2/24", "10.88.0.3/24", "fd88::1/64", "fd88::2/64"]);
    assert!(leipzig.run("ip route").contains("10.98.0.0/16 via 10.99.0.2"));
    eventually("a ping through the link", || leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
}

#[test]
fn sigterm_removes_what_was_added_and_nothing_else() {
    if !are_met(&[]) {
        return;
    }
    let (sites, lan) = furnished();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let server = sites.server();
    let daemon = Daemon::start(&sites.leipzig, &configuration(&sites));
    is_up(&sites);
    eventually("a ping from the port's host through the link", || lan.succeeds("ping -c1 -W1 10.77.0.1"));
    daemon.stop();
    before[1].is_back(&sites.leipzig);
    assert!(!sites.leipzig.path("state").join("network.json").exists(), "nothing is owned any more");
    server.stop();
    before[0].is_back(&sites.berlin);
}

#[test]
fn a_daemon_after_one_that_was_killed_starts_and_ends_cleanly() {
    if !are_met(&[]) {
        return;
    }
    let (sites, _lan) = furnished();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    for _ in 0..2 {
        let server = sites.server();
        let daemon = Daemon::start(&sites.leipzig, &configuration(&sites));
        is_up(&sites);
        daemon.kill();
        server.kill();
        // There is something to find: the kernel removes devices with their owner, not bridges.
        assert!(sites.leipzig.has_interface("br-lab"));
    }
    let server = sites.server();
    let daemon = Daemon::start(&sites.leipzig, &configuration(&sites));
    is_up(&sites);
    daemon.stop();
    before[1].is_back(&sites.leipzig);
    server.stop();
    before[0].is_back(&sites.berlin);
}

#[test]
fn leftovers_go_even_if_the_next_configuration_lacks_them() {
    if !are_met(&[]) {
        return;
    }
    let (sites, _lan) = furnished();
    let before = KernelState::of(&sites.leipzig);
    Daemon::start(&sites.leipzig, &configuration(&sites)).kill();
    let daemon = Daemon::start(&sites.leipzig, "bridges: {}\n");
    before.is_back(&sites.leipzig);
    daemon.stop();
    before.is_back(&sites.leipzig);
}

#[test]
fn what_others_removed_meanwhile_is_no_error() {
    if !are_met(&[]) {
        return;
    }
    let (sites, _lan) = furnished();
    let before = KernelState::of(&sites.leipzig);
    let daemon = Daemon::start(&sites.leipzig, &configuration(&sites));
    sites.leipzig.run("ip address del 10.88.0.3/24 dev br-found");
    sites.leipzig.run("ip link del br-lab");
    daemon.stop();
    before.is_back(&sites.leipzig);
}

#[test]
fn connect_ends_as_cleanly() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let server = sites.server();
    let before = KernelState::of(&sites.leipzig);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut command = sites.connect("id", &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1");
        command.args(["--address", "10.77.0.2/24", "--mtu", "1400"]);
        let mut connect = sites.leipzig.start("tapline connect", &mut command);
        eventually("a ping through the link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
        connect.signal(signal);
        assert_eq!(connect.ended().code(), Some(0));
        calm(&connect.log());
        before.is_back(&sites.leipzig);
    }
    assert!(
        fs::read_dir(sites.leipzig.path("state-connect"))
            .unwrap()
            .all(|entry| { entry.unwrap().file_name() != "network.json" })
    );
    server.stop();
}
