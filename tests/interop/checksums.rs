//! What super-frames and joined segments become on a wire that does no work for anybody: a host behind the link's far
//! end, which trusts no checksum, looks at each packet.
//!
//! ```text
//!   client  ====== the link ======  server  ------ no offloads ------  lan
//!                                   10.78.0.1, fd78::1                 10.78.0.2, fd78::2
//! ```

use tapline_tests::{Namespace, are_met, eventually, veth};

use crate::link::{ETHERNET, Link, Roles};
use crate::traffic::ping;

/// Packets that are looked at in each transfer.
const PACKETS: usize = 300;

#[test]
fn every_checksum_is_right_behind_a_native_link() {
    check(Roles::Native);
}

/// Tapline cuts what the kernel left whole.
#[test]
fn every_checksum_is_right_behind_a_stock_server() {
    check(Roles::StockServer);
}

/// Tapline joins what comes in segments, and the kernel cuts it again.
#[test]
fn every_checksum_is_right_behind_a_stock_client() {
    check(Roles::StockClient);
}

fn check(roles: Roles) {
    if !are_met(&["sshd", "iperf3", "tcpdump", "ethtool"]) {
        return;
    }
    let link = Link::up(roles, ETHERNET);
    let (client, server) = (&link.client.host, &link.server.host);
    let lan = Namespace::new("lan");
    veth((server, "lan0", "10.78.0.1/24"), (&lan, "eth0", "10.78.0.2/24"));
    for (host, interface, address) in [(server, "lan0", "fd78::1/64"), (&lan, "eth0", "fd78::2/64")] {
        host.set_sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "0");
        host.run(&format!("ip address add {address} dev {interface} nodad"));
        host.run(&format!("ethtool -K {interface} rx off tx off tso off gso off gro off"));
    }
    server.set_sysctl("net/ipv4/ip_forward", "1");
    server.set_sysctl("net/ipv6/conf/all/forwarding", "1");
    client.run("ip route add 10.78.0.0/24 via 10.77.0.1");
    client.run("ip route add fd78::/64 via fd77::1");
    lan.run("ip route add 10.77.0.0/24 via 10.78.0.1");
    lan.run("ip route add fd77::/64 via fd78::1");

    for address in ["10.78.0.2", "fd78::2"] {
        ping(client, address);
        for (protocol, filter, options) in
            [("tcp", "tcp and greater 1000", "-t 2"), ("udp", "udp", "-u -b 20M -l 1400 -t 1")]
        {
            // Each packet has one line of its own that judges its checksum.
            let mut judge = lan.start_line(&format!(
                "tcpdump -Z root -n -vv -s 0 -Q in -c {PACKETS} --immediate-mode -i eth0 {filter} and dst host {address}"
            ));
            judge.wait_for("listening on");
            let mut listener = lan.start_line("iperf3 -s -1 --forceflush");
            listener.wait_for("Server listening");
            client.run(&format!("iperf3 -c {address} {options}"));
            eventually("enough packets were seen", || judge.has_said("packets captured"));
            let said = judge.log();
            let wrong: Vec<_> = said
                .lines()
                .filter(|line| line.contains("incorrect") || line.contains("bad udp cksum"))
                .collect();
            assert!(wrong.is_empty(), "{roles:?} {protocol} {address}: {wrong:#?}");
            let right = said.matches("(correct)").count() + said.matches("udp sum ok").count();
            assert!(right >= PACKETS / 2, "{roles:?} {protocol} {address}: {right} judged\n{said}");
        }
    }
    let errors = lan.run("nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors");
    for line in errors.lines().filter(|line| line.contains("CsumErrors")) {
        assert_eq!(line.split_whitespace().nth(1), Some("0"), "{errors}");
    }
}
