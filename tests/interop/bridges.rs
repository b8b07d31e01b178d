//! Links that are ports of bridges: a tree of three hosts, no spanning tree protocol, and what one says reaches each
//! of the others once.
//!
//! ```text
//!            hub  br-lab 10.77.0.1 [tap0, tap1]
//!            /                          \
//!   native link                     stock link
//!          /                              \
//!   east  br-lab 10.77.0.2 [tap0]     west  br-lab 10.77.0.3 [tap0]
//!         tapline run                       Debian's sshd
//! ```

use tapline_tests::{Keys, Namespace, are_met, eventually, run, sshd, veth};

use crate::link::server_section;
use crate::traffic::{Listener, MDNS, Speaker, ping};

const DATAGRAMS: usize = 100;

#[test]
fn multicast_reaches_every_bridged_host_once() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (hub, east, west) = (Namespace::new("hub"), Namespace::new("east"), Namespace::new("west"));
    veth((&hub, "eth0", "192.0.2.2/24"), (&east, "eth0", "192.0.2.1/24"));
    veth((&hub, "eth1", "198.51.100.2/24"), (&west, "eth0", "198.51.100.1/24"));

    let mut server = run(
        &east,
        &format!(
            "{}  accept:\n    hub:\n      public-key: {}\n      bridge: br-lab\n{}",
            server_section(&keys),
            keys.public("id"),
            bridge_section("10.77.0.2/24"),
        ),
    );
    server.wait_for("Server listening");
    let _sshd = sshd(&west, &keys, &keys.public("id"), "PermitTunnel ethernet");

    let link = |name: &str, address: &str| {
        format!(
            "  {name}:\n    host: root@{address}\n    port: 22\n    identity-file: {}\n    user-known-hosts-file: {}\n    \
             strict-host-key-checking: accept-new\n    bridge: br-lab\n",
            keys.path("id").display(),
            hub.path("known_hosts").display(),
        )
    };
    let mut daemon = run(
        &hub,
        &format!(
            "links:\n{}{}{}",
            link("east", "192.0.2.1"),
            link("west", "198.51.100.1"),
            bridge_section("10.77.0.1/24")
        ),
    );
    eventually("both links are up", || daemon.is_running() && daemon.count(": up device=") == 2);
    west.run("ip link add br-lab type bridge stp_state 0");
    west.run("ip address add 10.77.0.3/24 dev br-lab");
    eventually("sshd has its device", || west.has_interface("tap0"));
    west.run("ip link set tap0 master br-lab up");
    west.run("ip link set br-lab up");

    let hosts = [(&hub, "10.77.0.1"), (&east, "10.77.0.2"), (&west, "10.77.0.3")];
    for (from, _) in hosts {
        for (_, address) in hosts {
            ping(from, address);
        }
    }
    for (sender, _) in hosts {
        let mut listeners = hosts.map(|(host, _)| (host, Listener::join(host, "br-lab", MDNS)));
        let speaker = Speaker::new(sender, "br-lab", MDNS);
        let said: Vec<_> = (0..DATAGRAMS).map(|number| format!("{} {number}", sender.name())).collect();
        // A bridge forwards once its address is ready and its ports have left the learning state.
        eventually("the first datagram is heard", || {
            speaker.say("hello");
            listeners
                .iter_mut()
                .all(|(host, listener)| host.name() == sender.name() || listener.has_heard("hello"))
        });
        for datagram in &said {
            assert!(speaker.say(datagram));
        }
        for (host, listener) in &mut listeners {
            if host.name() != sender.name() {
                eventually("the last datagram is heard", || listener.has_heard(&said[DATAGRAMS - 1]));
            }
        }
        // What is still on its way, such as a second copy, arrives before the answers to these.
        for (host, _) in hosts {
            for (_, address) in hosts {
                ping(host, address);
            }
        }
        for (host, mut listener) in listeners {
            let heard: Vec<_> =
                listener.heard().iter().filter(|text| text.starts_with(sender.name())).cloned().collect();
            // Nor does it come back to where it was said.
            let expected = if host.name() == sender.name() { &[][..] } else { &said };
            assert_eq!(heard, expected, "what {} heard of {}", host.name(), sender.name());
        }
    }
}

fn bridge_section(address: &str) -> String {
    format!("bridges:\n  br-lab:\n    addresses: [{address}]\n    parameters: {{stp: false}}\n")
}
