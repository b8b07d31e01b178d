//! From an [`Operation`] to the messages that make the kernel do it.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, AddressProtocol},
    link::{BridgeStpState, InfoBridge, LinkMessage},
    route::{
        RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
    },
};
use nix::libc;
use rtnetlink::{
    LinkBridge, LinkMessageBuilder, LinkUnspec,
    packet_core::{NLM_F_CREATE, NLM_F_EXCL},
};

use crate::{
    BridgeParameters, IfAddr, InterfaceName, Ipv6Setting, LinkRoute, MacAddress, Observed, Operation, Route,
    netlink::{Netlink, NetlinkError},
    observe,
    observed::Ipv6Settings,
    operation::{BRIDGE_ALIAS, PROTOCOL},
    sysctl,
};

/// A change that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}: {reason}{}", hint(.operation, .reason))]
pub struct OperationError {
    pub operation: Operation,
    pub reason: Reason,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error("{0}")]
    Sysctl(#[from] io::Error),
    #[error("there is no interface {0}")]
    NoInterface(InterfaceName),
}

impl Reason {
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink(error) => error.errno(),
            Self::Sysctl(error) => error.raw_os_error(),
            Self::NoInterface(_) => Some(libc::ENODEV),
        }
    }

    pub(crate) fn is_missing_privilege(&self) -> bool {
        match self {
            Self::Netlink(error) => error.errno() == Some(libc::EPERM),
            Self::Sysctl(error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::NoInterface(_) => false,
        }
    }
}

fn hint(operation: &Operation, reason: &Reason) -> &'static str {
    match (operation, reason.errno()) {
        (Operation::AddRoute { .. }, Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL)) => {
            "; check that an address of the interface covers the next hop, or set on-link"
        }
        (Operation::AddRoute { .. }, Some(libc::EEXIST)) => "; give the route another metric",
        (Operation::AddAddress { .. }, Some(libc::EEXIST)) => {
            "; the interface has this address with another prefix length, remove that first"
        }
        (Operation::SetMacAddress { .. }, Some(libc::EBUSY)) => "; bring the interface down first",
        (_, Some(libc::EROFS)) => "; mount /proc/sys read-write",
        (_, Some(libc::EOPNOTSUPP)) => "; the kernel or the driver lacks this",
        _ => "",
    }
}

/// The numbers of interfaces, kept up as bridges come and go.
pub(crate) struct Executor<'a> {
    netlink: &'a Netlink,
    indices: BTreeMap<InterfaceName, u32>,
}

impl<'a> Executor<'a> {
    pub(crate) fn new(netlink: &'a Netlink, observed: &Observed) -> Self {
        let indices = observed.links.iter().map(|(name, link)| (name.clone(), link.index)).collect();
        Self { netlink, indices }
    }

    pub(crate) fn index(&self, name: &InterfaceName) -> Option<u32> {
        self.indices.get(name).copied()
    }

    /// Makes one change. Taking away what is gone already succeeds.
    pub(crate) async fn execute(&mut self, operation: &Operation) -> Result<(), OperationError> {
        let Err(reason) = self.attempt(operation).await else { return Ok(()) };
        let gone = [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL];
        if operation.is_removal() && reason.errno().is_some_and(|errno| gone.contains(&errno)) {
            return Ok(());
        }
        Err(OperationError { operation: operation.clone(), reason })
    }

    async fn attempt(&mut self, operation: &Operation) -> Result<(), Reason> {
        match operation {
            Operation::CreateBridge { interface, macaddress } => {
                self.create_bridge(interface, *macaddress).await
            }
            Operation::DeleteBridge { interface, .. } => {
                let mut message = LinkMessage::default();
                message.header.index = self.number(interface)?;
                self.netlink.change(RouteNetlinkMessage::DelLink(message), 0).await?;
                self.indices.remove(interface);
                Ok(())
            }
            Operation::SetBridgeParameters { interface, to, .. } => self.set_parameters(interface, *to).await,
            Operation::SetMacAddress { interface, to, .. } => {
                self.set_link(self.link(interface)?.address(to.0.to_vec())).await
            }
            Operation::SetMtu { interface, to, .. } => self.set_link(self.link(interface)?.mtu(*to)).await,
            Operation::SetIpv6 { interface, setting, to, .. } => set_ipv6(interface, *setting, *to),
            Operation::SetLinkLocal { interface, to, .. } => {
                sysctl::set_ipv6(interface, "addr_gen_mode", *to)?;
                if *to == Ipv6Settings::ADDR_GEN_NONE {
                    self.flush_link_local(interface).await
                } else {
                    Ok(())
                }
            }
            Operation::SetBridge { interface, to, .. } => {
                let controller = to.as_ref().map(|bridge| self.number(bridge)).transpose()?.unwrap_or(0);
                self.set_link(self.link(interface)?.controller(controller)).await
            }
            Operation::SetUp { interface, up: true, .. } => self.set_link(self.link(interface)?.up()).await,
            Operation::SetUp { interface, up: false, keep } => {
                self.set_link(self.link(interface)?.down()).await?;
                for (address, protocol) in keep {
                    self.put_back(RouteNetlinkMessage::NewAddress(
                        self.address(interface, *address, *protocol)?,
                    ))
                    .await?;
                }
                Ok(())
            }
            Operation::AddAddress { interface, address, .. } => {
                let message = RouteNetlinkMessage::NewAddress(self.address(interface, *address, PROTOCOL)?);
                Ok(self.netlink.change(message, NLM_F_CREATE | NLM_F_EXCL).await?)
            }
            Operation::RemoveAddress { interface, address, keep } => {
                let message = RouteNetlinkMessage::DelAddress(self.address(interface, *address, 0)?);
                let _promoted =
                    address.is_ipv4().then(|| sysctl::PromoteSecondaries::on(interface)).transpose()?;
                self.netlink.change(message, 0).await?;
                for LinkRoute { route, protocol } in keep {
                    self.put_back(RouteNetlinkMessage::NewRoute(self.route(interface, route, *protocol)?))
                        .await?;
                }
                Ok(())
            }
            Operation::AddRoute { interface, route } => {
                let message = RouteNetlinkMessage::NewRoute(self.route(interface, route, PROTOCOL)?);
                Ok(self.netlink.change(message, NLM_F_CREATE | NLM_F_EXCL).await?)
            }
            Operation::RemoveRoute { interface, route } => {
                let message = RouteNetlinkMessage::DelRoute(self.route(interface, route, PROTOCOL)?);
                Ok(self.netlink.change(message, 0).await?)
            }
        }
    }

    async fn flush_link_local(&self, interface: &InterfaceName) -> Result<(), Reason> {
        let made = observe::addresses(self.netlink, self.number(interface)?).await?;
        for address in made.iter().filter(|address| address.is_kernel_link_local()) {
            let remove = RouteNetlinkMessage::DelAddress(self.address(interface, address.assigned(), 0)?);
            match self.netlink.change(remove, 0).await {
                Err(error) if error.errno() == Some(libc::EADDRNOTAVAIL) => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Adds what the kernel may have dropped, or may not.
    async fn put_back(&self, message: RouteNetlinkMessage) -> Result<(), Reason> {
        match self.netlink.change(message, NLM_F_CREATE | NLM_F_EXCL).await {
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
            result => Ok(result?),
        }
    }

    async fn create_bridge(
        &mut self,
        interface: &InterfaceName,
        macaddress: Option<MacAddress>,
    ) -> Result<(), Reason> {
        let mut bridge = LinkMessageBuilder::<LinkBridge>::new(interface.as_str());
        if let Some(address) = macaddress {
            bridge = bridge.address(address.0.to_vec());
        }
        let create = RouteNetlinkMessage::NewLink(bridge.build());
        self.netlink.change(create, NLM_F_CREATE | NLM_F_EXCL).await?;
        let index = self.netlink.index(interface.as_str()).await?;
        self.indices.insert(interface.clone(), index.ok_or_else(|| Reason::NoInterface(interface.clone()))?);
        // The kernel takes no alias while it creates an interface.
        self.set_link(self.link(interface)?.alias(BRIDGE_ALIAS)).await
    }

    async fn set_parameters(&self, interface: &InterfaceName, to: BridgeParameters) -> Result<(), Reason> {
        // A forward delay out of the range of the spanning tree is taken only once that is off; the kernel sets the
        // delay before it turns the spanning tree on or off.
        let stop = BridgeParameters { stp: to.stp.filter(|on| !on), ..BridgeParameters::default() };
        for part in [stop, to.differing_from(stop)] {
            if part.is_empty() {
                continue;
            }
            let mut bridge =
                LinkMessageBuilder::<LinkBridge>::new(interface.as_str()).index(self.number(interface)?);
            for attribute in parameter_attributes(part) {
                bridge = bridge.append_info_data(attribute);
            }
            self.netlink.change(RouteNetlinkMessage::NewLink(bridge.build()), 0).await?;
        }
        Ok(())
    }

    async fn set_link(&self, link: LinkMessageBuilder<LinkUnspec>) -> Result<(), Reason> {
        Ok(self.netlink.change(RouteNetlinkMessage::SetLink(link.build()), 0).await?)
    }

    fn link(&self, interface: &InterfaceName) -> Result<LinkMessageBuilder<LinkUnspec>, Reason> {
        Ok(LinkUnspec::new_with_index(self.number(interface)?))
    }

    fn number(&self, interface: &InterfaceName) -> Result<u32, Reason> {
        self.index(interface).ok_or_else(|| Reason::NoInterface(interface.clone()))
    }

    fn address(
        &self,
        interface: &InterfaceName,
        address: IfAddr,
        protocol: u8,
    ) -> Result<AddressMessage, Reason> {
        let own = address.addr();
        let mut message = AddressMessage::default();
        message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.prefix_len = address.net.prefix_len();
        message.header.index = self.number(interface)?;
        message.attributes.push(AddressAttribute::Address(address.peer.unwrap_or(own)));
        message.attributes.push(AddressAttribute::Local(own));
        message.attributes.extend(broadcast(address).map(AddressAttribute::Broadcast));
        if protocol != 0 {
            message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(protocol)));
        }
        Ok(message)
    }

    fn route(&self, interface: &InterfaceName, route: &Route, protocol: u8) -> Result<RouteMessage, Reason> {
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = match route.to {
            IpNet::V4(_) => AddressFamily::Inet,
            IpNet::V6(_) => AddressFamily::Inet6,
        };
        header.destination_prefix_length = route.to.prefix_len();
        header.table = RouteHeader::RT_TABLE_MAIN;
        header.protocol = RouteProtocol::from(protocol);
        header.kind = RouteType::Unicast;
        // IPv4 without a next hop: the destination is on the link itself. IPv6 has no scopes of routes.
        header.scope = match route.to {
            IpNet::V4(_) if route.via.is_none() => RouteScope::Link,
            _ => RouteScope::Universe,
        };
        if route.on_link {
            header.flags |= RouteFlags::Onlink;
        }
        message.attributes.push(RouteAttribute::Destination(route.to.trunc().addr().into()));
        message.attributes.push(RouteAttribute::Oif(self.number(interface)?));
        message.attributes.push(RouteAttribute::Priority(route.effective_metric()));
        match (route.to, route.via) {
            (IpNet::V4(_), Some(IpAddr::V6(via))) => {
                message.attributes.push(RouteAttribute::Via(RouteVia::Inet6(via)));
            }
            (_, Some(via)) => message.attributes.push(RouteAttribute::Gateway(via.into())),
            (_, None) => {}
        }
        Ok(message)
    }
}

/// The broadcast address of a network with more than two hosts. A link with one other end has none.
fn broadcast(address: IfAddr) -> Option<Ipv4Addr> {
    match (address.net, address.peer) {
        (IpNet::V4(net), None) if net.prefix_len() < 31 => Some(Ipv4Net::broadcast(&net)),
        _ => None,
    }
}

fn set_ipv6(interface: &InterfaceName, setting: Ipv6Setting, value: i32) -> Result<(), Reason> {
    Ok(sysctl::set_ipv6(interface, setting.as_str(), value)?)
}

fn parameter_attributes(parameters: BridgeParameters) -> Vec<InfoBridge> {
    let hundredths = |time: Duration| u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX);
    let mut attributes = Vec::new();
    attributes.extend(parameters.forward_delay.map(|time| InfoBridge::ForwardDelay(hundredths(time))));
    attributes.extend(parameters.hello_time.map(|time| InfoBridge::HelloTime(hundredths(time))));
    attributes.extend(parameters.max_age.map(|time| InfoBridge::MaxAge(hundredths(time))));
    attributes.extend(parameters.ageing_time.map(|time| InfoBridge::AgeingTime(hundredths(time))));
    attributes.extend(parameters.priority.map(InfoBridge::Priority));
    attributes.extend(parameters.mcast_snooping.map(InfoBridge::MulticastSnooping));
    attributes.extend(parameters.stp.map(|on| {
        InfoBridge::StpState(if on { BridgeStpState::KernelStp } else { BridgeStpState::Disabled })
    }));
    attributes
}
