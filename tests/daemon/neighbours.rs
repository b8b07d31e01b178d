//! What hosts beside a link know of those behind it.

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, Ssh, are_met, eventually, veth};

use crate::kernel_state::{Interface, has_carrier};
use crate::sites::{Daemon, Sites};

/// A stock client whose tap is another one each time; its Ethernet address.
fn stock_link(sites: &Sites) -> (tapline_tests::Process, String) {
    let ssh = Ssh::new(&sites.leipzig, &sites.keys.path("id"))
        .option("Tunnel=ethernet")
        .option("ExitOnForwardFailure=yes")
        .start("-w 5:any -p 2222 root@192.0.2.1");
    eventually("ssh has its device", || sites.leipzig.has_interface("tap5"));
    sites.leipzig.run("ip address add 10.77.0.2/24 dev tap5");
    sites.leipzig.run("ip link set tap5 up");
    let link = sites.leipzig.run("ip -o link show tap5");
    let mac = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    (ssh, mac)
}

/// A link that breaks and comes back with another station behind it, `interface` being where berlin has its address.
fn comes_back_as_another(sites: &Sites, interface: &str) {
    let berlin = &sites.berlin;
    let knows = |mac: &str| berlin.run(&format!("ip neighbour show dev {interface}")).contains(mac);
    let (mut ssh, before) = stock_link(sites);
    eventually("a ping through the link", || berlin.succeeds("ping -c1 -W1 10.77.0.2"));
    assert!(knows(&before));
    ssh.signal(Signal::SIGKILL);
    ssh.ended();
    let (_ssh, after) = stock_link(sites);
    assert_ne!(before, after);
    // Nobody asks for it meanwhile, so that it would stay for minutes.
    eventually("the neighbour that is gone is forgotten", || !knows(&before));
    eventually("a ping through the new link", || berlin.succeeds("ping -c1 -W1 10.77.0.2"));
    assert!(knows(&after));
}

#[test]
fn n5_an_addressed_tap_forgets_who_was_behind_it() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let _server = Daemon::start(&sites.berlin, &sites.server_section("addresses: [10.77.0.1/24]"));
    comes_back_as_another(&sites, "tap0");
}

#[test]
fn n5_a_bridge_forgets_who_was_behind_a_port_and_nobody_else() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let lan = Namespace::new("lan");
    veth((&sites.berlin, "eth1", ""), (&lan, "lan0", "10.77.0.9/24"));
    let text = format!(
        "{}bridges:\n  br-lab: {{interfaces: [eth1], addresses: [10.77.0.1/24]}}\n",
        sites.server_section("bridge: br-lab")
    );
    let _server = Daemon::start(&sites.berlin, &text);
    eventually("a ping to the port's host", || sites.berlin.succeeds("ping -c1 -W1 10.77.0.9"));
    let of_lan = || sites.berlin.run("ip neighbour show 10.77.0.9 dev br-lab");
    let lan_mac = of_lan().split("lladdr ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    comes_back_as_another(&sites, "br-lab");
    assert!(of_lan().contains(&lan_mac), "{}", of_lan());
}

#[test]
fn n4_a_bridge_keeps_its_address_while_links_come_and_go() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let lan = Namespace::new("lan");
    veth((&sites.leipzig, "eth1", ""), (&lan, "lan0", "10.77.0.9/24"));
    sites.leipzig.run("ip link add br-found type bridge");
    sites.leipzig.run("ip link set eth1 master br-found");
    sites.leipzig.run("ip link set br-found up");
    let mac = |bridge: &str| Interface::of(&sites.leipzig, bridge).identity().1;
    let found = mac("br-found");
    let _server = sites.server();
    let with = |links: &str| {
        format!("links: {links}\nbridges:\n  br-lab: {{addresses: [10.99.0.1/24]}}\n  br-found: {{}}\n")
    };
    let link = |bridge: &str| format!("{{berlin: {}}}", sites.link(&format!(", bridge: {bridge}")));
    let mut daemon = Daemon::start(&sites.leipzig, &with("{}"));
    let ours = mac("br-lab");
    for links in [link("br-lab"), link("br-found"), "{}".to_owned(), link("br-lab")] {
        sites.leipzig.write("tapline.yaml", &with(&links));
        daemon.process.signal(Signal::SIGHUP);
        daemon.becomes_ready();
        eventually("the link", || links == "{}" || has_carrier(&sites.leipzig, "tap0"));
        if links != "{}" {
            assert!(mac("tap0").starts_with("fe:"), "{}", mac("tap0"));
        }
        assert_eq!((mac("br-lab"), mac("br-found")), (ours.clone(), found.clone()), "{links}");
    }
    daemon.stop();
    assert_eq!(mac("br-found"), found);
}
