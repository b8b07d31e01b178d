//! Links whose routes or addresses cover the way to their own server, and devices that a killed daemon leaves.

use nix::sys::signal::Signal;
use tapline_tests::{are_met, eventually};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites, calm};

/// What a link to berlin has that takes over the way to berlin, and what leipzig does without it.
const COVERING: [&str; 6] = [
    "addresses: [10.77.0.2/24], routes: [{to: 0.0.0.0/1, via: 10.77.0.1}, {to: 128.0.0.0/1, via: 10.77.0.1}]",
    "addresses: [10.77.0.2/24], routes: [{to: default, via: 10.77.0.1, metric: 1}]",
    "addresses: [10.77.0.2/24], routes: [{to: 192.0.2.0/26, via: 10.77.0.1}]",
    "addresses: [10.77.0.2/24], routes: [{to: 192.0.2.1/32, metric: 5}]",
    "addresses: [10.77.0.2/24], routes: [{to: 192.0.2.1/32}]",
    "addresses: [10.77.0.2/24, 192.0.2.100/25]",
];

/// Leipzig has a default route and no network in common with berlin.
fn routed() -> Sites {
    let sites = Sites::new();
    for line in [
        "ip address del 192.0.2.2/24 dev eth0",
        "ip address add 192.0.2.2/32 dev eth0",
        "ip route add default via 192.0.2.1 dev eth0 onlink metric 50",
    ] {
        sites.leipzig.run(line);
    }
    sites
}

#[test]
fn n6_the_connection_stays_outside_of_its_link() {
    if !are_met(&[]) {
        return;
    }
    let sites = routed();
    let before = KernelState::of(&sites.leipzig);
    let _server = sites.server();
    for covering in COVERING {
        let links = format!("links:\n  berlin: {}\n", sites.link(&format!(", {covering}")));
        let daemon = Daemon::start(&sites.leipzig, &links);
        let way = || sites.leipzig.run("ip route get 192.0.2.1");
        eventually(covering, || has_carrier(&sites.leipzig, "tap0"));
        assert!(way().contains("dev eth0"), "{covering}: {}", way());
        assert!(sites.leipzig.run("ip route show proto 116").contains("192.0.2.1 "), "{covering}");
        eventually("a ping through the link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
        // Nothing is remembered of the server but its host route.
        sites.leipzig.run("ip neighbour flush dev eth0");
        eventually("another ping", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
        daemon.stop();
        before.is_back(&sites.leipzig);
    }
}

#[test]
fn n6_the_way_outside_follows_the_underlay_and_a_crash_leaves_none() {
    if !are_met(&[]) {
        return;
    }
    let sites = routed();
    let before = KernelState::of(&sites.leipzig);
    let _server = sites.server();
    let links = format!("links:\n  berlin: {}\n", sites.link(&format!(", {}", COVERING[1])));
    let mut daemon = Daemon::start(&sites.leipzig, &links);
    eventually("the link", || has_carrier(&sites.leipzig, "tap0"));
    daemon.process.signal(Signal::SIGKILL);
    daemon.process.ended();
    assert!(sites.leipzig.run("ip route show proto 116").contains("192.0.2.1 "), "left by the killed daemon");
    let daemon = Daemon::start(&sites.leipzig, "links: {}\n");
    before.is_back(&sites.leipzig);
    daemon.stop();

    let daemon = Daemon::start(&sites.leipzig, &links);
    eventually("the link again", || has_carrier(&sites.leipzig, "tap0"));
    sites.leipzig.run("ip link set eth0 down");
    eventually("the link is down", || !has_carrier(&sites.leipzig, "tap0"));
    sites.leipzig.run("ip link set eth0 up");
    sites.leipzig.run("ip route add default via 192.0.2.1 dev eth0 onlink metric 50");
    eventually("the link once more", || has_carrier(&sites.leipzig, "tap0"));
    assert!(sites.leipzig.run("ip route get 192.0.2.1").contains("dev eth0"));
    daemon.stop();
    before.is_back(&sites.leipzig);
}

#[test]
fn n6_the_interface_that_leads_to_the_server_joins_no_bridge() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.leipzig);
    let _server = sites.server();
    let text = format!(
        "links:\n  berlin: {}\nbridges:\n  br-lab: {{interfaces: [eth0], addresses: [10.77.0.2/24]}}\n",
        sites.link(", bridge: br-lab")
    );
    let mut daemon = Daemon::start(&sites.leipzig, &text);
    daemon.process.wait_for("eth0 is left out of bridge br-lab");
    eventually("the link", || has_carrier(&sites.leipzig, "tap0"));
    assert_eq!(Interface::of(&sites.leipzig, "eth0").bridge(), None);
    eventually("a ping through the link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
    daemon.stop();
    before.is_back(&sites.leipzig);
}

#[test]
fn n14_offloads_of_a_killed_daemon_are_cleared_by_the_next() {
    if !are_met(&["ethtool"]) {
        return;
    }
    let sites = Sites::new();
    sites.leipzig.run("ip tuntap add dev tap7 mode tap");
    let segments = || sites.leipzig.run("ethtool -k tap7").contains("tcp-segmentation-offload: on");
    let before = segments();
    let _server = sites.server();
    let links =
        format!("links:\n  berlin: {}\n", sites.link(", tunnel-device: 7, addresses: [10.77.0.2/24]"));
    let mut daemon = Daemon::start(&sites.leipzig, &links);
    eventually("the link", || has_carrier(&sites.leipzig, "tap7"));
    assert!(segments());
    daemon.process.signal(Signal::SIGKILL);
    daemon.process.ended();
    assert!(segments(), "as the kernel leaves it");
    // A daemon that has nothing to do with the device.
    let daemon = Daemon::start(&sites.leipzig, "links: {}\n");
    assert_eq!(segments(), before);
    let log = daemon.process.log();
    daemon.stop();
    calm(&log);
}
