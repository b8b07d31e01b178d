//! The network as it will be, planned on paper: what two interfaces have in common that they should not, and what
//! cannot work. The kernel is not asked; what only it knows is passed over.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{entries, items, kind, value};
use crate::diagnostic::{Report, Span, quoted};
use crate::document::Node;
use crate::schema::Element;
use crate::value::{
    Bounded, InterfaceAddress, InterfaceName, LinkLocal, MacAddr, Mtu, Native, Route, Tunnel,
};

/// What a tap or tun has unless told otherwise.
const DEFAULT_MTU: u32 = 1500;
/// The largest packet of a stock OpenSSH, which reads a frame of 16,384 bytes at most.
const STOCK_MTU: u32 = 16_370;
/// Seconds that a bridge port listens and learns each, unless told otherwise (IEEE 802.1D).
const DEFAULT_FORWARD_DELAY: u32 = 15;

/// A link, an accepted link or a bridge.
struct Interface<'a> {
    /// What it is called in a message.
    what: String,
    node: &'a Node,
    tunnel: Option<Tunnel>,
    bridge: Option<String>,
    addresses: Vec<(InterfaceAddress, Span)>,
    routes: Vec<(Route, Span)>,
}

/// Reports what two interfaces of the file have in common that they should not, and what cannot work.
pub(super) fn check(root: &Node, report: &mut Report) {
    let mut all = Vec::new();
    for (name, link) in entries(root.value("links")) {
        all.push(Interface::new(format!("link {}", text(name)), link, kind(link)));
    }
    for (name, accept) in entries(root.value("server").and_then(|server| server.value("accept"))) {
        // The peer chooses between tap and tun.
        all.push(Interface::new(format!("{} under `accept`", text(name)), accept, None));
    }
    let ports = all.len();
    for (name, bridge) in entries(root.value("bridges")) {
        all.push(Interface::new(format!("bridge {}", text(name)), bridge, None));
        spanning_tree(bridge, report);
    }
    addresses(&all, report);
    mac_addresses(&all, report);
    routes(&all, report);
    let all_ports = all.get(..ports).unwrap_or_default();
    for port in all_ports {
        port_settings(port, report);
        stock_mtu(port, report);
    }
    for (name, bridge) in entries(root.value("bridges")) {
        let ports: Vec<_> = all_ports.iter().filter(|port| port.bridge.as_deref() == name.text()).collect();
        bridge_mtu(name, bridge, &ports, report);
    }
}

impl<'a> Interface<'a> {
    fn new(what: String, node: &'a Node, tunnel: Option<Tunnel>) -> Self {
        let route = |item: &Node| {
            let at = item.value("to").map_or(item.span, |to| to.span);
            Route::parse(item, &mut Report::default()).map(|route| (route, at))
        };
        Self {
            what,
            node,
            tunnel,
            bridge: value::<InterfaceName>(node, "bridge").map(|(bridge, _)| bridge.to_string()),
            addresses: items(node.value("addresses")).collect(),
            routes: node.value("routes").map_or(&[][..], Node::items).iter().filter_map(route).collect(),
        }
    }
}

fn text(name: &Node) -> String {
    quoted(name.text().unwrap_or_default())
}

/// An address is one interface's. Links with one other end may share theirs, and link-local ones mean nothing beyond
/// their interface.
fn addresses(all: &[Interface<'_>], report: &mut Report) {
    let mut taken: Vec<(InterfaceAddress, &str, usize)> = Vec::new();
    for (index, interface) in all.iter().enumerate() {
        for (address, at) in &interface.addresses {
            if is_shareable(address) {
                continue;
            }
            let mine = address.net;
            let other = taken.iter().find(|(other, ..)| other.net.addr() == mine.addr()).or_else(|| {
                taken.iter().find(|(other, _, at)| *at != index && other.net.trunc() == mine.trunc())
            });
            if let Some((other, what, _)) = other {
                let message = if other.net.addr() == mine.addr() {
                    format!("{} is an address of {what} too", mine.addr())
                } else {
                    format!("{what} has an address in {} too", mine.trunc())
                };
                let hint = "an address, and the network around it, is one interface's; to have both in one network, make them ports of one bridge and give the address to that";
                report.warning(*at, message, hint);
            }
            taken.push((*address, &interface.what, index));
        }
    }
}

fn is_shareable(address: &InterfaceAddress) -> bool {
    let is_link_local = match address.net.addr() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    is_link_local || address.peer.is_some() || address.net.prefix_len() == address.net.max_prefix_len()
}

fn mac_addresses(all: &[Interface<'_>], report: &mut Report) {
    let mut taken: HashMap<MacAddr, &str> = HashMap::new();
    for interface in all {
        let Some((address, at)) = value::<MacAddr>(interface.node, "macaddress") else { continue };
        if let Some(other) = taken.insert(address, &interface.what) {
            let message = format!("{address} is the MAC address of {other} too");
            report.warning(at, message, "give every interface an address of its own, or none");
        }
    }
}

/// The kernel has one route for a destination and a metric, whichever the interface.
fn routes(all: &[Interface<'_>], report: &mut Report) {
    let mut taken: HashMap<(IpNet, u32), String> = HashMap::new();
    for interface in all {
        for (route, at) in &interface.routes {
            let metric = effective_metric(route);
            if let Some(other) = taken.insert((route.to, metric), interface.what.clone()) {
                let message = format!("{other} has a route to {} with metric {metric} already", route.to);
                report.error(*at, message, "give one of them another `metric`; the lower is preferred");
            }
            next_hop(interface, route, *at, report);
        }
    }
}

/// What the kernel makes of a metric that is left out; it has no IPv6 route with 0.
pub(crate) fn effective_metric(route: &Route) -> u32 {
    match (route.to, route.metric) {
        (IpNet::V4(_), metric) => metric.unwrap_or(0),
        (IpNet::V6(_), None | Some(0)) => 1024,
        (IpNet::V6(_), Some(metric)) => metric,
    }
}

/// A next hop is a neighbour: an address or another route of the interface leads to it. What router advertisements
/// bring is not known here.
fn next_hop(interface: &Interface<'_>, route: &Route, at: Span, report: &mut Report) {
    let Some(via) = route.via.filter(|_| !route.on_link) else { return };
    let is_link_local = matches!(via, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let learns = via.is_ipv6() && matches!(value(interface.node, "accept-ra"), Some((true, _)) | None);
    let covered = |(address, _): &(InterfaceAddress, Span)| {
        let network = IpNet::new(address.peer.unwrap_or(address.net.addr()), address.net.prefix_len());
        network.is_ok_and(|network| network.contains(&via))
    };
    let leads = |(other, _): &(Route, Span)| other.via.is_none() && other.to.contains(&via);
    // On a port it is not the missing address that is wrong.
    if is_link_local
        || learns
        || interface.bridge.is_some()
        || interface.addresses.iter().any(covered)
        || interface.routes.iter().any(leads)
    {
        return;
    }
    if let Some((own, _)) = interface.addresses.iter().find(|(address, _)| address.net.addr() == via) {
        let message = format!("{via} is this interface's own address, {}", own.net);
        report.warning(at, message, "write the address of the next hop");
        return;
    }
    let message = format!("the next hop {via} is in no network of {}", interface.what);
    let hint = "give the interface an address in the network of the next hop, or write `on-link: true`";
    report.warning(at, message, hint);
}

/// A port hands on what it hears; only the bridge itself answers.
fn port_settings(port: &Interface<'_>, report: &mut Report) {
    let Some(bridge) = port.bridge.as_deref().filter(|_| port.tunnel != Some(Tunnel::PointToPoint)) else {
        return;
    };
    let says_something = |key: &str, node: &Node| match key {
        "accept-ra" => matches!(value(port.node, key), Some((true, _))),
        "link-local" => {
            value(port.node, key).is_some_and(|(local, _): (LinkLocal, _)| local.ipv4 || local.ipv6)
        }
        _ => !node.items().is_empty(),
    };
    for key in ["addresses", "routes", "accept-ra", "link-local"] {
        let entry = entries(Some(port.node)).find(|(name, _)| name.text() == Some(key));
        if let Some((name, _)) = entry.filter(|(_, node)| says_something(key, node)) {
            let message = format!("a port of a bridge has no `{key}` of its own: nothing would answer there");
            let hint =
                format!("move it to the bridge: `bridges: {{{bridge}: {{{key}: ...}}}}`, or remove `bridge`");
            report.error(name.span, message, hint);
        }
    }
}

fn stock_mtu(port: &Interface<'_>, report: &mut Report) {
    let Some((mtu, at)) = value::<Mtu>(port.node, "mtu").filter(|(mtu, _)| mtu.get() > STOCK_MTU) else {
        return;
    };
    match value(port.node, "native") {
        Some((Native::Only, _)) => {}
        _ => {
            let message = format!("a stock OpenSSH takes packets of {STOCK_MTU} bytes at most, not of {mtu}");
            let hint = if port.node.value("host").is_some() {
                format!("write {STOCK_MTU}, or `native: only` where the other side is Tapline")
            } else {
                format!("write {STOCK_MTU}, unless this peer is Tapline")
            };
            report.warning(at, message, hint);
        }
    }
}

/// A bridge without an MTU of its own takes the least of its ports', and one with its own has frames that a smaller
/// port drops.
fn bridge_mtu(name: &Node, bridge: &Node, ports: &[&Interface<'_>], report: &mut Report) {
    let own = value::<Mtu>(bridge, "mtu").map(|(mtu, _)| mtu.get());
    let of = |port: &Interface<'_>| value::<Mtu>(port.node, "mtu").map_or(DEFAULT_MTU, |(mtu, _)| mtu.get());
    let interfaces = !bridge.value("interfaces").map_or(&[][..], Node::items).is_empty();
    let most =
        ports.iter().map(|port| of(port)).max().into_iter().chain(interfaces.then_some(DEFAULT_MTU)).max();
    let Some(expected) = own.or(most) else { return };
    for port in ports {
        let mtu = of(port);
        if mtu >= expected {
            continue;
        }
        let at = value::<Mtu>(port.node, "mtu").map_or(port.node.name, |(_, at)| at);
        let (bridge, what) = (text(name), &port.what);
        let (message, hint) = match own {
            Some(own) => (
                format!("{what} takes packets of {mtu} bytes, and its bridge {bridge} carries up to {own}"),
                "what is larger is lost without a word; write the same `mtu` for the bridge and all its ports",
            ),
            None => (
                format!("{what} takes packets of {mtu} bytes, and the bridge {bridge} shrinks to that"),
                "others in the bridge send larger ones, which are lost; write the same `mtu` for the bridge and all its ports",
            ),
        };
        report.warning(at, message, hint);
    }
}

fn spanning_tree(bridge: &Node, report: &mut Report) {
    let Some(parameters) = bridge.value("parameters") else { return };
    let Some((true, at)) = value::<bool>(parameters, "stp") else { return };
    let delay = match value::<Bounded<2, 30>>(parameters, "forward-delay") {
        Some((delay, _)) => delay.get(),
        None => DEFAULT_FORWARD_DELAY,
    };
    let message = format!(
        "with the spanning tree a link carries nothing for {} s each time it comes up",
        2_u32.saturating_mul(delay)
    );
    let hint =
        "leave `stp` out where the bridges form no loop; where they do, `forward-delay: 2` makes it 4 s";
    report.warning(
        at,
        message,
        if delay > 2 { hint } else { "leave `stp` out where the bridges form no loop" },
    );
}
