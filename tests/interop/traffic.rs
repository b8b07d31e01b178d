//! What sends and listens at the ends of a link.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use tapline_tests::{Namespace, Process, eventually};

use crate::link::End;

/// Waits until `from` reaches an address, then sends pings that must all be answered.
pub(crate) fn ping(from: &Namespace, address: &str) {
    eventually(&format!("{} reaches {address}", from.name()), || {
        from.succeeds(&format!("ping -c 1 -W 1 {address}"))
    });
    from.run(&format!("ping -c 5 -i 0.05 -W 10 {address}"));
}

/// Starts iperf3 from one end to the other; `words` are further arguments. The second process is its server.
pub(crate) fn iperf(from: &End, to: &End, words: &str) -> (Process, Process) {
    let mut server = to.host.start_line(&format!("iperf3 -s -1 --forceflush -B {}", to.ipv4));
    server.wait_for("Server listening");
    let client = from.host.start_line(&format!("iperf3 --forceflush -c {} {words}", to.ipv4));
    (client, server)
}

/// Bytes that an interface received from the link and sent into it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

pub(crate) fn counters(end: &End) -> Counters {
    let json = end.host.run(&format!("ip -j -s link show dev {}", end.device));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let bytes = |direction: &str| json[0]["stats64"][direction]["bytes"].as_u64().unwrap();
    Counters { received: bytes("rx"), sent: bytes("tx") }
}

/// The Ethernet address of an interface, as `ip` writes it.
pub(crate) fn mac_address(end: &End) -> String {
    let json = end.host.run(&format!("ip -j link show dev {}", end.device));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json[0]["address"].as_str().unwrap().to_owned()
}

/// Where multicast DNS is spoken (RFC 6762).
pub(crate) const MDNS: (Ipv6Addr, u16) = (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), 5353);

/// A listener that has joined a multicast group on an interface.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UdpSocket,
    heard: Vec<String>,
}

impl Listener {
    pub(crate) fn join(host: &Namespace, interface: &str, (group, port): (Ipv6Addr, u16)) -> Self {
        let index = host.index(interface);
        let socket = host.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
        socket.join_multicast_v6(&group, index).unwrap();
        Self::on(socket)
    }

    pub(crate) fn on(socket: UdpSocket) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, heard: Vec::new() }
    }

    /// Every datagram until now.
    pub(crate) fn heard(&mut self) -> &[String] {
        let mut buffer = [0; 2048];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return &self.heard,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn has_heard(&mut self, text: &str) -> bool {
        self.heard().iter().any(|heard| heard == text)
    }
}

/// Sends to a multicast group on one interface, not to this host's own listeners.
#[derive(Debug)]
pub(crate) struct Speaker {
    socket: UdpSocket,
    to: SocketAddrV6,
}

impl Speaker {
    pub(crate) fn new(host: &Namespace, interface: &str, (group, port): (Ipv6Addr, u16)) -> Self {
        let socket = host.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap());
        socket.set_multicast_loop_v6(false).unwrap();
        Self { socket, to: SocketAddrV6::new(group, port, 0, host.index(interface)) }
    }

    /// Whether the kernel took the datagram: without an address that is ready it does not.
    pub(crate) fn say(&self, text: &str) -> bool {
        self.socket.send_to(text.as_bytes(), self.to).is_ok()
    }
}
