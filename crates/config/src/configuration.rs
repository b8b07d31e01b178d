//! The configuration of one host: what stands in `tapline.yaml`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crate::schema::{OneOrMany, default_is_new, section};
use crate::value::{
    AddressBlock, AddressFamily, Bounded, Congestion, HostTarget, InterfaceAddress, InterfaceName, LinkLocal,
    MacAddr, MaxStartups, Mtu, Name, Native, NetBlockSize, PathPattern, PermitTunnel, ProxyCommand,
    ProxyJump, PublicKey, RekeyLimit, Route, ShellCommand, StrictHostKeyChecking, Tunnel, TunnelDevice, Unit,
    UserName, WindowLimit,
};

section! {
    /// Links, bridges and the server of one host.
    pub struct Config {
        /// Accepts links; leave it out on hosts that only connect.
        "server" => server: Option<Server> = None,
        /// Links that this host opens and keeps up, by name.
        "links" => links: BTreeMap<Name, Link> = BTreeMap::new(),
        /// Bridges, by interface name. One that exists already is used and left as it is found.
        "bridges" => bridges: BTreeMap<InterfaceName, Bridge> = BTreeMap::new(),
    }
}

section! {
    /// What this host accepts.
    pub struct Server {
        /// Addresses and ports to listen on.
        "listen" => listen: Vec<SocketAddr> = vec![
            (Ipv4Addr::UNSPECIFIED, LISTEN_PORT).into(),
            (Ipv6Addr::UNSPECIFIED, LISTEN_PORT).into(),
        ],
        /// Private keys of this host; one that is missing is created, readable by its owner alone.
        "host-keys" => host_keys: Vec<PathPattern> = pattern("/etc/tapline/ssh_host_ed25519_key"),
        /// Certificates of those keys.
        "host-certificates" => host_certificates: Vec<PathPattern> = Vec::new(),
        /// Which tunnels may be opened: no, point-to-point, ethernet, or yes for both. Without this key it is no.
        "permit-tunnel" => permit_tunnel: Option<PermitTunnel> = None,
        /// Keys that may log in, in OpenSSH's format with its options.
        "authorized-keys-files" => authorized_keys_files: Vec<PathPattern> = pattern("/etc/tapline/authorized_keys"),
        /// Authorities whose user certificates may log in.
        "trusted-user-ca-keys" => trusted_user_ca_keys: OneOrMany<PathPattern> = OneOrMany::none(),
        /// Principals of which their certificates have to name one; the user's name counts without it.
        "authorized-principals-file" => authorized_principals_file: Option<PathPattern> = None,
        /// Keys and certificates that are revoked: a list of `ssh-keygen -k`, or public keys, one a line.
        "revoked-keys" => revoked_keys: Option<PathPattern> = None,
        /// Names that may log in. Without this key any name may: names carry no Unix identity here.
        "permit-user" => permit_user: Option<Vec<UserName>> = None,
        /// How long a peer may take to log in; 0 sets no limit.
        "login-grace-time" => login_grace_time: Duration = Duration::from_secs(120),
        /// How many connections may be logging in at once: start:rate:full.
        "max-startups" => max_startups: MaxStartups = MaxStartups::default(),
        /// Attempts to log in on one connection.
        "max-auth-tries" => max_auth_tries: Bounded<1, 100> = Bounded::saturating(6),
        /// Whether addresses that fail to log in are kept waiting.
        "per-source-penalties" => per_source_penalties: bool = true,
        /// Addresses and networks that are never kept waiting.
        "per-source-penalty-exempt-list" => per_source_penalty_exempt_list: Vec<AddressBlock> = Vec::new(),
        /// How many bits of an address make one source, for IPv4 and IPv6: 32:64.
        "per-source-net-block-size" => per_source_net_block_size: NetBlockSize = NetBlockSize::default(),
        /// After this time without a word from a peer it is asked for one; 0 never asks.
        "client-alive-interval" => client_alive_interval: Duration = Duration::from_secs(5),
        /// Questions without an answer after which a peer counts as gone; 0 waits for ever.
        "client-alive-count-max" => client_alive_count_max: u32 = 3,
        /// Traffic and time after which new keys are agreed on.
        "rekey-limit" => rekey_limit: RekeyLimit = RekeyLimit::default(),
        /// Most bytes that the peer may have on its way here; the window follows the path up to it, 256K to 1G.
        "window-limit" => window_limit: WindowLimit = WindowLimit::default(),
        /// Congestion control of the TCP connection: auto takes BBR, if the kernel has it, once the path turns out to
        /// be long or slow; system keeps the system's own; any other word is the kernel's name of one, such as cubic.
        "congestion" => congestion: Congestion = Congestion::Auto,
        /// What the link of a known key becomes on this host, by the name of the peer.
        "accept" => accept: BTreeMap<Name, Accept> = BTreeMap::new(),
    }
}

section! {
    /// What the link of one peer becomes on the host that accepts it.
    pub struct Accept {
        /// The peer's key: the line of its .pub file. Only in a lab it may be left out; the peer then is the host of
        /// this name.
        "public-key" => public_key: Option<PublicKey> = None,
        /// The name that this peer logs in with, where several have the same key; without it any name is this peer's.
        "user" => user: Option<UserName> = None,
        /// The bridge whose port the tap becomes.
        "bridge" => bridge: Option<InterfaceName> = None,
        /// Addresses of the device, with their prefix; as a mapping with the peer's, which is ifconfig's pointopoint.
        "addresses" => addresses: Vec<InterfaceAddress> = Vec::new(),
        /// Routes through the device.
        "routes" => routes: Vec<Route> = Vec::new(),
        /// Largest packet in bytes, without the Ethernet header.
        "mtu" => mtu: Option<Mtu> = None,
        /// MAC address of the tap.
        "macaddress" => macaddress: Option<MacAddr> = None,
        /// Whether router advertisements are followed; the kernel's own default otherwise.
        "accept-ra" => accept_ra: Option<bool> = None,
        /// Link-local addresses that the device gives itself.
        "link-local" => link_local: Option<LinkLocal> = None,
        /// The device on this host, as `tunnel=` of authorized_keys: a number, or any for the next that is free. Without
        /// this key the peer may ask for a number that is free and that nothing here names.
        "tunnel-device" => tunnel_device: Option<Unit> = None,
        /// The name of the device on this host, in the place of tapN or tunN.
        "set-name" => set_name: Option<InterfaceName> = None,
    }
}

section! {
    /// One link that this host opens and keeps up. What is left out is looked up in `ssh_config`.
    pub struct Link {
        required {
            /// Where to: `[user@]host`, or a `Host` of ssh_config.
            "host" => host: HostTarget,
        }
        /// The name to log in with, unless it stands before the host.
        "user" => user: Option<UserName> = None,
        /// The server's port.
        "port" => port: Option<NonZeroU16> = None,
        /// ethernet, or point-to-point for IP packets alone; yes is OpenSSH's word for the latter.
        "tunnel" => tunnel: Tunnel = Tunnel::Ethernet,
        /// Tunnel devices as in `ssh -w`: local:remote, each a number or any.
        "tunnel-device" => tunnel_device: TunnelDevice = TunnelDevice::default(),
        /// The name of the device on this host, in the place of tapN or tunN.
        "set-name" => set_name: Option<InterfaceName> = None,
        /// Private keys to log in with.
        "identity-file" => identity_file: OneOrMany<PathPattern> = OneOrMany::none(),
        /// Certificates to log in with.
        "certificate-file" => certificate_file: OneOrMany<PathPattern> = OneOrMany::none(),
        /// Known host keys, in OpenSSH's format.
        "user-known-hosts-file" => user_known_hosts_file: OneOrMany<PathPattern> = OneOrMany::none(),
        /// What to do with a host key that is not known.
        "strict-host-key-checking" => strict_host_key_checking: Option<StrictHostKeyChecking> = None,
        /// Hosts to go through: `[user@]host[:port]`, several with commas or as a list; none goes straight.
        "proxy-jump" => proxy_jump: Option<ProxyJump> = None,
        /// Host keys that are refused whatever else says of them: key lines or a KRL, as RevokedHostKeys.
        "revoked-host-keys" => revoked_host_keys: OneOrMany<PathPattern> = OneOrMany::none(),
        /// A command for the user's shell after each time the link is up, as LocalCommand; %T is the device.
        "local-command" => local_command: Option<ShellCommand> = None,
        /// A command whose input and output are the connection; none uses a socket.
        "proxy-command" => proxy_command: Option<ProxyCommand> = None,
        /// After this time without a word from the server it is asked for one; 0 never asks.
        "server-alive-interval" => server_alive_interval: Option<Duration> = None,
        /// Questions without an answer after which the link counts as broken.
        "server-alive-count-max" => server_alive_count_max: Option<u32> = None,
        /// How long one attempt to connect may take.
        "connect-timeout" => connect_timeout: Option<Duration> = None,
        /// Which addresses of the host are tried: any, inet for IPv4, inet6 for IPv6.
        "address-family" => address_family: Option<AddressFamily> = None,
        /// The address of this host to connect from.
        "bind-address" => bind_address: Option<IpAddr> = None,
        /// Traffic and time after which new keys are agreed on.
        "rekey-limit" => rekey_limit: Option<RekeyLimit> = None,
        /// Most bytes that the peer may have on its way here; the window follows the path up to it, 256K to 1G.
        "window-limit" => window_limit: WindowLimit = WindowLimit::default(),
        /// Congestion control of the TCP connection: auto takes BBR, if the kernel has it, once the path turns out to
        /// be long or slow; system keeps the system's own; any other word is the kernel's name of one, such as cubic.
        "congestion" => congestion: Congestion = Congestion::Auto,
        /// The bridge whose port the tap becomes.
        "bridge" => bridge: Option<InterfaceName> = None,
        /// Largest packet in bytes, without the Ethernet header.
        "mtu" => mtu: Option<Mtu> = None,
        /// MAC address of the tap.
        "macaddress" => macaddress: Option<MacAddr> = None,
        /// Addresses of the device, with their prefix; as a mapping with the peer's, which is ifconfig's pointopoint.
        "addresses" => addresses: Vec<InterfaceAddress> = Vec::new(),
        /// Routes through the device.
        "routes" => routes: Vec<Route> = Vec::new(),
        /// Whether router advertisements are followed; the kernel's own default otherwise.
        "accept-ra" => accept_ra: Option<bool> = None,
        /// Link-local addresses that the device gives itself.
        "link-local" => link_local: Option<LinkLocal> = None,
        /// SSH connections over which the flows of the link are spread.
        "connections" => connections: Bounded<1, 16> = Bounded::saturating(1),
        /// auto offers Tapline's own channel first and OpenSSH's after it; only and no offer one of them.
        "native" => native: Native = Native::Auto,
    }
}

section! {
    /// One bridge.
    pub struct Bridge {
        /// Interfaces of this host that become its ports.
        "interfaces" => interfaces: Vec<InterfaceName> = Vec::new(),
        /// Addresses of the bridge, with their prefix.
        "addresses" => addresses: Vec<InterfaceAddress> = Vec::new(),
        /// Routes through the bridge.
        "routes" => routes: Vec<Route> = Vec::new(),
        /// Largest packet in bytes, without the Ethernet header.
        "mtu" => mtu: Option<Mtu> = None,
        /// MAC address of the bridge.
        "macaddress" => macaddress: Option<MacAddr> = None,
        /// Whether router advertisements are followed; the kernel's own default otherwise.
        "accept-ra" => accept_ra: Option<bool> = None,
        /// Link-local addresses that the bridge gives itself.
        "link-local" => link_local: Option<LinkLocal> = None,
        /// How the bridge works; the kernel's own defaults otherwise.
        "parameters" => parameters: BridgeParameters = BridgeParameters::default(),
    }
}

section! {
    /// How a bridge works (IEEE 802.1D). Times are in seconds.
    pub struct BridgeParameters {
        /// Whether it speaks the spanning tree protocol.
        "stp" => stp: Option<bool> = None,
        /// Seconds in each of the states before a port forwards.
        "forward-delay" => forward_delay: Option<Bounded<2, 30>> = None,
        /// Seconds between two hellos of the root.
        "hello-time" => hello_time: Option<Bounded<1, 10>> = None,
        /// Seconds after which what the root said is too old.
        "max-age" => max_age: Option<Bounded<6, 40>> = None,
        /// The lowest becomes the root.
        "priority" => priority: Option<Bounded<0, 65535>> = None,
        /// Seconds after which an address that was not heard again is forgotten.
        "ageing-time" => ageing_time: Option<Bounded<0, 1_000_000>> = None,
        /// Whether multicast goes only where somebody listens.
        "mcast-snooping" => mcast_snooping: Option<bool> = None,
    }
}

/// Where a server listens unless told otherwise; 22 is left to sshd.
const LISTEN_PORT: u16 = 2222;

/// A list of one path; none of those above has a `%` in it that could be refused.
fn pattern(path: &str) -> Vec<PathPattern> {
    path.parse().into_iter().collect()
}

default_is_new!(Config, Server, Accept, Bridge, BridgeParameters);
