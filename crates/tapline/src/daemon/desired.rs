//! What a configuration wants of the kernel, in the control plane's values. Pure.

use std::time::Duration;

use tapline_config::{self as config, Bounded, InterfaceAddress, LinkLocal, MacAddr, Mtu};
use tapline_control::{
    Bridge, BridgeParameters, Desired, IfAddr, Interface, InterfaceName, MacAddress, Route,
};

/// The bridges of a configuration and the interfaces that others make. Links' devices join when they are open.
pub(crate) fn bridges(config: &config::Config) -> Desired {
    let mut desired = Desired::default();
    for (name, bridge) in &config.bridges {
        let ports = bridge.interfaces.iter().map(interface_name).collect();
        desired.bridges.insert(
            interface_name(name),
            Bridge {
                interfaces: ports,
                parameters: parameters(&bridge.parameters),
                settings: Settings {
                    addresses: &bridge.addresses,
                    routes: &bridge.routes,
                    mtu: bridge.mtu,
                    macaddress: bridge.macaddress,
                    accept_ra: bridge.accept_ra,
                    link_local: bridge.link_local,
                    bridge: None,
                }
                .interface(),
                created_with: None,
            },
        );
        for port in &bridge.interfaces {
            desired
                .interfaces
                .insert(interface_name(port), Interface { required: true, ..Interface::default() });
        }
    }
    desired
}

/// The device of a link that this host opens.
pub(crate) fn link_device(link: &config::Link) -> Interface {
    Settings {
        addresses: &link.addresses,
        routes: &link.routes,
        mtu: link.mtu,
        macaddress: link.macaddress,
        accept_ra: link.accept_ra,
        link_local: link.link_local,
        bridge: link.bridge.as_ref(),
    }
    .interface()
}

/// The device of a link that this host accepts.
pub(crate) fn accepted_device(accept: &config::Accept) -> Interface {
    Settings {
        addresses: &accept.addresses,
        routes: &accept.routes,
        mtu: accept.mtu,
        macaddress: accept.macaddress,
        accept_ra: accept.accept_ra,
        link_local: accept.link_local,
        bridge: accept.bridge.as_ref(),
    }
    .interface()
}

/// The keys that links, accepted links and bridges share.
struct Settings<'a> {
    addresses: &'a [InterfaceAddress],
    routes: &'a [config::Route],
    mtu: Option<Mtu>,
    macaddress: Option<MacAddr>,
    accept_ra: Option<bool>,
    link_local: Option<LinkLocal>,
    bridge: Option<&'a config::InterfaceName>,
}

impl Settings<'_> {
    fn interface(&self) -> Interface {
        Interface {
            up: Some(true),
            mtu: self.mtu.map(Bounded::get),
            macaddress: self.macaddress.map(|address| MacAddress(address.octets())),
            addresses: self.addresses.iter().map(address).collect(),
            routes: self.routes.iter().map(route).collect(),
            accept_ra: self.accept_ra,
            // A bridge port carries other hosts' frames: an address of its own would only answer for them.
            link_local_ipv6: self.link_local.map(|local| local.ipv6).or(self.bridge.map(|_| false)),
            bridge: self.bridge.map(interface_name),
            required: false,
        }
    }
}

/// Both crates take the kernel's rule for names, so that every name of the one is one of the other.
#[expect(clippy::expect_used, reason = "tested for equality of the two rules")]
pub(crate) fn interface_name(name: &config::InterfaceName) -> InterfaceName {
    name.as_str().parse().expect("the configuration holds valid interface names")
}

pub(crate) fn address(address: &InterfaceAddress) -> IfAddr {
    IfAddr { net: address.net, peer: address.peer }
}

fn route(route: &config::Route) -> Route {
    Route { to: route.to, via: route.via, metric: route.metric, on_link: route.on_link }
}

fn parameters(parameters: &config::BridgeParameters) -> BridgeParameters {
    let seconds = |value: u32| Duration::from_secs(value.into());
    BridgeParameters {
        stp: parameters.stp,
        forward_delay: parameters.forward_delay.map(|value| seconds(value.get())),
        hello_time: parameters.hello_time.map(|value| seconds(value.get())),
        max_age: parameters.max_age.map(|value| seconds(value.get())),
        priority: parameters.priority.and_then(|value| u16::try_from(value.get()).ok()),
        ageing_time: parameters.ageing_time.map(|value| seconds(value.get())),
        mcast_snooping: parameters.mcast_snooping,
    }
}

#[cfg(test)]
mod tests;
