//! The network drawn on paper by the planner that the daemon uses, for a host where nothing is in the way.

use tapline_config::{Diagnostic, Loaded, Tunnel, Unit};
use tapline_control::{Conflict, Desired, InterfaceName, Link, Observed, Owned, plan};

use super::split;
use crate::daemon::{accepted_device, bridges, link_device};

/// What the daemon would find impossible, whatever the kernel says.
pub(super) fn conflicts(loaded: &Loaded) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let mut desired = bridges(config);
    for link in config.links.values() {
        let device = device(link.set_name.as_ref(), link.tunnel_device.local, link.tunnel, &desired);
        desired.interfaces.extend(device.map(|device| (device, link_device(link))));
    }
    for accept in config.server.iter().flat_map(|server| server.accept.values()) {
        let device = device(
            accept.set_name.as_ref(),
            accept.tunnel_device.unwrap_or(Unit::Any),
            Tunnel::Ethernet,
            &desired,
        );
        desired.interfaces.extend(device.map(|device| (device, accepted_device(accept))));
    }
    let mut observed = Observed::default();
    for (name, index) in desired.interfaces.keys().zip(1..) {
        observed.links.insert(name.clone(), Link { index, mtu: 1500, ..Link::default() });
    }
    let found = plan(&desired, &observed, &Owned::default()).conflicts;
    found.iter().map(|conflict| told(conflict, loaded)).collect()
}

/// The name that the device will have, or one that stands for it.
fn device(
    set_name: Option<&tapline_config::InterfaceName>,
    unit: Unit,
    tunnel: Tunnel,
    desired: &Desired,
) -> Option<InterfaceName> {
    let kind = if tunnel == Tunnel::Ethernet { "tap" } else { "tun" };
    match (set_name, unit) {
        (Some(name), _) => name.as_str().parse().ok(),
        (None, Unit::Number(number)) => format!("{kind}{number}").parse().ok(),
        (None, Unit::Any) => format!("any.{}", desired.interfaces.len()).parse().ok(),
    }
}

fn told(conflict: &Conflict, loaded: &Loaded) -> Diagnostic {
    let (message, hint) = split(&conflict.to_string());
    let bridge = match conflict {
        Conflict::Timer { bridge, .. } | Conflict::NotABridge { name: bridge, .. } => bridge.as_str(),
        _ => "",
    };
    loaded.places.error(&["bridges", bridge], message, hint)
}
