//! Links that break and come back: device, addresses and bridge port stay, the carrier goes off and on.

use tapline_tests::{Namespace, are_met, eventually, veth};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites};

fn pings(host: &Namespace, address: &str) {
    eventually(&format!("a ping to {address}"), || host.succeeds(&format!("ping -c1 -W1 {address}")));
}

fn bridged(sites: &Sites) -> String {
    format!(
        "links:\n  berlin: {}\nbridges:\n  br-lab: {{addresses: [10.77.0.2/24, 'fd77::2/64']}}\n",
        sites.link(", bridge: br-lab"),
    )
}

#[test]
fn a_server_that_dies_is_found_again() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let server = sites.server();
    let daemon = Daemon::start(&sites.leipzig, &bridged(&sites));
    pings(&sites.leipzig, "10.77.0.1");
    let tap = Interface::of(&sites.leipzig, "tap0").identity();
    assert_eq!(tap.2.as_deref(), Some("br-lab"));

    server.kill();
    eventually("the carrier goes off", || !has_carrier(&sites.leipzig, "tap0"));
    assert_eq!(Interface::of(&sites.leipzig, "tap0").identity(), tap);

    let server = sites.server();
    eventually("the carrier comes on", || has_carrier(&sites.leipzig, "tap0"));
    assert_eq!(Interface::of(&sites.leipzig, "tap0").identity(), tap);
    pings(&sites.leipzig, "10.77.0.1");
    pings(&sites.leipzig, "fd77::1");

    daemon.stop();
    server.stop();
    before[1].is_back(&sites.leipzig);
    before[0].is_back(&sites.berlin);
}

#[test]
fn an_underlay_that_goes_silent_is_noticed_and_survived() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    // A router between the hosts, so that their own interfaces stay up when the path is cut.
    let router = Namespace::new("router");
    sites.leipzig.run("ip link del eth0");
    veth((&sites.leipzig, "eth0", "192.0.2.2/24"), (&router, "left", ""));
    veth((&router, "right", ""), (&sites.berlin, "eth0", "192.0.2.1/24"));
    for line in [
        "ip link add path type bridge",
        "ip link set path up",
        "ip link set left master path",
        "ip link set right master path",
    ] {
        router.run(line);
    }
    let server = sites.server();
    let configuration =
        format!("links:\n  berlin: {}\n", sites.link(", addresses: [10.77.0.2/24, 'fd77::2/64']"));
    let daemon = Daemon::start(&sites.leipzig, &configuration);
    pings(&sites.leipzig, "10.77.0.1");
    let here = Interface::of(&sites.leipzig, "tap0").identity();
    let there = Interface::of(&sites.berlin, "tap0").identity();
    assert_eq!(there.3, ["10.77.0.1/24", "fd77::1/64"]);

    router.run("ip link set path down");
    eventually("the carrier goes off", || !has_carrier(&sites.leipzig, "tap0"));
    assert_eq!(Interface::of(&sites.leipzig, "tap0").identity(), here);
    router.run("ip link set path up");
    eventually("the carrier comes on", || has_carrier(&sites.leipzig, "tap0"));
    pings(&sites.leipzig, "10.77.0.1");
    pings(&sites.leipzig, "fd77::1");
    // Also on the side that had not noticed: its old session gave way to the new one.
    assert_eq!(Interface::of(&sites.leipzig, "tap0").identity(), here);
    assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), there);
    assert!(!sites.berlin.has_interface("tap1"));
    daemon.stop();
    server.stop();
}

#[test]
fn the_accepting_side_keeps_the_device_of_a_peer() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let configuration =
        sites.server_section("bridge: br-lab") + "bridges:\n  br-lab: {addresses: [10.77.0.1/24]}\n";
    let server = Daemon::start(&sites.berlin, &configuration);
    let link = format!("links:\n  berlin: {}\n", sites.link(", addresses: [10.77.0.2/24]"));

    let mut tap = None;
    // Once with a good-bye, once without.
    for kill in [false, true, false] {
        let daemon = Daemon::start(&sites.leipzig, &link);
        pings(&sites.leipzig, "10.77.0.1");
        let now = Interface::of(&sites.berlin, "tap0").identity();
        assert_eq!(now.2.as_deref(), Some("br-lab"));
        assert_eq!(*tap.get_or_insert_with(|| now.clone()), now);
        if kill {
            daemon.kill();
        } else {
            daemon.stop();
        }
        eventually("the carrier goes off", || !has_carrier(&sites.berlin, "tap0"));
        assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), now);
    }
    server.stop();
    before[1].is_back(&sites.leipzig);
    before[0].is_back(&sites.berlin);
}
