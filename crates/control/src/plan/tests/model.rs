//! A model of the part of the kernel that plans are made for, with the side effects that have surprised people.

use std::time::Duration;

use ipnet::IpNet;

use crate::{
    BridgeParameters, Desired, IfAddr, InterfaceName, Ipv6Setting, Link, LinkRoute, MacAddress, Observed,
    Operation, Owned, PROTOCOL, Route,
    observed::{Address, Ipv6Settings},
    operation::BRIDGE_ALIAS,
    plan::plan,
};

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) state: Observed,
    pub(crate) owned: Owned,
    next_index: u32,
}

impl Model {
    const IPV6: Ipv6Settings =
        Ipv6Settings { accept_ra: 1, addr_gen_mode: 0, disable_ipv6: 0, forwarding: false };

    /// Taps of these names, down, as they are when they are made.
    pub(crate) fn with(names: &[&str]) -> Self {
        let state = Observed { ipv6_default: Some(Self::IPV6), ..Observed::default() };
        let mut model = Self { state, owned: Owned::default(), next_index: 2 };
        for text in names {
            model.add(text, "tun", None);
        }
        model
    }

    pub(crate) fn add_bridge(&mut self, text: &str, parameters: BridgeParameters) {
        self.add(text, "bridge", Some(parameters));
    }

    fn add(&mut self, text: &str, kind: &str, bridge: Option<BridgeParameters>) {
        let index = self.next_index;
        self.next_index += 1;
        let link = Link {
            index,
            kind: Some(kind.to_owned()),
            mtu: 1500,
            macaddress: Some(MacAddress([2, 0, 0, 0, 0, u8::try_from(index).unwrap()])),
            bridge,
            ipv6: self.state.ipv6_default,
            ..Link::default()
        };
        self.state.links.insert(name(text), link);
    }

    pub(crate) fn link(&mut self, text: &str) -> &mut Link {
        self.state.links.get_mut(&name(text)).unwrap()
    }

    /// As `Controller::reconcile`: `false` when there is a conflict.
    pub(crate) fn reconcile(&mut self, desired: &Desired) -> bool {
        for _ in 0..4 {
            self.owned.follow(&self.state);
            let plan = plan(desired, &self.state, &self.owned);
            if !plan.conflicts.is_empty() {
                return false;
            }
            if plan.is_empty() {
                return true;
            }
            for operation in &plan.operations {
                self.change(operation).unwrap_or_else(|error| panic!("{operation}: {error}\n{plan}"));
            }
        }
        panic!("does not settle: {}", plan(desired, &self.state, &self.owned));
    }

    pub(crate) fn reach(&mut self, desired: &Desired) {
        assert!(self.reconcile(desired), "{:?}", plan(desired, &self.state, &self.owned).conflicts);
    }

    pub(crate) fn remove_all(&mut self) {
        self.reach(&Desired::default());
        self.owned = Owned::default();
    }

    /// One change with its entries in the record.
    pub(crate) fn change(&mut self, operation: &Operation) -> Result<(), &'static str> {
        let index = |state: &Observed| state.links.get(operation.interface()).map(|link| link.index);
        self.owned.claim(operation, index(&self.state));
        self.kernel(operation)?;
        self.owned.release(operation, index(&self.state));
        Ok(())
    }

    /// What the kernel does when it is asked for `operation`.
    pub(crate) fn kernel(&mut self, operation: &Operation) -> Result<(), &'static str> {
        if let Operation::CreateBridge { interface, macaddress } = operation {
            if self.state.links.contains_key(interface) {
                return Err("EEXIST");
            }
            self.add(interface.as_str(), "bridge", Some(BridgeParameters::KERNEL_DEFAULT));
            let link = self.link(interface.as_str());
            link.alias = Some(BRIDGE_ALIAS.to_owned());
            link.macaddress = macaddress.or(link.macaddress);
            return Ok(());
        }
        if let Operation::DeleteBridge { interface, .. } = operation {
            self.state.links.remove(interface).ok_or("ENODEV")?;
            for link in
                self.state.links.values_mut().filter(|link| link.controller.as_ref() == Some(interface))
            {
                link.controller = None;
            }
            return Ok(());
        }
        if let Operation::SetBridge { to: Some(bridge), .. } = operation {
            let bridge = self.state.links.get(bridge).ok_or("ENODEV")?;
            bridge.bridge.ok_or("EOPNOTSUPP")?;
        }
        if let Operation::AddRoute { route, .. } = operation {
            self.check_route(route)?;
        }
        let link = self.state.links.get_mut(operation.interface()).ok_or("ENODEV")?;
        change_link(link, operation)
    }

    fn check_route(&self, route: &Route) -> Result<(), &'static str> {
        let taken = self.state.links.values().flat_map(|link| &link.routes).any(|found| {
            found.route.to == route.to && found.route.effective_metric() == route.effective_metric()
        });
        if taken { Err("EEXIST") } else { Ok(()) }
    }
}

fn change_link(link: &mut Link, operation: &Operation) -> Result<(), &'static str> {
    match operation {
        Operation::SetBridgeParameters { to, .. } => set_parameters(link, *to)?,
        Operation::SetMacAddress { to, .. } => link.macaddress = Some(*to),
        Operation::SetMtu { to, .. } => link.mtu = *to,
        Operation::SetIpv6 { setting, to, .. } => {
            let ipv6 = link.ipv6.as_mut().ok_or("ENOENT")?;
            match setting {
                Ipv6Setting::AcceptRa => ipv6.accept_ra = *to,
                Ipv6Setting::DisableIpv6 => ipv6.disable_ipv6 = *to,
            }
            if link.ipv6.is_some_and(|ipv6| ipv6.disable_ipv6 != 0) {
                drop_ipv6(link);
            }
            make_link_local(link);
        }
        Operation::SetLinkLocal { to, .. } => {
            link.ipv6.as_mut().ok_or("ENOENT")?.addr_gen_mode = *to;
            link.addresses
                .retain(|address| *to != Ipv6Settings::ADDR_GEN_NONE || !address.is_kernel_link_local());
            make_link_local(link);
        }
        Operation::SetBridge { to, .. } => link.controller.clone_from(to),
        Operation::SetUp { up: true, .. } => {
            link.up = true;
            make_link_local(link);
        }
        Operation::SetUp { up: false, keep, .. } => {
            link.up = false;
            link.routes.clear();
            drop_ipv6(link);
            for (net, protocol) in keep {
                add_address(link, *net, *protocol)?;
            }
        }
        Operation::AddAddress { address, .. } => add_address(link, *address, PROTOCOL)?,
        Operation::RemoveAddress { address, keep, .. } => {
            let position = link.addresses.iter().position(|found| found.assigned() == *address);
            link.addresses.remove(position.ok_or("EADDRNOTAVAIL")?);
            if address.is_ipv4() && !link.addresses.iter().any(|address| address.assigned().is_ipv4()) {
                link.routes.retain(|found| matches!(found.route.to, IpNet::V6(_)));
                link.routes.extend(keep);
            }
        }
        Operation::AddRoute { route, .. } => {
            if !link.up {
                return Err("ENETDOWN");
            }
            link.routes.push(LinkRoute { route: *route, protocol: PROTOCOL });
        }
        Operation::RemoveRoute { route, .. } => {
            let ours = |found: &LinkRoute| found.protocol == PROTOCOL && found.route.is_same_route(route);
            link.routes.remove(link.routes.iter().position(ours).ok_or("ESRCH")?);
        }
        Operation::CreateBridge { .. } | Operation::DeleteBridge { .. } => return Err("not about one link"),
    }
    Ok(())
}

fn set_parameters(link: &mut Link, to: BridgeParameters) -> Result<(), &'static str> {
    let before = link.bridge.ok_or("EOPNOTSUPP")?;
    let mut after = to.or(before);
    let range = Duration::from_secs(2)..=Duration::from_secs(30);
    let outside = |delay: &Duration| !range.contains(delay);
    // With the spanning tree on, and not about to be turned off, the kernel refuses the delay.
    if before.stp == Some(true) && after.stp == Some(true) && to.forward_delay.as_ref().is_some_and(outside) {
        return Err("ERANGE");
    }
    if after.stp == Some(true) {
        after.forward_delay = after.forward_delay.map(|delay| delay.clamp(*range.start(), *range.end()));
    }
    link.bridge = Some(after);
    Ok(())
}

fn add_address(link: &mut Link, address: IfAddr, protocol: u8) -> Result<(), &'static str> {
    let IfAddr { net, peer } = address;
    // IPv4 takes an address again where the other end is in another network.
    let ends =
        |end: &IfAddr| IpNet::new(end.peer.unwrap_or(end.addr()), end.net.prefix_len()).unwrap().trunc();
    let taken = |found: &Address| match net {
        IpNet::V4(_) => found.net == net && ends(&found.assigned()) == ends(&address),
        IpNet::V6(_) => found.net.addr() == net.addr(),
    };
    if link.addresses.iter().any(taken) {
        return Err("EEXIST");
    }
    if matches!(net, IpNet::V6(_)) && link.ipv6.is_none_or(|ipv6| ipv6.disable_ipv6 != 0) {
        return Err("EACCES");
    }
    link.addresses.push(Address { net, peer, protocol, tentative: false, duplicate: false, permanent: true });
    Ok(())
}

fn drop_ipv6(link: &mut Link) {
    link.addresses.retain(|address| matches!(address.net, IpNet::V4(_)));
    link.routes.retain(|found| matches!(found.route.to, IpNet::V4(_)));
}

pub(crate) fn make_link_local(link: &mut Link) {
    let wanted = link.ipv6.is_some_and(|ipv6| ipv6.disable_ipv6 == 0 && ipv6.addr_gen_mode != 1);
    let net: IpNet = format!("fe80::{:x}/64", link.index).parse().unwrap();
    if link.up && wanted && link.address(net).is_none() {
        add_address(link, net.into(), Address::KERNEL_LINK_LOCAL).unwrap();
    }
}
