//! One change of the kernel's state, as a value that knows its inverse.

use std::fmt;

use crate::{BridgeParameters, IfAddr, InterfaceName, LinkRoute, MacAddress, Route};

/// The mark on addresses (`IFA_PROTO`, Linux 5.18) and routes (`rtm_protocol`) that Tapline added: ASCII `t`.
///
/// `ip route show proto 116` lists them. The mark is for people and for a second look before something is removed;
/// what was added is recorded in [`crate::Owned`].
pub const PROTOCOL: u8 = b't';

/// The alias (`IFLA_IFALIAS`) of bridges that Tapline created.
pub const BRIDGE_ALIAS: &str = "tapline";

/// One change. Each carries what its inverse needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    CreateBridge {
        interface: InterfaceName,
        macaddress: Option<MacAddress>,
    },
    DeleteBridge {
        interface: InterfaceName,
        macaddress: Option<MacAddress>,
    },
    SetBridgeParameters {
        interface: InterfaceName,
        from: BridgeParameters,
        to: BridgeParameters,
    },
    SetMacAddress {
        interface: InterfaceName,
        from: MacAddress,
        to: MacAddress,
    },
    SetMtu {
        interface: InterfaceName,
        from: u32,
        to: u32,
    },
    SetIpv6 {
        interface: InterfaceName,
        setting: Ipv6Setting,
        from: i32,
        to: i32,
    },
    /// Sets `addr_gen_mode`. With 1 (none) it also removes the link-local address that the kernel made before; with
    /// others the kernel makes one.
    SetLinkLocal {
        interface: InterfaceName,
        from: i32,
        to: i32,
    },
    /// Makes the interface a port of `to`, or of nothing.
    SetBridge {
        interface: InterfaceName,
        from: Option<InterfaceName>,
        to: Option<InterfaceName>,
    },
    /// Going down, the kernel drops IPv6 addresses; those in `keep`, with their protocol numbers, are put back.
    SetUp {
        interface: InterfaceName,
        up: bool,
        keep: Vec<(IfAddr, u8)>,
    },
    AddAddress {
        interface: InterfaceName,
        address: IfAddr,
        keep: Vec<LinkRoute>,
    },
    /// With the last IPv4 address of an interface the kernel drops its IPv4 routes; those in `keep` are put back.
    RemoveAddress {
        interface: InterfaceName,
        address: IfAddr,
        keep: Vec<LinkRoute>,
    },
    AddRoute {
        interface: InterfaceName,
        route: Route,
    },
    RemoveRoute {
        interface: InterfaceName,
        route: Route,
    },
}

/// A setting below `/proc/sys/net/ipv6/conf/INTERFACE/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6Setting {
    AcceptRa,
    DisableIpv6,
}

impl Ipv6Setting {
    /// The name of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcceptRa => "accept_ra",
            Self::DisableIpv6 => "disable_ipv6",
        }
    }
}

impl Operation {
    /// The interface that is changed.
    pub fn interface(&self) -> &InterfaceName {
        match self {
            Self::CreateBridge { interface, .. }
            | Self::DeleteBridge { interface, .. }
            | Self::SetBridgeParameters { interface, .. }
            | Self::SetMacAddress { interface, .. }
            | Self::SetMtu { interface, .. }
            | Self::SetIpv6 { interface, .. }
            | Self::SetLinkLocal { interface, .. }
            | Self::SetBridge { interface, .. }
            | Self::SetUp { interface, .. }
            | Self::AddAddress { interface, .. }
            | Self::RemoveAddress { interface, .. }
            | Self::AddRoute { interface, .. }
            | Self::RemoveRoute { interface, .. } => interface,
        }
    }

    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::CreateBridge { interface, macaddress } => Self::DeleteBridge { interface, macaddress },
            Self::DeleteBridge { interface, macaddress } => Self::CreateBridge { interface, macaddress },
            Self::SetBridgeParameters { interface, from, to } => {
                Self::SetBridgeParameters { interface, from: to, to: from }
            }
            Self::SetMacAddress { interface, from, to } => {
                Self::SetMacAddress { interface, from: to, to: from }
            }
            Self::SetMtu { interface, from, to } => Self::SetMtu { interface, from: to, to: from },
            Self::SetIpv6 { interface, setting, from, to } => {
                Self::SetIpv6 { interface, setting, from: to, to: from }
            }
            Self::SetLinkLocal { interface, from, to } => {
                Self::SetLinkLocal { interface, from: to, to: from }
            }
            Self::SetBridge { interface, from, to } => Self::SetBridge { interface, from: to, to: from },
            Self::SetUp { interface, up, keep } => Self::SetUp { interface, up: !up, keep },
            Self::AddAddress { interface, address, keep } => Self::RemoveAddress { interface, address, keep },
            Self::RemoveAddress { interface, address, keep } => Self::AddAddress { interface, address, keep },
            Self::AddRoute { interface, route } => Self::RemoveRoute { interface, route },
            Self::RemoveRoute { interface, route } => Self::AddRoute { interface, route },
        }
    }

    /// Whether a failure can leave a first part of the change made.
    pub(crate) fn has_steps(&self) -> bool {
        matches!(
            self,
            Self::CreateBridge { .. } | Self::SetBridgeParameters { .. } | Self::SetLinkLocal { .. }
        )
    }

    /// Whether the thing that is to be taken away is gone already is as good as success.
    pub(crate) fn is_removal(&self) -> bool {
        matches!(self, Self::DeleteBridge { .. } | Self::RemoveAddress { .. } | Self::RemoveRoute { .. })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge { interface, .. } => write!(f, "create bridge {interface}"),
            Self::DeleteBridge { interface, .. } => write!(f, "delete bridge {interface}"),
            Self::SetBridgeParameters { interface, to, .. } => write!(f, "set {to} on bridge {interface}"),
            Self::SetMacAddress { interface, to, .. } => write!(f, "set macaddress {to} on {interface}"),
            Self::SetMtu { interface, to, .. } => write!(f, "set mtu {to} on {interface}"),
            Self::SetIpv6 { interface, setting, to, .. } => {
                write!(f, "set {} {to} on {interface}", setting.as_str())
            }
            Self::SetLinkLocal { interface, to, .. } => write!(f, "set addr_gen_mode {to} on {interface}"),
            Self::SetBridge { interface, to: Some(bridge), .. } => {
                write!(f, "add {interface} to bridge {bridge}")
            }
            Self::SetBridge { interface, from: Some(bridge), to: None } => {
                write!(f, "take {interface} out of bridge {bridge}")
            }
            Self::SetBridge { interface, .. } => write!(f, "take {interface} out of its bridge"),
            Self::SetUp { interface, up: true, .. } => write!(f, "bring up {interface}"),
            Self::SetUp { interface, up: false, .. } => write!(f, "bring down {interface}"),
            Self::AddAddress { interface, address, .. } => write!(f, "add address {address} to {interface}"),
            Self::RemoveAddress { interface, address, .. } => {
                write!(f, "remove address {address} from {interface}")
            }
            Self::AddRoute { interface, route } => write!(f, "add route {route} to {interface}"),
            Self::RemoveRoute { interface, route } => write!(f, "remove route {route} from {interface}"),
        }
    }
}
