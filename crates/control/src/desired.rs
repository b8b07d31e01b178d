//! What the kernel's network state should be: values only, with netplan's words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::{IfAddr, InterfaceName, MacAddress};

/// The part of the network state that Tapline is to bring about. What is not named here is left as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Interfaces that others make: taps, tuns, Ethernet devices.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
    /// Bridges. One that does not exist is created, and removed again when it is no longer desired.
    pub bridges: BTreeMap<InterfaceName, Bridge>,
}

/// Settings of one interface. `None` and empty collections mean "leave what is there".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Administratively up. With `Some(false)` the kernel drops the routes of the interface, also those that were
    /// found there.
    pub up: Option<bool>,
    /// Bytes of the largest packet behind the Ethernet header: neither that header, a VLAN tag nor the frame check
    /// sequence counts.
    pub mtu: Option<u32>,
    /// The Ethernet address.
    pub macaddress: Option<MacAddress>,
    /// Addresses with the length of their network's prefix, and perhaps the other end's.
    pub addresses: BTreeSet<IfAddr>,
    /// Routes out of this interface, in the main table.
    pub routes: Vec<Route>,
    /// Accept router advertisements, also where the host forwards packets (then the kernel needs `accept_ra` = 2).
    pub accept_ra: Option<bool>,
    /// Have an IPv6 link-local address. `Some(false)` is netplan's `link-local: []`.
    pub link_local_ipv6: Option<bool>,
    /// Be a port of this bridge.
    pub bridge: Option<InterfaceName>,
    /// A missing interface is an error. Otherwise it is reported as missing and set up when it is there.
    pub required: bool,
}

impl Default for Interface {
    /// An interface that is up; nothing else is set.
    fn default() -> Self {
        Self {
            up: Some(true),
            mtu: None,
            macaddress: None,
            addresses: BTreeSet::new(),
            routes: Vec::new(),
            accept_ra: None,
            link_local_ipv6: None,
            bridge: None,
            required: false,
        }
    }
}

impl Interface {
    /// An interface whose every setting is left as it is found.
    pub(crate) fn untouched() -> Self {
        Self { up: None, ..Self::default() }
    }

    /// Whether something here needs IPv6 to be switched on for the interface.
    pub(crate) fn needs_ipv6(&self) -> bool {
        self.accept_ra == Some(true)
            || self.link_local_ipv6 == Some(true)
            || self.addresses.iter().any(|address| !address.is_ipv4())
    }
}

/// One bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Its ports. Their own settings stand in [`Desired::interfaces`]; a port without an entry there is brought up.
    pub interfaces: BTreeSet<InterfaceName>,
    /// Settings of the bridge as bridge.
    pub parameters: BridgeParameters,
    /// Settings of the bridge as interface of this host.
    pub settings: Interface,
    /// The Ethernet address to create it with, where `settings` has none. Without one it takes the least of its ports',
    /// and another whenever a port comes or goes. A bridge that exists keeps what it has.
    pub created_with: Option<MacAddress>,
}

/// Settings of a bridge as bridge, named as in netplan. `None` means "leave what is there".
///
/// Times have a resolution of 100 ms, which is exact whatever the tick of the kernel; what is finer is cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeParameters {
    /// The spanning tree protocol of IEEE 802.1D.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stp: Option<bool>,
    /// Time in each of the states listening and learning. 2 s to 30 s with the spanning tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_delay: Option<Duration>,
    /// Time between two hello packets. 1 s to 10 s with the spanning tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello_time: Option<Duration>,
    /// Age at which a hello packet is forgotten. 6 s to 40 s with the spanning tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Priority in the election of the root; less wins. The kernel's own is 32768.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Time after which a silent station is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ageing_time: Option<Duration>,
    /// IGMP and MLD snooping. Off means that multicast goes to every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcast_snooping: Option<bool>,
}

impl BridgeParameters {
    /// What the kernel gives a new bridge.
    pub const KERNEL_DEFAULT: Self = Self {
        stp: Some(false),
        forward_delay: Some(Duration::from_secs(15)),
        hello_time: Some(Duration::from_secs(2)),
        max_age: Some(Duration::from_secs(20)),
        priority: Some(0x8000),
        ageing_time: Some(Duration::from_secs(300)),
        mcast_snooping: Some(true),
    };

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `self` where it says something, `other` where it does not.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            stp: self.stp.or(other.stp),
            forward_delay: self.forward_delay.or(other.forward_delay),
            hello_time: self.hello_time.or(other.hello_time),
            max_age: self.max_age.or(other.max_age),
            priority: self.priority.or(other.priority),
            ageing_time: self.ageing_time.or(other.ageing_time),
            mcast_snooping: self.mcast_snooping.or(other.mcast_snooping),
        }
    }

    /// The settings of `self` that `other` does not give the same value.
    #[must_use]
    pub(crate) fn differing_from(self, other: Self) -> Self {
        fn pick<T: PartialEq>(mine: Option<T>, other: Option<T>) -> Option<T> {
            mine.filter(|value| Some(value) != other.as_ref())
        }
        Self {
            stp: pick(self.stp, other.stp),
            forward_delay: pick(self.forward_delay, other.forward_delay),
            hello_time: pick(self.hello_time, other.hello_time),
            max_age: pick(self.max_age, other.max_age),
            priority: pick(self.priority, other.priority),
            ageing_time: pick(self.ageing_time, other.ageing_time),
            mcast_snooping: pick(self.mcast_snooping, other.mcast_snooping),
        }
    }

    /// The settings of `self` that `other` gives any value.
    #[must_use]
    pub(crate) fn named_in(self, other: Self) -> Self {
        Self {
            stp: self.stp.filter(|_| other.stp.is_some()),
            forward_delay: self.forward_delay.filter(|_| other.forward_delay.is_some()),
            hello_time: self.hello_time.filter(|_| other.hello_time.is_some()),
            max_age: self.max_age.filter(|_| other.max_age.is_some()),
            priority: self.priority.filter(|_| other.priority.is_some()),
            ageing_time: self.ageing_time.filter(|_| other.ageing_time.is_some()),
            mcast_snooping: self.mcast_snooping.filter(|_| other.mcast_snooping.is_some()),
        }
    }

    /// With every time cut to what the kernel keeps exactly.
    #[must_use]
    pub(crate) fn rounded(self) -> Self {
        let cut = |time: Duration| {
            time.saturating_sub(Duration::from_nanos(u64::from(time.subsec_nanos()) % 100_000_000))
        };
        Self {
            forward_delay: self.forward_delay.map(cut),
            hello_time: self.hello_time.map(cut),
            max_age: self.max_age.map(cut),
            ageing_time: self.ageing_time.map(cut),
            ..self
        }
    }
}

impl fmt::Display for BridgeParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.stp.map(|on| format!("stp {on}")));
        words.extend(self.forward_delay.map(|time| format!("forward-delay {time:?}")));
        words.extend(self.hello_time.map(|time| format!("hello-time {time:?}")));
        words.extend(self.max_age.map(|time| format!("max-age {time:?}")));
        words.extend(self.priority.map(|number| format!("priority {number}")));
        words.extend(self.ageing_time.map(|time| format!("ageing-time {time:?}")));
        words.extend(self.mcast_snooping.map(|on| format!("mcast-snooping {on}")));
        f.write_str(&words.join(", "))
    }
}

/// A route of the main table, out of the interface that it is listed under.
///
/// Two routes are the same when destination, next hop and metric are; `on_link` only tells the kernel how to check
/// the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The destination, without host bits. See [`Route::new`].
    pub to: IpNet,
    /// The next hop. An IPv6 next hop for an IPv4 destination is allowed (RFC 5549, `RTA_VIA`), not the reverse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// Less is preferred. Without it the kernel's own: 0 for IPv4, 1024 for IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The next hop is on this link although no address of the interface says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_link: bool,
}

impl Route {
    /// A route to `to`, whose host bits are cut off, straight onto the link.
    pub fn new(to: IpNet) -> Self {
        Self { to: to.trunc(), via: None, metric: None, on_link: false }
    }

    /// The IPv4 default route (netplan's `to: 0.0.0.0/0`).
    pub fn default_v4() -> Self {
        Self::new(Ipv4Net::default().into())
    }

    /// The IPv6 default route (netplan's `to: ::/0`).
    pub fn default_v6() -> Self {
        Self::new(Ipv6Net::default().into())
    }

    /// The same with a next hop.
    #[must_use]
    pub fn via(self, next_hop: IpAddr) -> Self {
        Self { via: Some(next_hop), ..self }
    }

    /// The same with a metric.
    #[must_use]
    pub fn metric(self, metric: u32) -> Self {
        Self { metric: Some(metric), ..self }
    }

    /// The same, marked as on-link.
    #[must_use]
    pub fn on_link(self) -> Self {
        Self { on_link: true, ..self }
    }

    /// The metric that the kernel stores.
    pub fn effective_metric(&self) -> u32 {
        // An IPv6 route cannot have metric 0: the kernel turns that into IP6_RT_PRIO_USER.
        match (self.to, self.metric) {
            (IpNet::V4(_), metric) => metric.unwrap_or(0),
            (IpNet::V6(_), None | Some(0)) => 1024,
            (IpNet::V6(_), Some(metric)) => metric,
        }
    }

    /// With host bits cut off and the metric that the kernel will report, so that equal routes compare equal.
    #[must_use]
    pub(crate) fn canonical(self) -> Self {
        Self { to: self.to.trunc(), metric: Some(self.effective_metric()), ..self }
    }

    pub(crate) fn is_same_route(&self, other: &Self) -> bool {
        self.to == other.to && self.via == other.via && self.effective_metric() == other.effective_metric()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        write!(f, " metric {}", self.effective_metric())?;
        if self.on_link {
            f.write_str(" on-link")?;
        }
        Ok(())
    }
}
