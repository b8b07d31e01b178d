//! Whose link it is: two hosts with one key, keys that are changed, rights that are taken away.

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, Process, Ssh, are_met, eventually, veth};

use crate::kernel_state::{Interface, has_carrier};
use crate::sites::{Daemon, Sites};

/// Another host with leipzig's key: 198.51.100.2, with 198.51.100.1 on berlin.
fn dresden(sites: &Sites) -> Namespace {
    let dresden = Namespace::new("dresden");
    veth((&dresden, "eth0", "198.51.100.2/24"), (&sites.berlin, "eth2", "198.51.100.1/24"));
    dresden
}

/// A link from `host` to berlin at `address` as `user`, with leipzig's key.
fn link(sites: &Sites, host: &Namespace, address: &str, user: &str, inner: &str) -> Daemon {
    let configuration = format!(
        "links:\n  berlin: {{host: {user}@{address}, port: 2222, identity-file: {}, user-known-hosts-file: {}, \
         strict-host-key-checking: accept-new, server-alive-interval: 1, server-alive-count-max: 2, \
         connect-timeout: 3, addresses: [{inner}]}}\n",
        sites.keys.path("id").display(),
        host.path("known_hosts").display(),
    );
    Daemon::begin(host, &configuration)
}

fn server_for_all(sites: &Sites, accept: &str) -> Daemon {
    let section = sites.server_section(accept).replace("listen: [192.0.2.1:2222]", "listen: [0.0.0.0:2222]");
    Daemon::start(&sites.berlin, &section)
}

fn pings(host: &Namespace, address: &str) {
    eventually(&format!("a ping to {address}"), || host.succeeds(&format!("ping -c1 -W1 {address}")));
}

fn stock(sites: &Sites, key: &str, words: &str) -> Process {
    Ssh::new(&sites.leipzig, &sites.keys.path(key)).option("Port=2222").option("Tunnel=ethernet").start(words)
}

/// A session that asks for no tunnel.
fn idle(sites: &Sites) -> Process {
    Ssh::new(&sites.leipzig, &sites.keys.path("id")).option("Port=2222").start("root@192.0.2.1")
}

#[test]
fn u11_the_younger_of_two_with_one_key_is_refused_and_told_why() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let other = dresden(&sites);
    let mut server = server_for_all(&sites, "addresses: [10.77.0.1/24]");
    let mut first = link(&sites, &sites.leipzig, "192.0.2.1", "root", "10.77.0.2/24");
    pings(&sites.leipzig, "10.77.0.1");
    let tap = Interface::of(&sites.berlin, "tap0").identity();
    let mut second = link(&sites, &other, "198.51.100.1", "root", "10.77.0.3/24");
    second.process.wait_for("in use by the link of root@192.0.2.2");
    second.process.wait_for("a key of its own");
    server.process.wait_for("is alive and has the same key");
    assert!(has_carrier(&sites.leipzig, "tap0"));
    assert!(!first.process.has_said("down"), "{}", first.process.log());
    assert!(first.process.is_running());

    // The older goes without a word; the younger has its place as soon as that is certain.
    sites.leipzig.run("ip link set eth0 down");
    second.stop();
    let second = link(&sites, &other, "198.51.100.1", "root", "10.77.0.3/24");
    eventually("the younger is up", || has_carrier(&other, "tap0"));
    pings(&other, "10.77.0.1");
    assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), tap);
    // And now it is the other's turn to be told.
    sites.leipzig.run("ip link set eth0 up");
    first.process.wait_for("in use by the link of root@198.51.100.2");
    assert!(has_carrier(&other, "tap0"));
    drop((first, second));
    server.stop();
}

#[test]
fn u11_users_tell_the_links_of_one_key_apart() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let other = dresden(&sites);
    let accept = format!(
        "user: leipzig, addresses: [10.77.0.1/24]}}\n    dresden: {{public-key: {}, user: dresden, addresses: [10.78.0.1/24]",
        sites.keys.public("id")
    );
    let server = server_for_all(&sites, &accept);
    let first = link(&sites, &sites.leipzig, "192.0.2.1", "leipzig", "10.77.0.2/24");
    let second = link(&sites, &other, "198.51.100.1", "dresden", "10.78.0.2/24");
    pings(&sites.leipzig, "10.77.0.1");
    pings(&other, "10.78.0.1");
    pings(&sites.leipzig, "10.77.0.1");
    // Who is neither does not get in, with a good key or not.
    for (key, user) in [("id", "root"), ("id", "Leipzig"), ("stranger", "leipzig"), ("stranger", "dresden")] {
        let mut ssh = stock(&sites, key, &format!("-w any:any {user}@192.0.2.1"));
        assert_eq!(ssh.ended().code(), Some(255), "{}", ssh.log());
        assert!(ssh.has_said("Permission denied"), "{key} {user}: {}", ssh.log());
    }
    first.stop();
    second.stop();
    server.stop();
}

#[test]
fn u11_a_link_whose_host_has_crashed_gives_way_to_the_next() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let mut server = server_for_all(&sites, "addresses: [10.77.0.1/24]");
    for native in [true, false, true] {
        let frozen = if native {
            link(&sites, &sites.leipzig, "192.0.2.1", "root", "10.77.0.2/24").process
        } else {
            stock(&sites, "id", "-w any:any root@192.0.2.1")
        };
        eventually("it is up", || has_carrier(&sites.berlin, "tap0"));
        // Its connection stays, and nothing answers on it.
        frozen.signal(Signal::SIGSTOP);
        let before = server.process.count("the old one is dead");
        let next = stock(&sites, "id", "-w any:any root@192.0.2.1");
        eventually("the next has its place", || {
            server.process.count("the old one is dead") > before && has_carrier(&sites.berlin, "tap0")
        });
        drop((next, frozen));
        eventually("it is down", || !has_carrier(&sites.berlin, "tap0"));
    }
    assert!(server.process.is_running());
    server.stop();
}

#[test]
fn t6_the_session_of_a_key_that_is_replaced_ends() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let section = |key: &str| {
        sites
            .server_section("addresses: [10.77.0.1/24]")
            .replace(&sites.keys.public("id"), &sites.keys.public(key))
    };
    let mut server = Daemon::start(&sites.berlin, &section("id"));
    let mut old = stock(&sites, "id", "-w any:any root@192.0.2.1");
    eventually("it is up", || has_carrier(&sites.berlin, "tap0"));
    // Also one that has no tunnel.
    let mut idle = idle(&sites);
    server.process.wait_for("Accepted publickey");
    eventually("both are in", || server.process.count("Accepted publickey") == 2);
    let tap = Interface::of(&sites.berlin, "tap0").identity();

    sites.berlin.write("tapline.yaml", &section("stranger"));
    server.process.signal(Signal::SIGHUP);
    server.becomes_ready();
    for session in [&mut old, &mut idle] {
        assert_eq!(session.ended().code(), Some(255));
        assert!(session.has_said("this key may no longer log in"), "{}", session.log());
    }
    let mut again = stock(&sites, "id", "-w any:any root@192.0.2.1");
    assert_eq!(again.ended().code(), Some(255));
    assert!(again.has_said("Permission denied"), "{}", again.log());
    let _new = stock(&sites, "stranger", "-w any:any root@192.0.2.1");
    eventually("the new key's link is up", || has_carrier(&sites.berlin, "tap0"));
    assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), tap);
    server.stop();
}

#[test]
fn t6_u15_what_is_taken_away_ends_and_what_stays_is_not_disturbed() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let base = format!(
        "{}    dresden: {{public-key: {}}}\n",
        sites.server_section("addresses: [10.77.0.1/24]"),
        sites.keys.public("stranger")
    );
    for (what, configuration, word) in [
        (
            "permit-tunnel",
            base.replace("permit-tunnel: ethernet", "permit-tunnel: no"),
            "permit-tunnel no longer",
        ),
        (
            "the other mode",
            base.replace("permit-tunnel: ethernet", "permit-tunnel: point-to-point"),
            "permit-tunnel no longer",
        ),
        (
            "the user",
            base.replace("permit-tunnel:", "permit-user: [other]\n  permit-tunnel:"),
            "may no longer log in",
        ),
        ("the entry", base.replace("leipzig:", "bonn:"), "no longer"),
        ("the user of the entry", base.replace("{public-key", "{user: bonn, public-key"), "no longer log in"),
    ] {
        let mut server = Daemon::start(&sites.berlin, &base);
        let mut ssh = stock(&sites, "id", "-w any:any root@192.0.2.1");
        eventually("it is up", || has_carrier(&sites.berlin, "tap0"));
        // The same again, and what concerns it not, leaves it.
        for same in
            [base.clone(), base.replace("dresden:", "jena:"), format!("{base}bridges: {{br-x: {{}}}}\n")]
        {
            sites.berlin.write("tapline.yaml", &same);
            server.process.signal(Signal::SIGHUP);
            server.becomes_ready();
        }
        assert!(ssh.is_running() && has_carrier(&sites.berlin, "tap0"), "{}", ssh.log());
        sites.berlin.write("tapline.yaml", &configuration);
        server.process.signal(Signal::SIGHUP);
        server.becomes_ready();
        assert_eq!(ssh.ended().code(), Some(255), "{what}");
        assert!(ssh.has_said(word), "{what}: {}", ssh.log());
        server.stop();
    }
}

#[test]
fn t6_a_device_that_cannot_be_had_leaves_the_link_up() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    sites.berlin.run("ip link add tap8 type bridge");
    let section = |unit: &str| sites.server_section(&format!("addresses: [10.77.0.1/24]{unit}"));
    let mut server = Daemon::start(&sites.berlin, &section(""));
    let mut ssh = stock(&sites, "id", "-w any:any root@192.0.2.1");
    eventually("it is up", || has_carrier(&sites.berlin, "tap0"));
    let tap = Interface::of(&sites.berlin, "tap0").identity();

    sites.berlin.write("tapline.yaml", &section(", tunnel-device: 8"));
    server.process.signal(Signal::SIGHUP);
    server.process.wait_for("its device stays tap0 for now");
    assert!(ssh.is_running() && has_carrier(&sites.berlin, "tap0"));
    assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), tap);
    // Once it can be had, the link moves there.
    sites.berlin.run("ip link del tap8");
    sites.berlin.write("tapline.yaml", &section(", tunnel-device: 8, mtu: 1400"));
    server.process.signal(Signal::SIGHUP);
    assert_eq!(ssh.ended().code(), Some(255));
    let _next = stock(&sites, "id", "-w any:any root@192.0.2.1");
    eventually("it is up on tap8", || {
        sites.berlin.has_interface("tap8") && has_carrier(&sites.berlin, "tap8")
    });
    assert!(!sites.berlin.has_interface("tap0"));
    server.stop();
}

#[test]
fn n11_a_session_without_a_tunnel_ends_with_its_cause() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let mut server = Daemon::start(&sites.berlin, &sites.server_section("addresses: [10.77.0.1/24]"));
    // One that never has one, and one whose device is taken from it, which ends its direction with EOF.
    let mut idle = idle(&sites);
    let mut lost = stock(&sites, "id", "-w 5:any root@192.0.2.1");
    eventually("it is up", || has_carrier(&sites.berlin, "tap0"));
    sites.leipzig.run("ip link del tap5");
    server.process.wait_for("end of the tunnel has ended (EOF)");
    assert!(lost.is_running(), "{}", lost.log());
    for ssh in [&mut idle, &mut lost] {
        assert_eq!(ssh.ended().code(), Some(255));
        assert!(ssh.has_said("had no tunnel for"), "{}", ssh.log());
    }
    server.process.wait_for("it had no tunnel for 15s; of the last one: the peer's end");
    server.stop();
}
