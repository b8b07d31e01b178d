//! What is not there yet is waited for, and holds up nothing else: at start, at reload, and when it goes.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, are_met, eventually};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites, calm, run};

fn pings(host: &Namespace, address: &str) {
    eventually(&format!("a ping to {address}"), || host.succeeds(&format!("ping -c1 -W1 {address}")));
}

fn bridge_of(host: &Namespace, port: &str) -> Option<String> {
    Interface::find(host, port)?.bridge().map(str::to_owned)
}

/// Links that cannot be had for different reasons, beside one that can.
#[test]
fn y1_a_link_that_cannot_be_had_waits_and_the_others_run() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sites.server();
    let before = KernelState::of(leipzig);
    // Something else has the name.
    leipzig.run("ip link add tap5 type veth peer name peer5");
    let nowhere = "identity-file: /nonexistent, connect-timeout: 1";
    let configuration = format!(
        "links:\n  good: {}\n\
         \x20 taken: {{host: 192.0.2.99, {nowhere}, tunnel-device: 5}}\n\
         \x20 hop: {{host: 192.0.2.99, {nowhere}, tunnel-device: 8, addresses: [10.98.0.1/24], \
           routes: [{{to: 198.51.100.0/24, via: 10.97.0.2}}]}}\n\
         \x20 rival: {{host: 192.0.2.99, {nowhere}, tunnel-device: 9, routes: [{{to: 192.0.2.0/24}}]}}\n\
         bridges:\n  br-lab: {{interfaces: [eth7], addresses: [10.66.0.1/24]}}\n",
        sites.link(", tunnel-device: 3, addresses: [10.77.0.2/24]"),
    );
    let mut daemon = Daemon::start(leipzig, &configuration);
    pings(leipzig, "10.77.0.1");
    for words in ["link taken: the name tap5 is taken", "10.97.0.2", "interface eth7 is not there"] {
        daemon.process.wait_for(words);
    }
    assert_eq!(Interface::of(leipzig, "br-lab").addresses(), ["10.66.0.1/24"]);
    assert_eq!(Interface::of(leipzig, "tap8").addresses(), ["10.98.0.1/24"]);
    assert!(daemon.process.is_running());

    // Each of them comes.
    let ups = daemon.process.count(": up device=");
    leipzig.run("ip link del tap5");
    eventually("the device that was taken", || leipzig.has_interface("tap5"));
    leipzig.run("ip address add 10.97.0.1/24 dev tap8");
    eventually("the route", || leipzig.run("ip route").contains("198.51.100.0/24 via 10.97.0.2"));
    leipzig.run("ip link add eth7 type veth peer name peer7");
    eventually("the port", || bridge_of(leipzig, "eth7").as_deref() == Some("br-lab"));
    assert_eq!(daemon.process.count(": up device="), ups, "the good link was left alone");
    pings(leipzig, "10.77.0.1");

    daemon.stop();
    leipzig.run("ip link del eth7");
    before.is_back(leipzig);
    server.stop();
}

/// A file of ssh_config that cannot be used is the trouble of those links that need it, and of no others.
#[test]
fn y1_a_link_without_options_waits_and_the_server_runs() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let berlin = &sites.berlin;
    // A home of its own: ssh looks it up in the user database.
    let home = berlin.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    let ssh_config = home.join(".ssh/config");
    fs::write(&ssh_config, "Match host 192.0.2.99 nonsense\n").unwrap();
    let configuration = sites.server_section("addresses: [10.77.0.1/24]")
        + "links:\n  broken: {host: 192.0.2.99, identity-file: /nonexistent, tunnel-device: 4}\n";
    let mut daemon = berlin.start("tapline run", &mut at_home(&home, &run(berlin, &configuration)));
    daemon.wait_for("Server listening");
    daemon.wait_for("link broken: ");
    let link = format!("links:\n  berlin: {}\n", sites.link(", addresses: [10.77.0.2/24]"));
    let client = Daemon::start(&sites.leipzig, &link);
    pings(&sites.leipzig, "10.77.0.1");
    assert!(!berlin.has_interface("tap4"));
    fs::write(&ssh_config, "").unwrap();
    eventually("the link has its device", || berlin.has_interface("tap4"));
    client.stop();
    assert_eq!(daemon.terminate().code(), Some(0));
}

/// The command with this directory in the place of root's home.
fn at_home(home: &Path, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["-m", "sh", "-c", "mount --bind \"$0\" ~root && exec \"$@\""]).arg(home);
    inside.arg(command.get_program()).args(command.get_args()).env_remove("SSH_AUTH_SOCK");
    inside
}

#[test]
fn u9_a_port_that_is_missing_goes_and_comes_is_added_each_time() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    let mut daemon =
        Daemon::start(&host, "bridges:\n  br-lab: {interfaces: [eth1, eth2], addresses: [10.77.0.1/24]}\n");
    daemon.process.wait_for("interface eth1 is not there");
    daemon.process.wait_for("interface eth2 is not there");
    assert_eq!(Interface::of(&host, "br-lab").addresses(), ["10.77.0.1/24"]);
    for _ in 0..2 {
        for port in ["eth1", "eth2"] {
            let said = daemon.process.count(&format!("interface {port} is not there"));
            host.run(&format!("ip link add {port} type veth peer name peer"));
            host.run("ip link set peer up");
            eventually("the port is added", || bridge_of(&host, port).as_deref() == Some("br-lab"));
            eventually("the port is up", || Interface::of(&host, port).has_carrier());
            host.run(&format!("ip link del {port}"));
            eventually("it is said that the port is gone", || {
                daemon.process.count(&format!("interface {port} is not there")) > said
            });
        }
    }
    // Under another name it is not there, and back again it is.
    host.run("ip link add eth3 type veth peer name peer");
    host.run("ip link set eth3 name eth1");
    eventually("the renamed port", || bridge_of(&host, "eth1").as_deref() == Some("br-lab"));
    host.run("ip link del eth1");
    assert!(daemon.process.is_running());
    daemon.stop();
    before.is_back(&host);
}

#[test]
fn n12_listen_addresses_that_come_later_are_waited_for() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let berlin = &sites.berlin;
    let before = KernelState::of(berlin);
    berlin.run("ip address del 192.0.2.1/24 dev eth0");
    let mut daemon = Daemon::start(berlin, &sites.server_section("addresses: [10.77.0.1/24]"));
    daemon.process.wait_for("192.0.2.1:2222 is no address of this host");
    berlin.run("ip address add 192.0.2.1/24 dev eth0");
    daemon.process.wait_for("Server listening on 192.0.2.1 port 2222");
    let link = format!("links:\n  berlin: {}\n", sites.link(", addresses: [10.77.0.2/24]"));
    let client = Daemon::start(&sites.leipzig, &link);
    pings(&sites.leipzig, "10.77.0.1");
    assert_eq!(daemon.process.count("is no address of this host"), 1, "said once");
    client.stop();
    daemon.stop();
    before.is_back(berlin);
}

/// Berlin's server, listening on these.
fn listening(sites: &Sites, addresses: &str) -> String {
    sites
        .server_section("macaddress: '02:00:5e:77:01:01', addresses: [10.77.0.1/24]")
        .replace("listen: [192.0.2.1:2222]", &format!("listen: [{addresses}]"))
}

fn listens(host: &Namespace, address: &str) -> bool {
    let listening = host.run("ss -Hltn");
    listening.lines().any(|line| line.split_whitespace().nth(3) == Some(address))
}

#[test]
fn u1_reloads_of_listen_addresses_cut_no_link_and_keep_what_works() {
    if !are_met(&["ss"]) {
        return;
    }
    let sites = Sites::new();
    let berlin = &sites.berlin;
    let before = KernelState::of(berlin);
    let mut server = Daemon::start(berlin, &listening(&sites, "'192.0.2.1:2222'"));
    let link = format!("links:\n  berlin: {}\n", sites.link(", addresses: [10.77.0.2/24]"));
    let client = Daemon::start(&sites.leipzig, &link);
    pings(&sites.leipzig, "10.77.0.1");
    let other = berlin.enter(|| TcpListener::bind("127.0.0.1:2299").unwrap());
    let mut reload = |addresses: &str| {
        berlin.write("tapline.yaml", &listening(&sites, addresses));
        server.process.signal(Signal::SIGHUP);
        server.becomes_ready();
    };

    reload("'192.0.2.1:2222', '127.0.0.1:2223'");
    eventually("one more", || listens(berlin, "127.0.0.1:2223"));
    // One that is not here, one that is taken, and one more good one.
    reload("'192.0.2.1:2222', '192.0.2.77:2222', '127.0.0.1:2299', '127.0.0.1:2224'");
    for address in ["192.0.2.1:2222", "127.0.0.1:2224"] {
        assert!(listens(berlin, address), "{address}");
    }
    assert!(listens(berlin, "127.0.0.1:2223"), "kept until all that is wanted is there");
    // Nothing of the new file can be had: the old stays.
    reload("'192.0.2.77:2222'");
    assert!(listens(berlin, "192.0.2.1:2222"));
    // The same file, once more, when it can be.
    berlin.run("ip address add 192.0.2.77/32 dev eth0");
    reload("'192.0.2.77:2222', '192.0.2.1:2222'");
    eventually("the address that came", || listens(berlin, "192.0.2.77:2222"));
    eventually("the others go", || !listens(berlin, "127.0.0.1:2224") && !listens(berlin, "127.0.0.1:2223"));
    // A wildcard in the place of those that it covers, and back.
    reload("'0.0.0.0:2222'");
    eventually("all addresses", || listens(berlin, "0.0.0.0:2222"));
    assert!(!listens(berlin, "192.0.2.1:2222"));
    reload("'192.0.2.1:2222', '127.0.0.1:2299'");
    eventually("one address", || listens(berlin, "192.0.2.1:2222"));
    drop(other);
    eventually("the port that was taken", || listens(berlin, "127.0.0.1:2299"));

    pings(&sites.leipzig, "10.77.0.1");
    assert_eq!(client.process.count(": up device="), 1, "the link was never cut");
    assert!(!client.process.has_said(": down"));
    client.stop();
    berlin.run("ip address del 192.0.2.77/32 dev eth0");
    server.stop();
    before.is_back(berlin);
}

#[test]
fn t6_a_reload_that_cannot_be_had_stops_no_working_link() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let before = KernelState::of(leipzig);
    let server = sites.server();
    let addresses = "addresses: [10.77.0.2/24]";
    let link = |more: &str| format!("links:\n  berlin: {}\n", sites.link(&format!(", {addresses}{more}")));
    let mut daemon = Daemon::start(leipzig, &link(", tunnel-device: 3"));
    pings(leipzig, "10.77.0.1");
    let tap = Interface::of(leipzig, "tap3").identity();
    leipzig.run("ip link add tap5 type veth peer name peer5");
    let mut reload = |configuration: &str| {
        leipzig.write("tapline.yaml", configuration);
        daemon.process.signal(Signal::SIGHUP);
        daemon.becomes_ready();
    };
    let up = |count: usize, log: &str| assert_eq!(log.matches(": up device=").count(), count, "{log}");

    // A device that is no tap, a unit out of range, a server that cannot start, a bridge that is none.
    for configuration in [
        link(", tunnel-device: 5"),
        link(", tunnel-device: 3") + "bridges:\n  tap5: {addresses: [10.66.0.1/24]}\n",
        link(", tunnel-device: 3") + "server: {listen: ['127.0.0.1:2222'], host-keys: [/proc/none]}\n",
        link(", tunnel-device: 3") + "bridges:\n  br-lab: {interfaces: [eth9]}\n",
    ] {
        reload(&configuration);
        pings(leipzig, "10.77.0.1");
        assert_eq!(Interface::of(leipzig, "tap3").identity(), tap);
    }
    // What is to be otherwise but the device keeps it.
    reload(&link(", tunnel-device: 3, native: no"));
    eventually("the link is opened again", || has_carrier(leipzig, "tap3"));
    pings(leipzig, "10.77.0.1");
    assert_eq!(Interface::of(leipzig, "tap3").identity(), tap);
    reload(&link(", tunnel-device: 4"));
    eventually("the other device", || has_carrier(leipzig, "tap4"));
    assert!(!leipzig.has_interface("tap3"));
    pings(leipzig, "10.77.0.1");
    // Two links that swap their devices.
    let two = |one: u8, two: u8| {
        let nowhere = "host: 192.0.2.99, identity-file: /nonexistent, connect-timeout: 1";
        link(&format!(", tunnel-device: {one}"))
            + &format!("  nowhere: {{{nowhere}, tunnel-device: {two}, addresses: [10.98.0.1/24]}}\n")
    };
    reload(&two(4, 6));
    eventually("the second device", || leipzig.has_interface("tap6"));
    reload(&two(6, 4));
    eventually("the first link has the second's device", || {
        Interface::find(leipzig, "tap6").is_some_and(|tap| tap.addresses() == ["10.77.0.2/24"])
    });
    eventually("the second link has the first's device", || {
        Interface::find(leipzig, "tap4").is_some_and(|tap| tap.addresses() == ["10.98.0.1/24"])
    });
    pings(leipzig, "10.77.0.1");
    leipzig.run("ip link del tap5");
    let log = daemon.process.log();
    up(4, &log);
    assert!(daemon.process.is_running());
    assert_eq!(daemon.process.terminate().code(), Some(0));
    before.is_back(leipzig);
    server.stop();
}

#[test]
fn n2_a_device_that_is_deleted_is_made_anew() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let server = Daemon::start(
        &sites.berlin,
        &(sites.server_section("bridge: br-lab") + "bridges:\n  br-lab: {addresses: [10.77.0.1/24]}\n"),
    );
    let configuration = format!(
        "links:\n  berlin: {}\n  several: {}\n",
        sites.link(", addresses: [10.77.0.2/24]"),
        "{host: 192.0.2.99, identity-file: /nonexistent, connect-timeout: 1, tunnel-device: 9, connections: 3, \
         addresses: [10.99.0.1/24], routes: [{to: 10.98.0.0/16, via: 10.99.0.2}]}",
    );
    let daemon = Daemon::start(&sites.leipzig, &configuration);
    pings(&sites.leipzig, "10.77.0.1");

    for _ in 0..2 {
        let (index, mac) = {
            let tap = Interface::of(&sites.leipzig, "tap0").identity();
            (tap.0, tap.1)
        };
        sites.leipzig.run("ip link del tap0");
        eventually("the tap is there again", || {
            Interface::find(&sites.leipzig, "tap0")
                .is_some_and(|tap| tap.index() != index && tap.has_carrier())
        });
        let tap = Interface::of(&sites.leipzig, "tap0").identity();
        assert_eq!((tap.1, tap.3), (mac, vec!["10.77.0.2/24".to_owned()]));
        pings(&sites.leipzig, "10.77.0.1");
    }
    sites.leipzig.run("ip link del tap9");
    eventually("the route of the other", || {
        sites.leipzig.run("ip route").contains("10.98.0.0/16 via 10.99.0.2")
    });
    assert!(!daemon.process.has_said("cannot connect to 192.0.2.1"));

    // The accepting side.
    let index = Interface::of(&sites.berlin, "tap0").index();
    sites.berlin.run("ip link del tap0");
    eventually("berlin's tap is there again, in its bridge", || {
        Interface::find(&sites.berlin, "tap0")
            .is_some_and(|tap| tap.index() != index && tap.has_carrier() && tap.bridge() == Some("br-lab"))
    });
    pings(&sites.leipzig, "10.77.0.1");
    calm(&daemon.process.log());

    daemon.stop();
    server.stop();
    before[1].is_back(&sites.leipzig);
    before[0].is_back(&sites.berlin);
}
