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
        let number = match value(link, "tunnel-device") {
            Some((TunnelDevice { local: Unit::Number(number), .. }, at)) => Some((number, at)),
            _ => None,
        };
        take(name, link, number, kind(link), (&mut devices, &mut ports), report);
    }
    for (name, accept) in entries(root.value("server").and_then(|server| server.value("accept"))) {
        let number = match value(accept, "tunnel-device") {
            Some((Unit::Number(number), at)) => Some((number, at)),
            _ => None,
        };
        // Without a bridge the peer decides between tap and tun, and either name must be free.
        let tunnel = accept.value("bridge").map(|_| Tunnel::Ethernet);
        take(name, accept, number, tunnel, (&mut devices, &mut ports), report);
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
            if port.as_str() == "lo" {
                let message = "`lo` is the loopback interface and cannot be a port of a bridge";
                report.error(at, message, "name an Ethernet interface; `ip -br link` lists them");
                continue;
            }
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

/// The device of a link gets its name: its own, or that of its number. One that the kernel numbers is not known yet.
fn take(
    name: &Node,
    node: &Node,
    number: Option<(u32, Span)>,
    tunnel: Option<Tunnel>,
    (devices, ports): (&mut Claims, &mut Claims),
    report: &mut Report,
) {
    let owner = format!("{} on line {}", quoted(name.text().unwrap_or_default()), name.span.line);
    let bridge = value::<InterfaceName>(node, "bridge").map(|(bridge, _)| bridge);
    if let Some((own, at)) = value::<InterfaceName>(node, "set-name") {
        if number.is_some() {
            let message = "`set-name` and a number in `tunnel-device` name one device twice";
            report.error(at, message, "keep one of the two");
        }
        if own.as_str() == "lo" {
            report.error(at, "`lo` is the loopback interface", "take another name");
        }
        devices.claim(own.as_str(), &owner, at, report, |device, other| {
            (format!("`{device}` is the tunnel device of {other} already"), "take another name".to_owned())
        });
        if let Some(bridge) = &bridge {
            ports.0.entry(own.to_string()).or_insert_with(|| bridge.to_string());
        }
        return;
    }
    let Some((number, at)) = number else { return };
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
    if let Some(bridge) = bridge {
        ports.0.entry(format!("tap{number}")).or_insert_with(|| bridge.to_string());
    }
}
