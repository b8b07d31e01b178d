//! What depends on two places of a configuration.
//!
//! These checks walk the document and not the parsed value, so that one wrong value does not hide what is wrong
//! between the others. Values that cannot be read have been reported by then and are passed over here.

mod devices;
mod paper;

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::diagnostic::{Report, Span, quoted};
use crate::document::Node;
use crate::nearest::nearest;
use crate::schema::{Element, is_misspelt, missing};
use crate::value::{
    Bounded, HostTarget, InterfaceAddress, InterfaceName, Mtu, Native, PermitTunnel, ProxyCommand, ProxyJump,
    PublicKey, Tunnel, UserName,
};

/// RFC 8200, section 5: the least packet size every IPv6 link carries, in bytes.
const IPV6_LEAST_MTU: u32 = 1280;

/// Where the keys of peers come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keys<'a> {
    /// From the file.
    Written,
    /// From the lab, for hosts of these names.
    OfHosts(&'a [&'a str]),
}

/// Checks one configuration, wherever in the document it stands.
pub(crate) fn configuration(root: &Node, keys: Keys<'_>, report: &mut Report) {
    let bridges = names(root.value("bridges"));
    let bridges = (!bridges.is_empty() || !is_misspelt(root, "bridges")).then_some(bridges);
    for (_, link) in entries(root.value("links")) {
        self::link(link, report);
        endpoint(link, kind(link), bridges.as_deref(), report);
    }
    for (_, bridge) in entries(root.value("bridges")) {
        ipv6_needs_room(bridge, report);
    }
    if let Some(node) = root.value("server") {
        server(node, keys, report);
        for (_, accept) in entries(node.value("accept")) {
            endpoint(accept, None, bridges.as_deref(), report);
        }
    }
    devices::check(root, report);
    paper::check(root, report);
}

/// The value behind `key` and its place, when it can be read.
pub(crate) fn value<T: Element>(node: &Node, key: &str) -> Option<(T, Span)> {
    let value = node.value(key)?;
    T::parse(value, &mut Report::default()).map(|read| (read, value.span))
}

/// Every item of a list that can be read, and its place.
pub(crate) fn items<T: Element>(list: Option<&Node>) -> impl Iterator<Item = (T, Span)> {
    let items = list.map_or(&[][..], Node::items);
    items.iter().filter_map(|item| T::parse(item, &mut Report::default()).map(|read| (read, item.span)))
}

/// Names and values of a mapping by name.
pub(crate) fn entries(map: Option<&Node>) -> impl Iterator<Item = (&Node, &Node)> {
    map.map_or(&[][..], Node::entries).iter().map(|(name, value)| (name, value))
}

pub(crate) fn names(map: Option<&Node>) -> Vec<&str> {
    entries(map).filter_map(|(name, _)| name.text()).collect()
}

fn kind(link: &Node) -> Option<Tunnel> {
    match link.value("tunnel") {
        Some(_) => value(link, "tunnel").map(|(tunnel, _)| tunnel),
        None => Some(Tunnel::Ethernet),
    }
}

fn link(link: &Node, report: &mut Report) {
    if let (Some((HostTarget { user: Some(first), .. }, _)), Some((second, at))) =
        (value(link, "host"), value::<UserName>(link, "user"))
        && first != second
    {
        let message = format!("the user is {first} before the host and {second} here");
        report.error(at, message, "keep one of the two");
    }
    if let (Some((ProxyJump::Through(_), _)), Some((ProxyCommand::Command(_), at))) =
        (value(link, "proxy-jump"), value(link, "proxy-command"))
    {
        report.error(at, "`proxy-command` and `proxy-jump` exclude each other", "keep one of the two");
    }
    if let (Some((connections, _)), Some((Native::No, at))) =
        (value::<Bounded<1, 16>>(link, "connections"), value(link, "native"))
        && connections.get() > 1
    {
        let message = format!("{connections} connections for one link need Tapline's own channel");
        report.error(at, message, "write `native: only`, or leave `connections` out");
    }
}

/// What a link has in common with what a server makes of one. The `tunnel` of the latter is the peer's to choose.
/// `bridges` are those of the file, if it can be told which it has.
fn endpoint(node: &Node, tunnel: Option<Tunnel>, bridges: Option<&[&str]>, report: &mut Report) {
    if tunnel == Some(Tunnel::PointToPoint) {
        for key in ["bridge", "macaddress"] {
            if let Some(value) = node.value(key) {
                let message =
                    format!("a point-to-point tunnel carries no Ethernet, so that `{key}` cannot apply");
                report.error(value.span, message, format!("write `tunnel: ethernet`, or remove `{key}`"));
            }
        }
    }
    ipv6_needs_room(node, report);
    let Some((bridge, at)) = value::<InterfaceName>(node, "bridge") else { return };
    if let Some(bridges) = bridges
        && !bridges.contains(&bridge.as_str())
    {
        let message = format!("the bridge `{bridge}` is not among `bridges`");
        report.error_with(at, message, || match nearest(bridge.as_str(), bridges.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => {
                format!("add it: `bridges: {{{bridge}: {{}}}}`; one that exists already is used as it is")
            }
        });
    }
}

fn ipv6_needs_room(node: &Node, report: &mut Report) {
    let Some((mtu, at)) = value::<Mtu>(node, "mtu") else { return };
    let is_v6 = items::<InterfaceAddress>(node.value("addresses"))
        .any(|(address, _)| address.net.addr().is_ipv6())
        || matches!(value(node, "accept-ra"), Some((true, _)));
    if is_v6 && mtu.get() < IPV6_LEAST_MTU {
        let message = format!("an mtu of {mtu} leaves no room for IPv6");
        report.error(at, message, format!("IPv6 needs {IPV6_LEAST_MTU} at least (RFC 8200)"));
    }
}

fn server(node: &Node, keys: Keys<'_>, report: &mut Report) {
    listening(node, report);
    accepting(node, report);
    naming(node, report);
    let permitted: Option<Vec<UserName>> = value(node, "permit-user").map(|(users, _)| users);
    let mut seen: HashMap<(Vec<u8>, Option<String>), String> = HashMap::new();
    for (name, accept) in entries(node.value("accept")) {
        let Some(peer) = name.text() else { continue };
        if accept.value("public-key").is_none() {
            match keys {
                Keys::Written => missing(
                    accept,
                    "public-key",
                    "add the line of the peer's .pub file: `public-key: ssh-ed25519 AAAA...`",
                    report,
                ),
                Keys::OfHosts(hosts) if !hosts.contains(&peer) => {
                    let message = format!("{} is no host of this lab and has no `public-key`", quoted(peer));
                    report.error_with(name.span, message, || unknown_name(peer, hosts));
                }
                Keys::OfHosts(_) => {}
            }
        }
        let user = value::<UserName>(accept, "user");
        if let (Some(permitted), Some((user, at))) = (&permitted, &user)
            && !permitted.contains(user)
        {
            let message = format!("{user} is not among `permit-user`, so that this link is refused");
            report.error(*at, message, "add the name to `permit-user`");
        }
        if let Some((key, at)) = value::<PublicKey>(accept, "public-key")
            && let user = user.map(|(user, _)| user.as_str().to_owned())
            && let Some(other) = seen.insert((key.blob().to_vec(), user), peer.to_owned())
        {
            report.error(
                at,
                format!("this is the key of `{other}` too"),
                "give every peer a key of its own, or a `user` of its own to log in with",
            );
        }
    }
}

fn listening(node: &Node, report: &mut Report) {
    if let Some(list) = node.value("host-keys")
        && list.kind() == "a list"
        && list.items().is_empty()
    {
        let hint =
            "remove `host-keys` to have /etc/tapline/ssh_host_ed25519_key, which is created when missing";
        report.error(list.span, "a server without a host key", hint);
    }
    if let Some(list) = node.value("listen")
        && list.kind() == "a list"
        && list.items().is_empty()
    {
        report.error(
            list.span,
            "a server without an address to listen on",
            "remove `listen` to listen on port 2222",
        );
    }
    let sockets: Vec<(SocketAddr, Span)> = items(node.value("listen")).collect();
    for (socket, at) in &sockets {
        let wildcard = sockets.iter().map(|(other, _)| other).find(|other| {
            other.ip().is_unspecified()
                && !socket.ip().is_unspecified()
                && other.is_ipv4() == socket.is_ipv4()
                && other.port() == socket.port()
        });
        if let Some(wildcard) = wildcard {
            report.error(*at, format!("{wildcard} listens on this address too"), "keep one of the two");
        }
    }
}

/// A certificate is for users by name, and peers choose their name: something has to say which names count.
fn naming(node: &Node, report: &mut Report) {
    let keys = ["permit-user", "authorized-principals-file"];
    // A key that is near, and right as it is.
    let mut others =
        entries(Some(node)).filter_map(|(name, _)| name.text()).filter(|name| *name != "permit-tunnel");
    if others.any(|name| keys.contains(&name) || nearest(name, keys).is_some()) {
        return;
    }
    if let Some(authorities) = node.value("trusted-user-ca-keys")
        && !(authorities.kind() == "a list" && authorities.items().is_empty())
    {
        report.error(
            authorities.span,
            "certificates are for users by name, and here any name may log in",
            "add `permit-user: [NAME, ...]`, or `authorized-principals-file: FILE` with the principals that count",
        );
    }
}

/// A server that refuses what it is told to accept is a mistake, unless `permit-tunnel: no` says so in as many words.
fn accepting(node: &Node, report: &mut Report) {
    let permit = match node.value("permit-tunnel") {
        Some(_) => match value(node, "permit-tunnel") {
            Some((PermitTunnel::PointToPoint, _)) => PermitTunnel::PointToPoint,
            _ => return,
        },
        None if is_misspelt(node, "permit-tunnel") => return,
        None => PermitTunnel::No,
    };
    for (name, accept) in entries(node.value("accept")) {
        let bridge = entries(Some(accept)).find(|(key, _)| key.text() == Some("bridge"));
        let at = match (permit, bridge) {
            (PermitTunnel::PointToPoint, None) => continue,
            (_, Some((bridge, _))) => bridge.span,
            _ => name.span,
        };
        let message = match permit {
            PermitTunnel::PointToPoint => {
                "a bridge takes Ethernet, and the server permits point-to-point only"
            }
            _ => "the server permits no tunnel, so that this link is refused",
        };
        report.error(at, message, "add `permit-tunnel: ethernet` to `server`");
    }
}

/// A hint for a name that is none of `known`.
pub(crate) fn unknown_name(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "none is defined here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;
