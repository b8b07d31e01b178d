//! Links of several connections: flows are spread, one connection may break, and whoever knows only one gets one.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, Process, are_met, eventually, sshd};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites};

const FLOWS: usize = 64;
const PORT: u16 = 9000;

/// UDP flows from leipzig to berlin, which sends everything back.
struct Flows {
    here: Vec<UdpSocket>,
    there: UdpSocket,
    sent: u32,
}

/// For each flow the numbers that arrived.
type Arrived = BTreeMap<usize, Vec<u32>>;

impl Flows {
    fn new(sites: &Sites) -> Self {
        let socket = |address: &str| {
            let socket = UdpSocket::bind((address, if address.ends_with('1') { PORT } else { 0 })).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            socket
        };
        let there = sites.berlin.enter(|| socket("10.77.0.1"));
        let here = sites.leipzig.enter(|| (0..FLOWS).map(|_| socket("10.77.0.2")).collect());
        Self { here, there, sent: 0 }
    }

    /// Sends `rounds` packets of each flow, and waits for all answers or until `patience` is over.
    fn exchange(&mut self, rounds: u32, patience: Duration) -> Arrived {
        let mut arrived = Arrived::new();
        let first = self.sent;
        for _ in 0..rounds {
            for socket in &self.here {
                let mut packet = [0; 1000];
                packet[..4].copy_from_slice(&self.sent.to_be_bytes());
                socket.send_to(&packet, ("10.77.0.1", PORT)).unwrap();
            }
            self.sent += 1;
            self.turn_back(&mut arrived);
        }
        let deadline = Instant::now() + patience;
        let wanted = FLOWS * rounds as usize;
        while arrived.values().map(Vec::len).sum::<usize>() < wanted && Instant::now() < deadline {
            self.turn_back(&mut arrived);
        }
        // What an earlier exchange did not wait for is no answer to this one.
        arrived.values_mut().for_each(|numbers| numbers.retain(|number| *number >= first));
        arrived.retain(|_, numbers| !numbers.is_empty());
        arrived
    }

    fn turn_back(&self, arrived: &mut Arrived) {
        let mut packet = [0; 1000];
        while let Ok((length, from)) = self.there.recv_from(&mut packet) {
            self.there.send_to(&packet[..length], from).unwrap();
        }
        for (flow, socket) in self.here.iter().enumerate() {
            socket.set_nonblocking(true).unwrap();
            while socket.recv(&mut packet).is_ok() {
                let number = u32::from_be_bytes(packet[..4].try_into().unwrap());
                arrived.entry(flow).or_default().push(number);
            }
        }
    }
}

/// The bytes sent so far on each connection to berlin's server, by its port on leipzig.
fn connections(host: &Namespace) -> BTreeMap<u16, u64> {
    let listing = host.run("ss -tinOH state established dport = :2222");
    let of_line = |line: &str| {
        let local = line.split_whitespace().find(|word| word.starts_with("192.0.2.2:"))?;
        let sent = line.split_whitespace().find_map(|word| word.strip_prefix("bytes_sent:"))?;
        Some((local.rsplit_once(':')?.1.parse().ok()?, sent.parse().ok()?))
    };
    listing.lines().filter_map(of_line).collect()
}

/// How often the link came up.
fn ups(process: &Process) -> usize {
    process.count(": up ") + process.count("INFO up ")
}

fn configuration(sites: &Sites, connections: u8) -> String {
    let more = format!(", connections: {connections}, addresses: [10.77.0.2/24]");
    format!("links:\n  berlin: {}\n", sites.link(&more))
}

fn pings(host: &Namespace, address: &str) {
    eventually(&format!("a ping to {address}"), || host.succeeds(&format!("ping -c1 -W1 {address}")));
}

fn queues(host: &Namespace, interface: &str) -> Option<u64> {
    let links: serde_json::Value =
        serde_json::from_str(&host.run(&format!("ip -d -j link show {interface}"))).unwrap();
    links[0]["linkinfo"]["info_data"]["numqueues"].as_u64()
}

#[test]
fn flows_are_spread_over_connections_and_survive_the_loss_of_one() {
    if !are_met(&["ss", "nft"]) {
        return;
    }
    let sites = Sites::new();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let mut server = sites.server();
    let mut daemon = Daemon::start(&sites.leipzig, &configuration(&sites, 3));
    for process in [&mut server.process, &mut daemon.process] {
        process.wait_for("connections=\"3/3\"");
        assert_eq!(ups(process), 1, "{}", process.log());
    }
    for host in [&sites.berlin, &sites.leipzig] {
        assert_eq!(queues(host, "tap0"), Some(3));
        assert!(!host.has_interface("tap1"));
    }
    pings(&sites.leipzig, "10.77.0.1");

    let idle = connections(&sites.leipzig);
    assert_eq!(idle.len(), 3);
    let mut flows = Flows::new(&sites);
    let arrived = flows.exchange(50, Duration::from_secs(20));
    let all: Vec<u32> = (0..50).collect();
    assert_eq!(arrived.len(), FLOWS);
    for (flow, numbers) in &arrived {
        assert_eq!(*numbers, all, "flow {flow}");
    }
    let busy = connections(&sites.leipzig);
    for (port, sent) in &busy {
        let grown = sent - idle[port];
        assert!(grown > 50_000, "a connection has sent {grown} bytes: {idle:?} {busy:?}");
    }

    // One connection goes silent; its flows wait, and the others do not.
    let cut = *busy.keys().next().unwrap();
    for line in [
        "nft add table inet cut".to_owned(),
        "nft add chain inet cut out { type filter hook output priority 0 ; }".to_owned(),
        format!("nft add rule inet cut out tcp sport {cut} drop"),
    ] {
        sites.leipzig.run(&line);
    }
    let going = flows.exchange(5, Duration::from_millis(500)).len();
    assert!(going > 0 && going < FLOWS, "{going} of {FLOWS} flows go on");
    let cut_off = Instant::now();
    eventually("every flow goes on", || {
        assert!(has_carrier(&sites.leipzig, "tap0") && has_carrier(&sites.berlin, "tap0"));
        flows.exchange(1, Duration::from_millis(200)).len() == FLOWS
    });
    // Two seconds are what the client gives a silent server, and a third passes until it asks.
    assert!(cut_off.elapsed() < Duration::from_secs(15), "after {:?}", cut_off.elapsed());
    daemon.process.wait_for("one connection less");
    eventually("the third comes back", || {
        daemon.process.count("connections=\"3/3\"") == 2 && server.process.count("connections=\"3/3\"") == 2
    });
    let back = connections(&sites.leipzig);
    assert_eq!(back.keys().filter(|port| **port != cut).count(), 3, "{back:?}");
    assert_eq!(ups(&daemon.process), 1, "the link was up all the time");
    assert_eq!(ups(&server.process), 1, "the link was up all the time");

    // And all of them.
    let tap = Interface::of(&sites.leipzig, "tap0").identity();
    server.kill();
    eventually("the carrier goes off", || !has_carrier(&sites.leipzig, "tap0"));
    let mut server = sites.server();
    server.process.wait_for("connections=\"3/3\"");
    assert_eq!(Interface::of(&sites.leipzig, "tap0").identity(), tap);
    pings(&sites.leipzig, "10.77.0.1");
    assert_eq!(flows.exchange(5, Duration::from_secs(20)).len(), FLOWS);

    sites.leipzig.run("nft delete table inet cut");
    drop(flows);
    daemon.stop();
    server.stop();
    before[1].is_back(&sites.leipzig);
    before[0].is_back(&sites.berlin);
}

#[test]
fn a_peer_that_comes_back_with_more_or_fewer_connections_has_them() {
    if !are_met(&["ss"]) {
        return;
    }
    let sites = Sites::new();
    let before = [&sites.berlin, &sites.leipzig].map(KernelState::of);
    let server = sites.server();
    let mut daemon = Daemon::start(&sites.leipzig, &configuration(&sites, 1));
    pings(&sites.leipzig, "10.77.0.1");
    for (count, said) in [(3, "connections=\"3/3\""), (1, ""), (2, "connections=\"2/2\"")] {
        sites.leipzig.write("tapline.yaml", &configuration(&sites, count));
        daemon.process.signal(Signal::SIGHUP);
        daemon.becomes_ready();
        daemon.process.wait_for(said);
        pings(&sites.leipzig, "10.77.0.1");
        assert_eq!(connections(&sites.leipzig).len(), usize::from(count));
        // The new device is there before the old one goes.
        let taps = || ["tap0", "tap1"].into_iter().filter(|name| sites.leipzig.has_interface(name));
        eventually("one device here", || taps().count() == 1);
        assert_eq!(queues(&sites.leipzig, taps().next().unwrap()), (count > 1).then_some(u64::from(count)));
        eventually("as many queues there", || queues(&sites.berlin, "tap0") == Some(u64::from(count)));
        assert!(!sites.berlin.has_interface("tap1"));
    }
    // Killed, it says no good-bye, and the next one is another link to berlin; the device is the same.
    let there = Interface::of(&sites.berlin, "tap0").identity();
    daemon.kill();
    let daemon = Daemon::start(&sites.leipzig, &configuration(&sites, 2));
    pings(&sites.leipzig, "10.77.0.1");
    eventually("both connections", || queues(&sites.berlin, "tap0") == Some(2));
    assert_eq!(Interface::of(&sites.berlin, "tap0").identity(), there);
    daemon.stop();
    server.stop();
    before[1].is_back(&sites.leipzig);
    before[0].is_back(&sites.berlin);
}

#[test]
fn a_peer_without_a_name_has_one_device_for_its_connections_and_takes_it_along() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.berlin);
    let keys = sites.berlin.write("authorized_keys", &sites.keys.public("id"));
    let section = format!(
        "server: {{listen: ['192.0.2.1:2222'], host-keys: [{}], permit-tunnel: ethernet, authorized-keys-files: [{}]}}\n",
        sites.keys.path("host").display(),
        keys.display(),
    );
    let mut server = Daemon::start(&sites.berlin, &section);
    let daemon = Daemon::start(&sites.leipzig, &configuration(&sites, 3));
    server.process.wait_for("connections=\"3/3\"");
    assert_eq!(queues(&sites.berlin, "tap0"), Some(3));
    assert!(!sites.berlin.has_interface("tap1"));
    sites.berlin.run("ip address add 10.77.0.1/24 dev tap0");
    sites.berlin.run("ip link set tap0 up");
    pings(&sites.leipzig, "10.77.0.1");
    daemon.stop();
    eventually("the device goes", || !sites.berlin.has_interface("tap0"));
    before.is_back(&sites.berlin);
    server.stop();
}

#[test]
fn a_device_that_root_has_made_without_queues_is_refused_on_either_side() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    // A device that exists is given by its number alone.
    let mut server =
        Daemon::start(&sites.berlin, &sites.server_section("tunnel-device: 3, addresses: [10.77.0.1/24]"));
    let hint = "`ip tuntap add dev tap3 mode tap multi_queue`";
    let link = |units: &str| {
        let more = format!(", connections: 2, tunnel-device: '{units}', addresses: [10.77.0.2/24]");
        format!("links:\n  berlin: {}\n", sites.link(&more))
    };
    sites.leipzig.run("ip tuntap add dev tap3 mode tap");
    let mut daemon = Daemon::start(&sites.leipzig, &link("3:any"));
    daemon.process.wait_for("tap3 was created without multi_queue");
    daemon.process.wait_for(hint);
    daemon.stop();

    sites.berlin.run("ip tuntap add dev tap3 mode tap");
    let mut daemon = Daemon::start(&sites.leipzig, &link("any:3"));
    daemon.process.wait_for(hint);
    server.process.wait_for(hint);
    daemon.stop();

    for host in [&sites.leipzig, &sites.berlin] {
        host.run("ip tuntap del dev tap3 mode tap");
        host.run("ip tuntap add dev tap3 mode tap multi_queue");
    }
    let mut daemon = Daemon::start(&sites.leipzig, &link("3:3"));
    daemon.process.wait_for("connections=\"2/2\"");
    pings(&sites.leipzig, "10.77.0.1");
    daemon.stop();
    server.stop();
    assert!(sites.leipzig.has_interface("tap3") && sites.berlin.has_interface("tap3"));
}

#[test]
fn a_stock_server_gets_one_connection_and_that_is_said_once() {
    if !are_met(&["nft", "ss"]) {
        return;
    }
    let sites = Sites::new();
    let options = "ListenAddress 192.0.2.1:2222\nPermitTunnel ethernet";
    let _server = sshd(&sites.berlin, &sites.keys, &sites.keys.public("id"), options);
    let mut daemon = Daemon::start(&sites.leipzig, &configuration(&sites, 3));
    daemon.process.wait_for("takes one connection");
    reach(&sites);
    let first = connections(&sites.leipzig);
    assert_eq!(first.len(), 1);
    let port = *first.keys().next().unwrap();

    // The server's kernel tells it that the connection is gone; the client finds out by itself.
    for line in [
        "nft add table inet cut".to_owned(),
        "nft add chain inet cut out { type filter hook output priority 0 ; }".to_owned(),
        format!("nft add rule inet cut out tcp dport {port} reject with tcp reset"),
    ] {
        sites.berlin.run(&line);
    }
    eventually("another connection", || daemon.process.count("connections=\"1/3\"") == 2);
    reach(&sites);
    assert_eq!(connections(&sites.leipzig).keys().filter(|other| **other != port).count(), 1);
    assert!(!sites.berlin.has_interface("tap1"));
    assert_eq!(daemon.process.count("takes one connection"), 1);
    daemon.stop();
}

/// Through the device that sshd has left to its administrator.
fn reach(sites: &Sites) {
    eventually("berlin's tap", || sites.berlin.has_interface("tap0"));
    sites.berlin.run("ip address replace 10.77.0.1/24 dev tap0");
    sites.berlin.run("ip link set tap0 up");
    pings(&sites.leipzig, "10.77.0.1");
}
