//! A lab: several hosts as namespaces of one machine, the networks between them, and what must work in the end.

mod check;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value as Json;

pub(crate) use self::check::check;
use crate::configuration::Config;
use crate::diagnostic::Report;
use crate::document::Node;
use crate::schema::{Definitions, Element, default_is_new, is_misspelt, section};
use crate::value::{Bounded, InterfaceName, Mtu, Name, Route, ZonedAddr};

section! {
    /// Hosts, the networks between them, and checks.
    pub struct Lab {
        /// Networks by name, each one segment of layer 2. A host's interface has the name of its network.
        "networks" => networks: BTreeMap<InterfaceName, Network> = BTreeMap::new(),
        /// Hosts by name, each with a network stack of its own.
        "hosts" => hosts: BTreeMap<Name, Host> = BTreeMap::new(),
        /// What must work, one after the other.
        "checks" => checks: Vec<Check> = Vec::new(),
    }
}

section! {
    /// One segment of layer 2.
    pub struct Network {
        /// Largest packet in bytes, without the Ethernet header, for every interface in it.
        "mtu" => mtu: Option<Mtu> = None,
    }
}

section! {
    /// One host.
    pub struct Host {
        /// Its interfaces, by the network they are in.
        "interfaces" => interfaces: BTreeMap<InterfaceName, Attachment> = BTreeMap::new(),
        /// Routes besides those that its addresses bring.
        "routes" => routes: Vec<Route> = Vec::new(),
        /// Whether it forwards packets between its interfaces.
        "forwarding" => forwarding: bool = false,
        /// What Tapline does on it. The lab makes the keys, tells the hosts about each other's, and puts them in the
        /// place of key files that are left out.
        "tapline" => tapline: Option<Config> = None,
    }
}

section! {
    /// A host's interface in a network.
    pub struct Attachment {
        /// Addresses of the interface, with their prefix.
        "addresses" => addresses: Vec<IpNet> = Vec::new(),
        /// Largest packet in bytes, without the Ethernet header; the network's otherwise.
        "mtu" => mtu: Option<Mtu> = None,
    }
}

/// Something that must work in the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What the result calls it; [`Check::title`] has words for a check without a name.
    pub name: Option<String>,
    /// The host that tries.
    pub from: Name,
    /// How long it may take until the check passes.
    pub within: Duration,
    /// What is tried.
    pub probe: Probe,
}

/// What a check tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An address answers ICMP echo requests.
    Ping {
        /// Who must answer.
        address: ZonedAddr,
        /// Answers wanted.
        count: u32,
    },
    /// Hosts answer an ICMPv6 echo request to a group.
    Multicast {
        /// The group and the interface to send from.
        group: ZonedAddr,
        /// Hosts that must answer, each from an address of its own; never empty.
        replies_from: Vec<Name>,
    },
    /// One TCP stream, whose rate is told.
    Throughput {
        /// The address of the receiving host.
        address: ZonedAddr,
        /// The receiving host.
        to: Name,
        /// Seconds of sending.
        seconds: u32,
    },
}

section! {
    /// A check: exactly one of ping, multicast and throughput, and its keys.
    pub(crate) struct CheckKeys {
        required {
            /// The host that tries.
            "from" => from: Name,
        }
        /// What the result calls the check.
        "name" => name: Option<String> = None,
        /// How long it may take until the check passes.
        "within" => within: Duration = Duration::from_secs(10),
        /// An address that must answer; a link-local one with `%interface`.
        "ping" => ping: Option<ZonedAddr> = None,
        /// Answers to a ping that are wanted.
        "count" => count: Option<Bounded<1, 1000>> = None,
        /// An IPv6 group with `%interface`, such as ff02::1%br-lab, whose members must answer.
        "multicast" => multicast: Option<ZonedAddr> = None,
        /// Hosts that must answer the multicast.
        "replies-from" => replies_from: Option<Vec<Name>> = None,
        /// An address to which one TCP stream is sent.
        "throughput" => throughput: Option<ZonedAddr> = None,
        /// The host that has this address.
        "to" => to: Option<Name> = None,
        /// Seconds of sending.
        "seconds" => seconds: Option<Bounded<1, 600>> = None,
    }
}

const PROBES: [&str; 3] = ["ping", "multicast", "throughput"];
const PING_COUNT: u32 = 3;
const THROUGHPUT_SECONDS: u32 = 3;

impl Check {
    /// A line that tells this check from others.
    #[must_use]
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}: {}", self.from, self.probe))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping { address, .. } => write!(f, "ping {address}"),
            Self::Multicast { group, .. } => write!(f, "multicast {group}"),
            Self::Throughput { address, to, .. } => write!(f, "throughput to {to} ({address})"),
        }
    }
}

impl Element for Check {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let keys = CheckKeys::parse(node, report)?;
        let tried: Vec<_> =
            PROBES.iter().filter_map(|probe| node.value(probe).map(|value| (probe, value))).collect();
        match tried.as_slice() {
            [_] => {}
            [] => {
                if !report.is_truncated() && !PROBES.iter().any(|probe| is_misspelt(node, probe)) {
                    let hint = "add `ping: ADDRESS`, `multicast: GROUP%INTERFACE` or `throughput: ADDRESS`";
                    report.error(node.span, "this check tries nothing", hint);
                }
                return None;
            }
            [(first, _), (second, at), ..] => {
                let message = format!("one check cannot try `{first}` and `{second}`");
                report.error(at.span, message, "write a check for each");
                return None;
            }
        }
        let CheckKeys { from, name, within, ping, count, multicast, replies_from, throughput, to, seconds } =
            keys;
        let probe = match (ping, multicast, throughput) {
            (Some(address), ..) => Probe::Ping { address, count: count.map_or(PING_COUNT, Bounded::get) },
            (_, Some(group), _) => Probe::Multicast { group, replies_from: replies_from? },
            (.., Some(address)) => Probe::Throughput {
                address,
                to: to?,
                seconds: seconds.map_or(THROUGHPUT_SECONDS, Bounded::get),
            },
            _ => return None,
        };
        Some(Self { name, from, within, probe })
    }

    fn to_json(&self) -> Json {
        let mut keys =
            CheckKeys { name: self.name.clone(), within: self.within, ..CheckKeys::new(self.from.clone()) };
        match self.probe.clone() {
            Probe::Ping { address, count } => {
                keys.ping = Some(address);
                keys.count = Bounded::new(count);
            }
            Probe::Multicast { group, replies_from } => {
                keys.multicast = Some(group);
                keys.replies_from = Some(replies_from);
            }
            Probe::Throughput { address, to, seconds } => {
                keys.throughput = Some(address);
                keys.to = Some(to);
                keys.seconds = Bounded::new(seconds);
            }
        }
        keys.to_json()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        CheckKeys::schema(definitions)
    }
}

default_is_new!(Lab, Network, Host, Attachment);

#[cfg(test)]
mod tests;
