//! What the kernel says its network state is: values only.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use crate::{BridgeParameters, IfAddr, InterfaceName, MacAddress, Route};

/// A snapshot of one network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Every interface by its name.
    pub links: BTreeMap<InterfaceName, Link>,
    /// The IPv6 settings that a new interface starts with. `None` where the kernel has no IPv6.
    pub ipv6_default: Option<Ipv6Settings>,
}

impl Observed {
    /// The interface with this number.
    pub fn by_index(&self, index: u32) -> Option<(&InterfaceName, &Link)> {
        self.links.iter().find(|(_, link)| link.index == index)
    }
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it; a new interface of the same name has another.
    pub index: u32,
    /// What made it: `bridge`, `veth`, `tun` (which is the kernel's word for a tap too). `None` for real devices.
    pub kind: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// A peer or cable is there (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Bytes behind the Ethernet header.
    pub mtu: u32,
    /// `None` where the interface has no Ethernet address, as a tun.
    pub macaddress: Option<MacAddress>,
    /// The text that an administrator, or Tapline on a bridge of its own, attached.
    pub alias: Option<String>,
    /// The bridge (or bond, VRF) that this is a port of.
    pub controller: Option<InterfaceName>,
    /// Set when this is a bridge.
    pub bridge: Option<BridgeParameters>,
    /// Set when this is a tap or a tun.
    pub tun: Option<Tun>,
    /// Addresses in the kernel's order.
    pub addresses: Vec<Address>,
    /// Unicast routes of the main table out of this interface, except those that the kernel makes itself.
    pub routes: Vec<LinkRoute>,
    /// `None` while IPv6 is not there for this interface (not compiled in, or an MTU below 1280).
    pub ipv6: Option<Ipv6Settings>,
}

impl Link {
    /// The address with exactly this prefix length and peer, if the interface has it.
    pub fn address(&self, address: impl Into<IfAddr>) -> Option<&Address> {
        let wanted = address.into();
        self.addresses.iter().find(|address| address.assigned() == wanted)
    }

    pub(crate) fn route(&self, route: &Route) -> Option<&LinkRoute> {
        self.routes.iter().find(|found| found.route.is_same_route(route))
    }
}

/// How a tap or tun is attached to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tun {
    /// It stays when nobody is attached to it.
    pub persistent: bool,
    /// Whoever is attached, or was last, asked for virtio-net headers (`IFF_VNET_HDR`).
    pub header: bool,
}

/// One address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub net: IpNet,
    /// The address of the other end, where that is not the address itself.
    pub peer: Option<IpAddr>,
    /// `IFA_PROTO`: who added it. 0 when nobody said or the kernel is older than 5.18.
    pub protocol: u8,
    /// Duplicate address detection has not ended (RFC 4862 section 5.4).
    pub tentative: bool,
    /// Another host has this address. It stays tentative and unused.
    pub duplicate: bool,
    /// Made by an administrator or daemon, not by a router advertisement.
    pub permanent: bool,
}

impl Address {
    /// `IFAPROT_KERNEL_LL`: the link-local address that the kernel made.
    pub(crate) const KERNEL_LINK_LOCAL: u8 = 3;

    /// As it was assigned.
    pub fn assigned(&self) -> IfAddr {
        IfAddr { net: self.net, peer: self.peer }
    }

    /// A link-local address that the kernel made by itself and makes again when asked to.
    pub(crate) fn is_kernel_link_local(&self) -> bool {
        let link_local = matches!(self.net.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
        link_local && self.protocol == Self::KERNEL_LINK_LOCAL
    }
}

/// One route out of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRoute {
    pub route: Route,
    /// `rtm_protocol`: who added it.
    pub protocol: u8,
}

/// `/proc/sys/net/ipv6/conf/INTERFACE/`, as the kernel's `ip-sysctl` document describes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ipv6Settings {
    /// 0 never, 1 unless the host forwards, 2 always.
    pub accept_ra: i32,
    /// 0 from the Ethernet address, 1 none, 2 stable and private, 3 random.
    pub addr_gen_mode: i32,
    pub disable_ipv6: i32,
    /// The host forwards packets that come in here.
    pub forwarding: bool,
}

impl Ipv6Settings {
    /// `addr_gen_mode`: no link-local address is made.
    pub(crate) const ADDR_GEN_NONE: i32 = 1;

    /// Whether router advertisements are heeded.
    pub fn accepts_router_advertisements(&self) -> bool {
        if self.forwarding { self.accept_ra == 2 } else { self.accept_ra != 0 }
    }
}
