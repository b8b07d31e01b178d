//! Each interface has one name and one master.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{entries, items, kind, value};
use crate::diagnostic::{Report, Span, quoted};
use crate::document::Node;
use crate::value::{InterfaceName, Tunnel, TunnelDevice, Unit};

/// Reports tunnel devices that two links want, interfaces that two bridges want, and bridges within bridges.
pub(super) fn check(root: &Node, report: &mut Report) {
    let mut devices = Claims::default();
    let mut ports = Claims::default();
    for (name, link) in entries(root.value("links")) {
        if let Some((TunnelDevice { local: Unit::Number(number), .. }, at)) = value(link, "tunnel-device") {
            take(name, link, number, kind(link), at, (&mut devices, &mut ports), report);
        }
    }
    for (name, accept) in entries(root.value("server").and_then(|server| server.value("accept"))) {
        if let Some((Unit::Number(number), at)) = value(accept, "tunnel-device") {
            // Without a bridge the peer decides between tap and tun, and either name must be free.
            let tunnel = accept.value("bridge").map(|_| Tunnel::Ethernet);
            take(name, accept, number, tunnel, at, (&mut devices, &mut ports), report);
        }
    }
    for (name, bridge) in entries(root.value("bridges")) {
        let Some(name_text) = name.text() else { continue };
        devices.claim(
            name_text,
            &format!("bridge {}", quoted(name_text)),
            name.span,
            report,
            |name, owner| {
                (
                    format!("`{name}` is the tunnel device of {owner} already"),
                    "give the bridge another name".to_owned(),
                )
            },
        );
        for (port, at) in items::<InterfaceName>(bridge.value("interfaces")) {
            let is_bridge =
                root.value("bridges").is_some_and(|bridges| bridges.value(port.as_str()).is_some());
            if is_bridge {
                let message = format!("`{port}` is a bridge and cannot be a port of one");
                report.error(at, message, "put the ports of both into one bridge");
                continue;
            }
            ports.claim(port.as_str(), name_text, at, report, |port, other| {
                let message = format!("`{port}` is a port of bridge `{other}` already");
                (message, "an interface has one bridge; remove one of the two".to_owned())
            });
        }
    }
}

/// Who has which name.
#[derive(Default)]
struct Claims(HashMap<String, String>);

impl Claims {
    /// Gives `name` to `owner`, or reports with the words of `taken` that another has it.
    fn claim(
        &mut self,
        name: &str,
        owner: &str,
        at: Span,
        report: &mut Report,
        taken: impl FnOnce(&str, &str) -> (String, String),
    ) {
        match self.0.entry(name.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(owner.to_owned());
            }
            Entry::Occupied(other) => {
                if other.get() != owner {
                    let (message, hint) = taken(name, other.get());
                    report.error(at, message, hint);
                }
            }
        }
    }
}

fn take(
    name: &Node,
    node: &Node,
    number: u32,
    tunnel: Option<Tunnel>,
    at: Span,
    (devices, ports): (&mut Claims, &mut Claims),
    report: &mut Report,
) {
    let owner = format!("{} on line {}", quoted(name.text().unwrap_or_default()), name.span.line);
    let before = report.count();
    for (kind, device) in
        [(Tunnel::Ethernet, format!("tap{number}")), (Tunnel::PointToPoint, format!("tun{number}"))]
    {
        // One complaint is enough when both names are taken by the same.
        if tunnel.is_none_or(|tunnel| tunnel == kind) && report.count() == before {
            devices.claim(&device, &owner, at, report, |device, other| {
                let message = format!("{device} is the tunnel device of {other} already");
                (message, "take another number, or `any`".to_owned())
            });
        }
    }
    if let Some((bridge, _)) = value::<InterfaceName>(node, "bridge") {
        ports.0.entry(format!("tap{number}")).or_insert_with(|| bridge.to_string());
    }
}
