//! From the kernel's answers to [`Observed`].

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{
        AfSpecInet6, AfSpecUnspec, BridgeStpState, InfoBridge, InfoData, InfoKind, InfoTun, LinkAttribute,
        LinkFlags, LinkInfo, LinkMessage,
    },
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        RouteType, RouteVia,
    },
};

use rtnetlink::packet_core::Nla;

use crate::{
    BridgeParameters, InterfaceName, MacAddress, Observed, Route,
    netlink::{Netlink, NetlinkError},
    observed::{Address, Ipv6Settings, Link, LinkRoute, Tun},
    sysctl,
};

/// Reads interfaces, addresses and routes of the namespace in which `netlink` was opened.
pub(crate) async fn observe(netlink: &Netlink) -> Result<Observed, NetlinkError> {
    let mut links: BTreeMap<u32, (InterfaceName, Link)> = BTreeMap::new();
    let mut controllers: BTreeMap<u32, u32> = BTreeMap::new();
    for answer in netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).await? {
        if let RouteNetlinkMessage::NewLink(message) = answer
            && let Some((name, controller, link)) = link(&message)
        {
            controllers.extend(controller.map(|controller| (link.index, controller)));
            links.insert(link.index, (name, link));
        }
    }
    for answer in netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).await? {
        if let RouteNetlinkMessage::NewAddress(message) = answer
            && let Some((_, link)) = links.get_mut(&message.header.index)
        {
            link.addresses.extend(address(&message));
        }
    }
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut query = RouteMessage::default();
        query.header.address_family = family;
        query.header.table = RouteHeader::RT_TABLE_MAIN;
        for answer in netlink.dump(RouteNetlinkMessage::GetRoute(query)).await? {
            if let RouteNetlinkMessage::NewRoute(message) = answer
                && let Some((index, route)) = route(&message)
                && let Some((_, link)) = links.get_mut(&index)
            {
                link.routes.push(route);
            }
        }
    }

    let names: BTreeMap<u32, InterfaceName> =
        links.iter().map(|(index, (name, _))| (*index, name.clone())).collect();
    for (index, controller) in controllers {
        if let Some((_, link)) = links.get_mut(&index) {
            link.controller = names.get(&controller).cloned();
        }
    }
    Ok(Observed { links: links.into_values().collect(), ipv6_default: sysctl::ipv6_default() })
}

/// The addresses of one interface now.
pub(crate) async fn addresses(netlink: &Netlink, index: u32) -> Result<Vec<Address>, NetlinkError> {
    let answers = netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).await?;
    let addresses = answers.iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) if message.header.index == index => address(message),
        _ => None,
    });
    Ok(addresses.collect())
}

/// `None` for an interface whose name [`InterfaceName`] refuses; nobody can desire anything of it.
fn link(message: &LinkMessage) -> Option<(InterfaceName, Option<u32>, Link)> {
    let mut name = None;
    let mut controller = None;
    let mut link = Link {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        carrier: message.header.flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text.parse().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => {
                link.macaddress = bytes.as_slice().try_into().ok().map(MacAddress)
            }
            LinkAttribute::IfAlias(text) => link.alias = Some(text.clone()),
            LinkAttribute::Controller(index) => controller = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkInfo(infos) => link_info(infos, &mut link),
            LinkAttribute::AfSpecUnspec(families) => link.ipv6 = ipv6_settings(families),
            _ => {}
        }
    }
    Some((name?, controller, link))
}

fn link_info(infos: &[LinkInfo], link: &mut Link) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => {
                link.kind = Some(kind.to_string());
                if *kind == InfoKind::Bridge {
                    link.bridge.get_or_insert_default();
                }
            }
            LinkInfo::Data(InfoData::Bridge(attributes)) => link.bridge = Some(bridge_parameters(attributes)),
            LinkInfo::Data(InfoData::Tun(attributes)) => link.tun = Some(tun(attributes)),
            _ => {}
        }
    }
}

fn bridge_parameters(attributes: &[InfoBridge]) -> BridgeParameters {
    // The kernel counts hundredths of a second (USER_HZ).
    let time = |hundredths: u32| Some(Duration::from_millis(u64::from(hundredths).saturating_mul(10)));
    let mut parameters = BridgeParameters::default();
    for attribute in attributes {
        match attribute {
            InfoBridge::StpState(state) => parameters.stp = Some(*state != BridgeStpState::Disabled),
            InfoBridge::ForwardDelay(value) => parameters.forward_delay = time(*value),
            InfoBridge::HelloTime(value) => parameters.hello_time = time(*value),
            InfoBridge::MaxAge(value) => parameters.max_age = time(*value),
            InfoBridge::Priority(value) => parameters.priority = Some(*value),
            InfoBridge::AgeingTime(value) => parameters.ageing_time = time(*value),
            InfoBridge::MulticastSnooping(on) => parameters.mcast_snooping = Some(*on),
            _ => {}
        }
    }
    parameters
}

/// `IFLA_TUN_*` of the kernel's `if_link.h`, of which each is a byte.
fn tun(attributes: &[InfoTun]) -> Tun {
    const VNET_HDR: u16 = 5;
    const PERSIST: u16 = 6;
    let is_set = |kind| {
        attributes.iter().filter(|attribute| attribute.kind() == kind && attribute.value_len() == 1).any(
            |attribute| {
                let mut value = [0];
                attribute.emit_value(&mut value);
                value != [0]
            },
        )
    };
    Tun { persistent: is_set(PERSIST), header: is_set(VNET_HDR) }
}

fn ipv6_settings(families: &[AfSpecUnspec]) -> Option<Ipv6Settings> {
    let attributes = families.iter().find_map(|family| match family {
        AfSpecUnspec::Inet6(attributes) => Some(attributes),
        _ => None,
    })?;
    let mut settings = None;
    let mut addr_gen_mode = None;
    for attribute in attributes {
        match attribute {
            AfSpecInet6::DevConf(conf) => {
                settings = Some(Ipv6Settings {
                    accept_ra: conf.accept_ra,
                    addr_gen_mode: conf.addr_gen_mode,
                    disable_ipv6: conf.disable_ipv6,
                    forwarding: conf.forwarding != 0,
                });
            }
            AfSpecInet6::AddrGenMode(mode) => addr_gen_mode = Some(i32::from(u8::from(mode))),
            _ => {}
        }
    }
    let settings = settings?;
    Some(Ipv6Settings { addr_gen_mode: addr_gen_mode.unwrap_or(settings.addr_gen_mode), ..settings })
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut address = None;
    let mut protocol = 0;
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL our own.
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Protocol(number) => protocol = u8::from(*number),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let own = local.or(address)?;
    Some(Address {
        net: IpNet::new(own, message.header.prefix_len).ok()?,
        peer: address.filter(|address| *address != own),
        protocol,
        tentative: flags.contains(AddressFlags::Tentative),
        duplicate: flags.contains(AddressFlags::Dadfailed),
        permanent: flags.contains(AddressFlags::Permanent),
    })
}

/// `None` for routes that are not of the kind that Tapline sets.
fn route(message: &RouteMessage) -> Option<(u32, LinkRoute)> {
    let header = &message.header;
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let ours_to_see = header.kind == RouteType::Unicast
        && header.protocol != RouteProtocol::Kernel
        && table.unwrap_or(u32::from(header.table)) == u32::from(RouteHeader::RT_TABLE_MAIN)
        && !header.flags.contains(RouteFlags::Cloned)
        && header.tos == 0
        && header.source_prefix_length == 0;
    if !ours_to_see || header.scope == RouteScope::Host {
        return None;
    }
    let length = header.destination_prefix_length;
    let mut to: IpNet = match header.address_family {
        AddressFamily::Inet => Ipv4Net::default().into(),
        AddressFamily::Inet6 => Ipv6Net::default().into(),
        _ => return None,
    };
    let (mut index, mut via, mut metric) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(destination) => to = IpNet::new(ip(destination)?, length).ok()?,
            RouteAttribute::Gateway(gateway) => via = Some(ip(gateway)?),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => via = Some(IpAddr::V6(*gateway)),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => via = Some(IpAddr::V4(*gateway)),
            RouteAttribute::Oif(number) => index = Some(*number),
            RouteAttribute::Priority(number) => metric = *number,
            _ => {}
        }
    }
    let on_link = header.flags.contains(RouteFlags::Onlink);
    let route = Route { to, via, metric: Some(metric), on_link };
    Some((index?, LinkRoute { route, protocol: u8::from(header.protocol) }))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
