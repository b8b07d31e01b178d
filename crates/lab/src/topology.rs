//! What a lab file means for interfaces: values only.

use std::net::IpAddr;

use tapline_config::{Host, Lab, Name};
use tapline_control::{Desired, Interface, InterfaceName, Route};

/// Networks and hosts, ready to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) networks: Vec<Segment>,
    pub(crate) hosts: Vec<Station>,
}

/// One network: a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    /// Bytes behind the Ethernet header.
    pub(crate) mtu: Option<u32>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) name: Name,
    pub(crate) plugs: Vec<Plug>,
    /// Addresses and routes.
    pub(crate) desired: Desired,
    pub(crate) forwarding: bool,
}

/// A host's interface before it has addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plug {
    /// Index of the network in [`Topology::networks`].
    pub(crate) network: usize,
    pub(crate) interface: InterfaceName,
    /// Bytes behind the Ethernet header.
    pub(crate) mtu: Option<u32>,
    /// Whether the interface speaks IPv6. One with IPv4 addresses alone does not, not even link-local.
    pub(crate) ipv6: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopologyError {
    #[error("host `{host}`: {source}")]
    Name { host: String, source: tapline_control::InterfaceNameError },
    #[error(
        "host `{host}`: no interface leads to the next hop of the route to {to}; give one an address in its network"
    )]
    Route { host: String, to: String },
}

impl Topology {
    pub(crate) fn of(lab: &Lab) -> Result<Self, TopologyError> {
        let segment = |(name, network): (&tapline_config::InterfaceName, &tapline_config::Network)| Segment {
            name: name.to_string(),
            mtu: network.mtu.map(|mtu| mtu.get()),
        };
        let networks: Vec<Segment> = lab.networks.iter().map(segment).collect();
        let hosts =
            lab.hosts.iter().map(|(name, host)| station(name, host, &networks)).collect::<Result<_, _>>()?;
        Ok(Self { networks, hosts })
    }
}

fn station(name: &Name, host: &Host, networks: &[Segment]) -> Result<Station, TopologyError> {
    let mut plugs = Vec::new();
    let mut desired = Desired::default();
    for (network, attachment) in &host.interfaces {
        let Some(index) = networks.iter().position(|segment| segment.name == network.as_str()) else {
            continue;
        };
        let interface: InterfaceName = network
            .as_str()
            .parse()
            .map_err(|source| TopologyError::Name { host: name.to_string(), source })?;
        let mtu = attachment.mtu.map(|mtu| mtu.get()).or(networks.get(index).and_then(|segment| segment.mtu));
        let ipv4_only =
            !attachment.addresses.is_empty() && attachment.addresses.iter().all(|net| net.addr().is_ipv4());
        plugs.push(Plug { network: index, interface: interface.clone(), mtu, ipv6: !ipv4_only });
        let addresses = attachment.addresses.iter().copied().map(Into::into).collect();
        desired.interfaces.insert(interface, Interface { addresses, required: true, ..Interface::default() });
    }
    for route in &host.routes {
        let to = route.to;
        let out = way_out(&mut desired, route.via)
            .ok_or_else(|| TopologyError::Route { host: name.to_string(), to: to.to_string() })?;
        let route = Route { via: route.via, metric: route.metric, on_link: route.on_link, ..Route::new(to) };
        out.routes.push(route);
    }
    Ok(Station { name: name.clone(), plugs, desired, forwarding: host.forwarding })
}

/// The interface in whose network the next hop is, or the only one.
fn way_out(desired: &mut Desired, via: Option<IpAddr>) -> Option<&mut Interface> {
    let is_near = |interface: &Interface| {
        via.is_some_and(|via| interface.addresses.iter().any(|address| address.net.contains(&via)))
    };
    let only = desired.interfaces.len() == 1;
    desired.interfaces.values_mut().find(|interface| only || is_near(interface))
}

#[cfg(test)]
mod tests;
