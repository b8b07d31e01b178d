//! Two hosts and a link between them, whatever program each end runs.

use tapline_tests::{Keys, Namespace, Process, Ssh, connect, eventually, run, sshd, veth};

/// Which program is which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    /// Debian's ssh, and `tapline run`.
    StockClient,
    /// `tapline connect`, and Debian's sshd.
    StockServer,
    /// `tapline connect`, and `tapline run`.
    Native,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Ethernet,
    PointToPoint,
}

/// A link that is up, with addresses at both ends.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: End,
    pub(crate) server: End,
    roles: Roles,
    _keys: Keys,
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) process: Process,
    pub(crate) host: Namespace,
    pub(crate) device: &'static str,
    pub(crate) ipv4: &'static str,
    pub(crate) ipv6: &'static str,
}

/// How a link is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    /// Largest packet in bytes, without the Ethernet header.
    pub(crate) mtu: u32,
    /// Bytes after which either end wants new keys, as `RekeyLimit` writes them.
    pub(crate) rekey_limit: &'static str,
}

pub(crate) const ETHERNET: Shape = Shape { mode: Mode::Ethernet, mtu: 1500, rekey_limit: "default" };
pub(crate) const POINT_TO_POINT: Shape = Shape { mode: Mode::PointToPoint, ..ETHERNET };

/// Two hosts that reach each other by IPv4: the client is 192.0.2.2, the server 192.0.2.1.
pub(crate) fn two_hosts() -> (Namespace, Namespace) {
    let (client, server) = (Namespace::new("client"), Namespace::new("server"));
    veth((&client, "eth0", "192.0.2.2/24"), (&server, "eth0", "192.0.2.1/24"));
    (client, server)
}

/// The `server` section of a configuration, which lets nobody in yet; its `accept` may follow.
pub(crate) fn server_section(keys: &Keys) -> String {
    format!(
        "server:\n  listen: [\"0.0.0.0:22\"]\n  host-keys: [{}]\n  permit-tunnel: yes\n  authorized-keys-files: \
         [/nonexistent]\n",
        keys.path("host").display()
    )
}

/// The same, which lets in the keys of an authorized_keys file with this one line.
pub(crate) fn server_section_with(host: &Namespace, keys: &Keys, authorized: &str) -> String {
    let authorized = host.write("authorized_keys", &format!("{authorized}\n"));
    server_section(keys).replace("/nonexistent", &authorized.display().to_string())
}

impl Link {
    pub(crate) fn up(roles: Roles, shape: Shape) -> Self {
        let keys = Keys::new(&["host", "id"]);
        let (client, server) = two_hosts();
        let (device, tunnel) = match shape.mode {
            Mode::Ethernet => ("tap0", "ethernet"),
            Mode::PointToPoint => ("tun0", "point-to-point"),
        };
        let Shape { mtu, rekey_limit, .. } = shape;

        let mut listener = match roles {
            Roles::StockServer => {
                let options = format!("PermitTunnel yes\nRekeyLimit {rekey_limit}");
                sshd(&server, &keys, &keys.public("id"), &options)
            }
            Roles::StockClient | Roles::Native => run(
                &server,
                &format!(
                    "{}  rekey-limit: {rekey_limit}\n  accept:\n    client:\n      public-key: {}\n      mtu: {mtu}\n      \
                     addresses: [10.77.0.1/24, \"fd77::1/64\"]\n",
                    server_section(&keys),
                    keys.public("id"),
                ),
            ),
        };
        listener.wait_for("Server listening");

        let key = keys.path("id");
        let mut dialler = match roles {
            Roles::StockClient => Ssh::new(&client, &key)
                .option(&format!("Tunnel={tunnel}"))
                .option(&format!("RekeyLimit={rekey_limit}"))
                .option("ExitOnForwardFailure=yes")
                .start("-w any:any root@192.0.2.1"),
            Roles::StockServer | Roles::Native => connect(
                &client,
                &key,
                &format!(
                    "-w any:any -o Tunnel={tunnel} -o RekeyLimit={rekey_limit} --mtu {mtu} --address 10.77.0.2/24 \
                     --address fd77::2/64 root@192.0.2.1"
                ),
            ),
        };
        match roles {
            Roles::StockClient => {
                eventually("ssh has its device", || dialler.is_running() && client.has_interface(device));
                listener.wait_for(" up peer=");
                set_up(&client, device, mtu, ["10.77.0.2/24", "fd77::2/64"]);
            }
            Roles::StockServer => {
                dialler.wait_for(": up device=");
                set_up(&server, device, mtu, ["10.77.0.1/24", "fd77::1/64"]);
            }
            Roles::Native => dialler.wait_for(": up device="),
        }
        let client = End { process: dialler, host: client, device, ipv4: "10.77.0.2", ipv6: "fd77::2" };
        let server = End { process: listener, host: server, device, ipv4: "10.77.0.1", ipv6: "fd77::1" };
        Self { client, server, roles, _keys: keys }
    }

    /// Each end and the other, both ways round.
    pub(crate) fn ways(&self) -> [(&End, &End); 2] {
        [(&self.client, &self.server), (&self.server, &self.client)]
    }

    /// Fails if the link was ever down since it came up.
    pub(crate) fn assert_never_down(&mut self) {
        assert!(self.client.process.is_running() && self.server.process.is_running());
        if self.roles != Roles::StockClient {
            assert_eq!(self.client.process.count(": up device="), 1, "the client came up once");
        }
        if self.roles != Roles::StockServer {
            assert_eq!(self.server.process.count(" up peer="), 1, "the server's link came up once");
            assert!(!self.server.process.has_said("down: "), "the server's link was down");
        }
    }

    /// The end that runs Tapline, and the one that runs OpenSSH, of a link between the two.
    pub(crate) fn tapline_and_stock(&self) -> (&End, &End) {
        match self.roles {
            Roles::StockClient => (&self.server, &self.client),
            Roles::StockServer => (&self.client, &self.server),
            Roles::Native => panic!("both ends are Tapline"),
        }
    }
}

/// What OpenSSH leaves to the administrator.
pub(crate) fn set_up(host: &Namespace, device: &str, mtu: u32, addresses: [&str; 2]) {
    eventually("sshd has its device", || host.has_interface(device));
    for address in addresses {
        host.run(&format!("ip address add {address} dev {device}"));
    }
    host.run(&format!("ip link set {device} mtu {mtu} up"));
}
