//! The subjects, each a client and a server with whatever joins them.

use tapline_tests::{Keys, Namespace, Process, Ssh, connect, eventually, example, run, sshd, veth};

use crate::congestion::Congestion;
use crate::options::Subject;

/// Bytes of an IP packet, below the tunnels and inside them.
const MTU: u32 = 1500;
const TAP: &str = "tap0";

/// Addresses of an underlay or an overlay.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    client: &'static str,
    server: &'static str,
}

const UNDERLAY: Addresses = Addresses { client: "192.0.2.2", server: "192.0.2.1" };
const OVERLAY: Addresses = Addresses { client: "10.77.0.2", server: "10.77.0.1" };
pub(crate) const OVERLAY_BROADCAST: &str = "10.77.0.255";

/// What lies below a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Underlay {
    /// As fast as the kernel is.
    Free,
    /// 20 Mbit/s each way, behind a queue that holds at most 50 ms.
    Slow,
}

/// Makes pairs.
#[derive(Debug)]
pub(crate) struct Workshop {
    congestion: Congestion,
    /// Of the servers (`host`) and of the clients (`id`).
    keys: Keys,
}

/// A client and a server that reach each other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) subject: Subject,
    pub(crate) client: End,
    pub(crate) server: End,
}

#[derive(Debug)]
pub(crate) struct End {
    process: Option<Process>,
    pub(crate) host: Namespace,
    /// The interface whose frames are measured, and its address.
    pub(crate) device: &'static str,
    pub(crate) address: &'static str,
}

impl Workshop {
    pub(crate) fn new(congestion: Congestion) -> Self {
        Self { congestion, keys: Keys::new(&["host", "id"]) }
    }

    /// A pair whose ends answer each other.
    pub(crate) fn pair(&self, subject: Subject, underlay: Underlay) -> Pair {
        let [client, server] = self.hosts(subject, underlay);
        let listener = match subject {
            Subject::Veth => None,
            Subject::Ceiling => Some(ceiling(&server, "listen", "listening")),
            Subject::Stock | Subject::ToStock => Some(self.sshd(&server)),
            Subject::Native | Subject::FromStock => Some(self.run(&server)),
        };
        let dialler = match subject {
            Subject::Veth => None,
            Subject::Ceiling => Some(ceiling(&client, "connect", "carrying")),
            Subject::Stock | Subject::FromStock => Some(self.ssh(&client, "any:any")),
            Subject::Native | Subject::ToStock => Some(self.connect(&client)),
        };
        // What the other programs leave to the administrator.
        if matches!(subject, Subject::Ceiling | Subject::Stock | Subject::FromStock) {
            set_up(&client, OVERLAY.client);
        }
        if matches!(subject, Subject::Ceiling | Subject::Stock | Subject::ToStock) {
            set_up(&server, OVERLAY.server);
        }
        let (device, addresses) = match subject {
            Subject::Veth => ("eth0", UNDERLAY),
            _ => (TAP, OVERLAY),
        };
        let pair = Pair {
            subject,
            client: End { process: dialler, host: client, device, address: addresses.client },
            server: End { process: listener, host: server, device, address: addresses.server },
        };
        eventually(&format!("the ends of {subject} reach each other"), || {
            pair.client.host.succeeds(&format!("ping -c 1 -W 1 {}", pair.server.address))
        });
        pair
    }

    /// Two hosts, the client first, with nothing but the underlay between them.
    pub(crate) fn hosts(&self, subject: Subject, underlay: Underlay) -> [Namespace; 2] {
        let [client, server] =
            ["client", "server"].map(|end| self.congestion.namespace(&format!("{subject}'s {end}")));
        let [left, right] = [UNDERLAY.client, UNDERLAY.server].map(with_prefix);
        veth((&client, "eth0", &left), (&server, "eth0", &right));
        if underlay == Underlay::Slow {
            for host in [&client, &server] {
                host.run("tc qdisc add dev eth0 root tbf rate 20mbit burst 5kb latency 50ms");
            }
        }
        [client, server]
    }

    /// Debian's server, listening.
    pub(crate) fn sshd(&self, host: &Namespace) -> Process {
        sshd(host, &self.keys, &self.keys.public("id"), "PermitTunnel yes")
    }

    /// `tapline run`, listening.
    pub(crate) fn run(&self, host: &Namespace) -> Process {
        let configuration = format!(
            "server:\n  listen: [\"0.0.0.0:22\"]\n  host-keys: [{}]\n  permit-tunnel: ethernet\n  \
             authorized-keys-files: [/nonexistent]\n  accept:\n    client:\n      public-key: {}\n      mtu: {MTU}\n      \
             addresses: [{}]\n",
            self.keys.path("host").display(),
            self.keys.public("id"),
            with_prefix(OVERLAY.server),
        );
        let mut process = run(host, &configuration);
        process.wait_for("Server listening");
        process
    }

    /// Debian's client, just started.
    pub(crate) fn ssh(&self, host: &Namespace, units: &str) -> Process {
        Ssh::new(host, &self.keys.path("id"))
            .option("Tunnel=ethernet")
            .option("ExitOnForwardFailure=yes")
            .start(&format!("-w {units} root@{}", UNDERLAY.server))
    }

    /// `tapline connect`, just started.
    pub(crate) fn connect(&self, host: &Namespace) -> Process {
        let address = with_prefix(OVERLAY.client);
        let words = format!("-w any:any --mtu {MTU} --address {address} root@{}", UNDERLAY.server);
        connect(host, &self.keys.path("id"), &words)
    }
}

impl Pair {
    /// The client's end and the server's.
    pub(crate) fn ends(&self) -> [&End; 2] {
        [&self.client, &self.server]
    }
}

impl End {
    /// The process that carries frames, or its ancestor; none where the kernel does.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// Taps on both hosts that wait for `ssh -w 0:0`, addresses and all.
pub(crate) fn prepare_taps(client: &Namespace, server: &Namespace) {
    for (host, address) in [(client, OVERLAY.client), (server, OVERLAY.server)] {
        host.run(&format!("ip tuntap add dev {TAP} mode tap"));
        set_up(host, address);
    }
}

fn ceiling(host: &Namespace, role: &str, ready: &str) -> Process {
    let mut command = example("ceiling");
    command.args([role, &format!("{}:7000", UNDERLAY.server), "--tap", TAP]);
    let mut process = host.start("ceiling", &mut command);
    process.wait_for(ready);
    process
}

fn set_up(host: &Namespace, address: &str) {
    eventually(&format!("{} has {TAP}", host.name()), || host.has_interface(TAP));
    host.run(&format!("ip address add {} dev {TAP}", with_prefix(address)));
    host.run(&format!("ip link set {TAP} mtu {MTU} up"));
}

fn with_prefix(address: &str) -> String {
    format!("{address}/24")
}
