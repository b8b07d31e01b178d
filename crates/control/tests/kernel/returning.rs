//! Ports of bridges that come, go and come back.

use std::process::Command;
use std::time::{Duration, Instant};

use tapline_control::{
    Bridge, BridgeParameters, Controller, Desired, Interface, MacAddress,
    namespace::{Namespace, WireEnd, wire},
};

use crate::{Hosts, controlled, hosts, link, name, nets};

const PATIENCE: Duration = Duration::from_secs(10);

/// `br-lab` with addresses, made with an address of its own, and these ports.
fn lab(ports: &[&str], stp: bool) -> Desired {
    let bridge = Bridge {
        interfaces: ports.iter().map(|port| name(port)).collect(),
        parameters: BridgeParameters { stp: Some(stp), ..BridgeParameters::default() },
        settings: Interface { addresses: nets(&["192.0.2.1/24"]), ..Interface::default() },
        created_with: Some(MacAddress([2, 0, 0x5e, 0, 0x53, 1])),
    };
    Desired { bridges: [(name("br-lab"), bridge)].into(), ..Desired::default() }
}

fn second_wire(hosts: &Hosts) {
    let end = |namespace| WireEnd::new(namespace, name("eth1"));
    wire(&end(&hosts.here), &end(&hosts.there)).unwrap();
}

fn set(namespace: &Namespace, interface: &str, settings: Interface) {
    let desired = Desired { interfaces: [(name(interface), settings)].into(), ..Desired::default() };
    namespace.configure(&desired).unwrap();
}

/// Pulls and plugs the wire of `interface`.
fn flap(hosts: &Hosts, interface: &str) {
    set(&hosts.there, interface, Interface { up: Some(false), ..Interface::default() });
    set(&hosts.there, interface, Interface::default());
}

fn ip(namespace: &Namespace, line: &str) -> String {
    let output = namespace.run(|| Command::new("ip").args(line.split(' ')).output().unwrap()).unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn carrier_of(controller: &Controller, interface: &str) {
    carrier_becomes(controller, interface, true).await;
}

async fn carrier_becomes(controller: &Controller, interface: &str, carrier: bool) {
    let deadline = Instant::now() + PATIENCE;
    while link(controller, interface).await.carrier != carrier {
        assert!(Instant::now() < deadline, "the carrier of {interface} does not become {carrier}");
        tokio::task::yield_now().await;
    }
}

#[test]
fn n4_a_bridge_of_ours_keeps_its_address_whatever_joins_and_leaves() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    let low = MacAddress([0, 0, 0, 0, 0, 1]);
    set(&hosts.here, "eth1", Interface { macaddress: Some(low), ..Interface::default() });
    controlled(&hosts.here, async |mut controller| {
        let ours = Some(MacAddress([2, 0, 0x5e, 0, 0x53, 1]));
        for ports in [&["eth0"][..], &["eth0", "eth1"], &["eth1"], &[], &["eth0"]] {
            controller.reconcile(&lab(ports, false)).await.unwrap();
            assert_eq!(link(&controller, "br-lab").await.macaddress, ours, "{ports:?}");
        }
        controller.remove_all().await.unwrap();
    });
}

#[test]
fn n4_a_high_address_leaves_a_found_bridge_its_own() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    ip(&hosts.here, "link add br0 type bridge");
    ip(&hosts.here, "link set eth0 master br0");
    let high = MacAddress([0xfe, 0, 0, 0, 0, 1]);
    controlled(&hosts.here, async |mut controller| {
        let before = link(&controller, "br0").await.macaddress;
        assert!(before < Some(high));
        let port = Interface { macaddress: Some(high), bridge: Some(name("br0")), ..Interface::default() };
        let desired = Desired { interfaces: [(name("eth1"), port)].into(), ..Desired::default() };
        controller.reconcile(&desired).await.unwrap();
        assert_eq!(link(&controller, "eth1").await.controller, Some(name("br0")));
        assert_eq!(link(&controller, "br0").await.macaddress, before);
        controller.remove_all().await.unwrap();
        assert_eq!(link(&controller, "br0").await.macaddress, before);
    });
}

#[test]
fn n5_the_neighbours_behind_a_port_that_was_gone_are_forgotten() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    let behind_eth1 = MacAddress([2, 0, 0, 0, 0, 0x31]);
    set(&hosts.there, "eth1", Interface { macaddress: Some(behind_eth1), ..Interface::default() });
    controlled(&hosts.here, async |mut controller| {
        controller.reconcile(&lab(&["eth0", "eth1"], false)).await.unwrap();
        for (address, station, state) in [
            ("192.0.2.10", "02:00:00:00:00:10", "reachable"),
            ("192.0.2.11", "02:00:00:00:00:11", "stale"),
            ("192.0.2.12", "02:00:00:00:00:12", "permanent"),
            ("192.0.2.13", "02:00:00:00:00:31", "reachable"),
            ("fd77::10", "02:00:00:00:00:10", "reachable"),
        ] {
            ip(&hosts.here, &format!("neighbour replace {address} lladdr {station} nud {state} dev br-lab"));
        }
        // The bridge has seen this one behind the other port, and those behind this one no more.
        bridge(&hosts.here, "fdb replace 02:00:00:00:00:31 dev eth1 master dynamic");
        bridge(&hosts.here, "fdb replace 02:00:00:00:00:10 dev eth0 master dynamic");
        flap(&hosts, "eth0");
        carrier_of(&controller, "eth0").await;
        let returned = controller.port_returned(&name("eth0")).await.unwrap();
        let left = ip(&hosts.here, "neighbour show dev br-lab nud all");
        for (address, stays) in [
            ("192.0.2.10 ", false),
            ("192.0.2.11 ", false),
            ("fd77::10 ", false),
            ("192.0.2.12 ", true),
            ("192.0.2.13 ", true),
        ] {
            assert_eq!(left.contains(address), stays, "{address}: {left}");
        }
        assert!(returned.forgotten >= 3, "{returned:?}");
        controller.remove_all().await.unwrap();
    });
}

fn bridge(namespace: &Namespace, line: &str) {
    let output = namespace.run(|| Command::new("bridge").args(line.split(' ')).output().unwrap()).unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn u6_a_port_that_can_make_no_loop_forwards_at_once() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    set(&hosts.there, "eth1", Interface { up: Some(false), ..Interface::default() });
    controlled(&hosts.here, async |mut controller| {
        controller.reconcile(&lab(&["eth0", "eth1"], true)).await.unwrap();
        for _ in 0..3 {
            carrier_of(&controller, "eth0").await;
            assert!(!link(&controller, "br-lab").await.carrier, "the port listens");
            // The bridge hears of the carrier a moment later.
            let deadline = Instant::now() + PATIENCE;
            while !controller.port_returned(&name("eth0")).await.unwrap().forwards {
                assert!(Instant::now() < deadline, "the port waits");
            }
            let bridge = link(&controller, "br-lab").await;
            assert!(bridge.carrier, "the port forwards");
            assert_eq!(bridge.bridge.unwrap().stp, Some(true));
            assert!(!controller.port_returned(&name("eth0")).await.unwrap().forwards, "it does already");
            set(&hosts.there, "eth0", Interface { up: Some(false), ..Interface::default() });
            carrier_becomes(&controller, "br-lab", false).await;
            set(&hosts.there, "eth0", Interface::default());
        }
        // With another way out a loop is possible, and the spanning tree has its time.
        carrier_of(&controller, "eth0").await;
        set(&hosts.there, "eth1", Interface::default());
        carrier_of(&controller, "eth1").await;
        assert!(!controller.port_returned(&name("eth0")).await.unwrap().forwards);
        assert!(!controller.port_returned(&name("eth1")).await.unwrap().forwards);
        assert_eq!(controller.reconcile(&lab(&["eth0", "eth1"], true)).await.unwrap().changes, []);
        controller.remove_all().await.unwrap();
    });
}

#[test]
fn u6_a_found_bridge_is_not_hurried() {
    let Some(hosts) = hosts() else { return };
    ip(&hosts.here, "link add br-lab up type bridge stp_state 1");
    ip(&hosts.here, "link set eth0 master br-lab");
    controlled(&hosts.here, async |mut controller| {
        controller.reconcile(&lab(&["eth0"], true)).await.unwrap();
        carrier_of(&controller, "eth0").await;
        assert!(!controller.port_returned(&name("eth0")).await.unwrap().forwards);
        assert!(!link(&controller, "br-lab").await.carrier);
    });
}

#[test]
fn n9_a_port_with_a_smaller_mtu_is_announced() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    controlled(&hosts.here, async |mut controller| {
        controller.reconcile(&lab(&["eth0"], false)).await.unwrap();
        let with_port = |mtu| {
            let mut desired = lab(&["eth0"], false);
            let port = Interface { mtu: Some(mtu), bridge: Some(name("br-lab")), ..Interface::default() };
            desired.interfaces.insert(name("eth1"), port);
            desired
        };
        let same = controller.reconcile(&with_port(1500)).await.unwrap();
        assert_eq!(same.narrow, []);
        for mtu in [1400, 1280, 576, 68] {
            let said = controller.reconcile(&with_port(mtu)).await.unwrap().narrow;
            assert_eq!(said.len(), 1, "{said:?}");
            let words = said[0].to_string();
            assert!(words.contains(&format!("to {mtu} with its port eth1")), "{words}");
            assert_eq!(controller.reconcile(&with_port(mtu)).await.unwrap().narrow, [], "said once");
        }
        let wider = controller.reconcile(&with_port(9000)).await.unwrap();
        assert_eq!(wider.narrow, [], "a wider one takes nothing away");
        controller.remove_all().await.unwrap();
    });
}

#[test]
fn n9_a_bridge_whose_mtu_is_set_keeps_it_and_the_port_is_announced() {
    let Some(hosts) = hosts() else { return };
    second_wire(&hosts);
    controlled(&hosts.here, async |mut controller| {
        let mut desired = lab(&["eth0"], false);
        desired.bridges.get_mut(&name("br-lab")).unwrap().settings.mtu = Some(1500);
        let port = Interface { mtu: Some(1400), bridge: Some(name("br-lab")), ..Interface::default() };
        desired.interfaces.insert(name("eth1"), port);
        let said = controller.reconcile(&desired).await.unwrap().narrow;
        let has = link(&controller, "br-lab").await.mtu;
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].bridge_has, has);
        assert!(said[0].to_string().contains("eth1"), "{}", said[0]);
        controller.remove_all().await.unwrap();
    });
}
