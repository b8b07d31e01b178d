//! What depends on two places of a lab file.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::PROBES;
use crate::check::{Keys, configuration, entries, items, names, unknown_name, value};
use crate::diagnostic::{Report, quoted};
use crate::document::{Node, START};
use crate::schema::{is_misspelt, missing};
use crate::value::{InterfaceName, Name, ZonedAddr};

/// Keys that belong to one probe each, and whether it needs them.
const BELONGS: [(&str, &str, bool); 4] = [
    ("count", "ping", false),
    ("replies-from", "multicast", true),
    ("to", "throughput", true),
    ("seconds", "throughput", false),
];

/// Checks a lab, the configurations of its hosts included.
pub(crate) fn check(root: &Node, report: &mut Report) {
    let hosts = names(root.value("hosts"));
    let networks = names(root.value("networks"));
    if hosts.is_empty() && !is_misspelt(root, "hosts") {
        report.error(START, "a lab without hosts", "add `hosts:` and at least one name below it");
    }
    let mut addresses: HashMap<(&str, IpAddr), &str> = HashMap::new();
    for (name, host) in entries(root.value("hosts")) {
        for (network, attachment) in entries(host.value("interfaces")) {
            let (Some(name), Some(wanted)) = (name.text(), network.text()) else { continue };
            let is_known = networks.contains(&wanted) || is_misspelt(root, "networks");
            if !is_known && wanted.parse::<InterfaceName>().is_ok() {
                let message = format!("the network {} is not among `networks`", quoted(wanted));
                report.error_with(network.span, message, || unknown_name(wanted, &networks));
            }
            for (net, at) in items::<IpNet>(attachment.value("addresses")) {
                if let Some(other) = addresses.insert((wanted, net.addr()), name) {
                    let message =
                        format!("{} in network `{wanted}` is the address of `{other}` already", net.addr());
                    report.error(at, message, "give every host an address of its own");
                }
            }
        }
        if let Some(tapline) = host.value("tapline") {
            configuration(tapline, Keys::OfHosts(&hosts), report);
        }
    }
    for check in root.value("checks").map_or(&[][..], Node::items) {
        for key in ["from", "to"] {
            known_host(check.value(key), &hosts, report);
        }
        for host in check.value("replies-from").map_or(&[][..], Node::items) {
            known_host(Some(host), &hosts, report);
        }
        keys(check, report);
        target(check, root, report);
    }
}

fn known_host(name: Option<&Node>, hosts: &[&str], report: &mut Report) {
    let Some(node) = name else { return };
    if let Some(name) = node.text().filter(|name| name.parse::<Name>().is_ok() && !hosts.contains(name)) {
        let message = format!("{} is no host of this lab", quoted(name));
        report.error_with(node.span, message, || unknown_name(name, hosts));
    }
}

/// Each key of a check beside the probe that it belongs to.
fn keys(check: &Node, report: &mut Report) {
    let tried: Vec<&str> = PROBES.into_iter().filter(|probe| check.value(probe).is_some()).collect();
    let [tried] = tried.as_slice() else { return };
    for (key, probe, is_needed) in BELONGS {
        let found = entries(Some(check)).find(|(name, _)| name.text() == Some(key));
        match found {
            Some((name, _)) if probe != *tried => {
                report.error(
                    name.span,
                    format!("`{key}` belongs to `{probe}`, not to `{tried}`"),
                    "remove it",
                );
            }
            None if probe == *tried && is_needed => missing(check, key, "", report),
            _ => {}
        }
    }
    if let Some(list) = check.value("replies-from")
        && list.kind() == "a list"
        && list.items().is_empty()
    {
        report.error(list.span, "nobody is to answer", "name one host at least");
    }
}

/// The address that a check is about, and the interface it names.
fn target(check: &Node, root: &Node, report: &mut Report) {
    for probe in PROBES {
        let Some((ZonedAddr { address, interface }, at)) = value(check, probe) else { continue };
        match (probe, address) {
            ("multicast", IpAddr::V6(group)) if group.is_multicast() => {}
            ("multicast", _) => {
                report.error(at, format!("{address} is no IPv6 group"), "ff02::1 is the group of all nodes");
            }
            (_, address) if address.is_multicast() => {
                report.error(at, format!("{address} is a group"), "use `multicast:` for it");
            }
            _ => {}
        }
        let from = check.value("from").and_then(Node::text);
        let host = from.and_then(|from| root.value("hosts")?.value(from));
        if let (Some(interface), Some(from), Some(host)) = (interface, from, host) {
            let bridges = host.value("tapline").and_then(|tapline| tapline.value("bridges"));
            let mut known = names(host.value("interfaces"));
            known.extend(names(bridges));
            let name = interface.as_str();
            // The numbers of tunnel devices are the kernel's to choose.
            let is_tunnel = name.starts_with("tap") || name.starts_with("tun") || name == "lo";
            if !is_tunnel && !known.contains(&name) {
                let message = format!("`{from}` has no interface {}", quoted(name));
                report.error_with(at, message, || unknown_name(name, &known));
            }
        }
    }
}
