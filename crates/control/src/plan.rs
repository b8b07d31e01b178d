//! The difference between what is desired and what is observed, as an ordered list of changes. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    Bridge, BridgeParameters, Desired, IfAddr, Interface, InterfaceName, Ipv6Setting, LinkRoute, MacAddress,
    Observed, Operation, Owned, Route,
    observed::{Address, Ipv6Settings, Link},
    operation::PROTOCOL,
    owned::OwnedInterface,
};

/// What is to be done, and what cannot be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes in the order in which the kernel takes them.
    pub operations: Vec<Operation>,
    /// Desired interfaces that do not exist (yet).
    pub missing: Vec<InterfaceName>,
    /// Reasons for which the desired state cannot be reached. A plan with conflicts must not be applied.
    pub conflicts: Vec<Conflict>,
}

impl Plan {
    /// Nothing is to be done and nothing is in the way.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.conflicts.is_empty()
    }
}

/// A reason for which the desired state cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("interface {0} does not exist; create it or correct its name")]
    Missing(InterfaceName),
    #[error("{name} exists and is no bridge but {kind}; choose another name for the bridge")]
    NotABridge { name: InterfaceName, kind: String },
    #[error("{port} cannot be a port of both {first} and {second}; take it out of one of them")]
    TwoBridges { port: InterfaceName, first: InterfaceName, second: InterfaceName },
    #[error(
        "route {route} of {interface} cannot be added: {other} has {taken}; give one of them another metric"
    )]
    RouteTaken { interface: InterfaceName, route: Route, other: InterfaceName, taken: Route },
    #[error("{setting} of bridge {bridge} is {value:?}; {range}")]
    Timer { bridge: InterfaceName, setting: &'static str, value: Duration, range: &'static str },
}

/// Compares and decides. The same desired state over the state that the plan reaches gives an empty plan, and
/// `Desired::default()` gives the plan that takes back all that `owned` holds and nothing else.
///
/// Routes are planned only for interfaces that are up, or will be: the kernel keeps none on others.
pub fn plan(desired: &Desired, observed: &Observed, owned: &Owned) -> Plan {
    let mut planner = Planner { observed, steps: Vec::new(), plan: Plan::default() };
    let wanted = planner.merge(desired);
    let names: BTreeSet<&InterfaceName> = wanted.keys().chain(owned.interfaces.keys()).collect();
    let doomed: BTreeSet<&InterfaceName> = names
        .iter()
        .copied()
        .filter(|name| {
            let record = observed.links.get(*name).and_then(|link| owned.of(name, link));
            record.is_some_and(|record| record.created) && !desired.bridges.contains_key(*name)
        })
        .collect();

    for name in names {
        let target = wanted.get(name);
        match (observed.links.get(name), target) {
            (Some(link), _) if doomed.contains(name) => {
                planner.dismantle(name, link, owned.of(name, link));
                planner.plan.missing.extend(target.map(|_| name.clone()));
            }
            (Some(link), target) => {
                let target = target.cloned().unwrap_or_else(Target::untouched);
                planner.interface(name, link, &target, owned.of(name, link), &wanted, &doomed);
            }
            (None, Some(target)) if target.parameters.is_some() => {
                let link = planner.create_bridge(name, target);
                planner.interface(name, &link, target, None, &wanted, &doomed);
            }
            (None, Some(target)) if target.settings.required => {
                planner.plan.conflicts.push(Conflict::Missing(name.clone()));
            }
            (None, Some(_)) => planner.plan.missing.push(name.clone()),
            (None, None) => {}
        }
    }
    planner.check_routes();
    planner.finish()
}

/// The order of changes. New addresses come before old ones go, because the kernel flushes the routes of an interface
/// that loses its last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    DropRoute,
    /// IPv6 holds an address once per interface, so a changed prefix length means remove, then add.
    DropSameAddress,
    LeaveBridge,
    CreateBridge,
    Parameters,
    Link,
    Ipv6,
    JoinBridge,
    Up,
    AddAddress,
    AddLinkRoute,
    AddGatewayRoute,
    DropAddress,
    Ipv6Off,
    ShrinkMtu,
    Down,
    DeleteBridge,
}

#[derive(Debug, Clone)]
struct Target {
    settings: Interface,
    /// Set when this is to be a bridge.
    parameters: Option<BridgeParameters>,
    created_with: Option<MacAddress>,
}

impl Target {
    fn of(settings: Interface) -> Self {
        Self { settings, parameters: None, created_with: None }
    }

    fn untouched() -> Self {
        Self::of(Interface::untouched())
    }
}

struct Planner<'a> {
    observed: &'a Observed,
    steps: Vec<(Phase, Operation)>,
    plan: Plan,
}

impl Planner<'_> {
    /// One entry per name: bridges with their settings, ports with the bridge that lists them.
    fn merge(&mut self, desired: &Desired) -> BTreeMap<InterfaceName, Target> {
        let mut wanted: BTreeMap<InterfaceName, Target> = BTreeMap::new();
        for (name, interface) in &desired.interfaces {
            wanted.insert(name.clone(), Target::of(interface.clone()));
        }
        for (name, bridge) in &desired.bridges {
            let parameters = Some(bridge.parameters.rounded());
            let Bridge { settings, created_with, .. } = bridge.clone();
            wanted.insert(name.clone(), Target { settings, parameters, created_with });
        }
        for (name, bridge) in &desired.bridges {
            for port in &bridge.interfaces {
                let up = || Target::of(Interface::default());
                let target = wanted.entry(port.clone()).or_insert_with(up);
                match &target.settings.bridge {
                    Some(other) if other != name => self.plan.conflicts.push(Conflict::TwoBridges {
                        port: port.clone(),
                        first: other.clone(),
                        second: name.clone(),
                    }),
                    _ => target.settings.bridge = Some(name.clone()),
                }
            }
        }
        wanted
    }

    fn step(&mut self, phase: Phase, operation: Operation) {
        self.steps.push((phase, operation));
    }

    fn create_bridge(&mut self, name: &InterfaceName, target: &Target) -> Link {
        let macaddress = target.settings.macaddress.or(target.created_with);
        self.step(Phase::CreateBridge, Operation::CreateBridge { interface: name.clone(), macaddress });
        Link {
            mtu: 1500,
            macaddress,
            bridge: Some(BridgeParameters::KERNEL_DEFAULT),
            ipv6: self.observed.ipv6_default,
            ..Link::default()
        }
    }

    /// Takes a bridge of our own apart, piece by piece so that each piece can be put back, then deletes it.
    fn dismantle(&mut self, name: &InterfaceName, link: &Link, record: Option<&OwnedInterface>) {
        let target = Target::untouched();
        self.routes(name, link, &[], record);
        self.addresses(name, link, &target.settings, record);
        if let Some(observed) = link.bridge {
            self.parameters(name, observed, BridgeParameters::default(), record);
        }
        if link.up {
            self.step(Phase::Down, Operation::SetUp { interface: name.clone(), up: false, keep: Vec::new() });
        }
        let macaddress = link.macaddress;
        self.step(Phase::DeleteBridge, Operation::DeleteBridge { interface: name.clone(), macaddress });
    }

    fn interface(
        &mut self,
        name: &InterfaceName,
        link: &Link,
        target: &Target,
        record: Option<&OwnedInterface>,
        wanted: &BTreeMap<InterfaceName, Target>,
        doomed: &BTreeSet<&InterfaceName>,
    ) {
        let settings = &target.settings;
        let found = record.map(|record| record.found.clone()).unwrap_or_default();
        let interface = || name.clone();

        if let Some(parameters) = target.parameters {
            let Some(observed) = link.bridge else {
                let kind = link.kind.clone().unwrap_or_else(|| "a device".to_owned());
                self.plan.conflicts.push(Conflict::NotABridge { name: name.clone(), kind });
                return;
            };
            self.parameters(name, observed, parameters, record);
        } else if let Some(observed) = link.bridge {
            self.parameters(name, observed, BridgeParameters::default(), record);
        }
        if let (Some(to), Some(from)) = (settings.macaddress.or(found.macaddress), link.macaddress)
            && to != from
        {
            self.step(Phase::Link, Operation::SetMacAddress { interface: interface(), from, to });
        }
        if let Some(to) = settings.mtu.or(found.mtu)
            && to != link.mtu
        {
            // Below 1280 bytes the kernel takes IPv6 off the interface, so what needs IPv6 comes off first.
            let phase = if to < link.mtu { Phase::ShrinkMtu } else { Phase::Link };
            self.step(phase, Operation::SetMtu { interface: interface(), from: link.mtu, to });
        }
        if let Some(ipv6) = link.ipv6 {
            self.ipv6(name, link, ipv6, settings, record);
        }
        self.bridge(name, link, settings, found.bridge, wanted, doomed);

        let up = settings.up.or(found.up).unwrap_or(link.up);
        if up != link.up {
            let phase = if up { Phase::Up } else { Phase::Down };
            let keep = lost_on_down(link, record);
            self.step(phase, Operation::SetUp { interface: interface(), up, keep });
        }
        self.addresses(name, link, settings, record);
        self.routes(name, link, if up { &settings.routes } else { &[] }, record);
    }

    fn parameters(
        &mut self,
        name: &InterfaceName,
        observed: BridgeParameters,
        desired: BridgeParameters,
        record: Option<&OwnedInterface>,
    ) {
        let found = record.map(|record| record.found.parameters).unwrap_or_default();
        let mut target = desired.or(found);
        let spanning_tree = target.stp.or(observed.stp) == Some(true);
        if spanning_tree && desired.forward_delay.is_none() {
            // Starting the spanning tree moves the delay into its range; say so, to be able to take it back.
            let (least, most) = (*FORWARD_DELAY.start(), *FORWARD_DELAY.end());
            let outside =
                target.forward_delay.or(observed.forward_delay).filter(|d| !FORWARD_DELAY.contains(d));
            target.forward_delay = outside.map(|delay| delay.clamp(least, most)).or(target.forward_delay);
        }
        self.check_timers(name, target, spanning_tree);
        let to = target.differing_from(observed);
        if !to.is_empty() {
            let from = observed.named_in(to);
            let operation = Operation::SetBridgeParameters { interface: name.clone(), from, to };
            self.step(Phase::Parameters, operation);
        }
    }

    fn check_timers(&mut self, bridge: &InterfaceName, target: BridgeParameters, spanning_tree: bool) {
        let timers = [
            (
                "forward-delay",
                target.forward_delay.filter(|_| spanning_tree),
                FORWARD_DELAY,
                "with stp it must be 2 to 30 seconds",
            ),
            ("hello-time", target.hello_time, HELLO_TIME, "it must be 1 to 10 seconds"),
            ("max-age", target.max_age, MAX_AGE, "it must be 6 to 40 seconds"),
        ];
        for (setting, value, allowed, range) in timers {
            if let Some(value) = value.filter(|value| !allowed.contains(value)) {
                self.plan.conflicts.push(Conflict::Timer { bridge: bridge.clone(), setting, value, range });
            }
        }
    }

    fn ipv6(
        &mut self,
        name: &InterfaceName,
        link: &Link,
        ipv6: Ipv6Settings,
        settings: &Interface,
        record: Option<&OwnedInterface>,
    ) {
        let found = record.map(|record| record.found.clone()).unwrap_or_default();
        let set = |setting, from, to| Operation::SetIpv6 { interface: name.clone(), setting, from, to };

        let accept_ra = match settings.accept_ra {
            Some(true) if ipv6.accepts_router_advertisements() => ipv6.accept_ra,
            Some(true) => 2,
            Some(false) => 0,
            None => found.accept_ra.unwrap_or(ipv6.accept_ra),
        };
        if accept_ra != ipv6.accept_ra {
            self.step(Phase::Ipv6, set(Ipv6Setting::AcceptRa, ipv6.accept_ra, accept_ra));
        }

        let disable = if settings.needs_ipv6() { 0 } else { found.disable_ipv6.unwrap_or(ipv6.disable_ipv6) };
        if disable != ipv6.disable_ipv6 {
            let phase = if disable == 0 { Phase::Ipv6 } else { Phase::Ipv6Off };
            self.step(phase, set(Ipv6Setting::DisableIpv6, ipv6.disable_ipv6, disable));
        }

        let none = Ipv6Settings::ADDR_GEN_NONE;
        let mode = match settings.link_local_ipv6 {
            Some(false) => none,
            Some(true) if ipv6.addr_gen_mode != none => ipv6.addr_gen_mode,
            Some(true) => found.addr_gen_mode.filter(|mode| *mode != none).unwrap_or(0),
            None => found.addr_gen_mode.unwrap_or(ipv6.addr_gen_mode),
        };
        let unwanted = settings.link_local_ipv6 == Some(false)
            && link.addresses.iter().any(|address| address.is_kernel_link_local());
        if mode != ipv6.addr_gen_mode || unwanted {
            let (interface, from) = (name.clone(), ipv6.addr_gen_mode);
            self.step(Phase::Ipv6, Operation::SetLinkLocal { interface, from, to: mode });
        }
    }

    fn bridge(
        &mut self,
        name: &InterfaceName,
        link: &Link,
        settings: &Interface,
        found: Option<Option<InterfaceName>>,
        wanted: &BTreeMap<InterfaceName, Target>,
        doomed: &BTreeSet<&InterfaceName>,
    ) {
        let stands =
            |bridge: &InterfaceName| !doomed.contains(bridge) && self.observed.links.contains_key(bridge);
        let to = match &settings.bridge {
            Some(bridge) => {
                let made = wanted.get(bridge).is_some_and(|target| target.parameters.is_some());
                if !made && !stands(bridge) {
                    self.plan.missing.push(bridge.clone());
                    return;
                }
                if let Some(other) = self.observed.links.get(bridge).filter(|other| other.bridge.is_none()) {
                    let kind = other.kind.clone().unwrap_or_else(|| "a device".to_owned());
                    self.plan.conflicts.push(Conflict::NotABridge { name: bridge.clone(), kind });
                    return;
                }
                Some(bridge.clone())
            }
            None => match found {
                Some(bridge) => bridge.filter(stands),
                None => return,
            },
        };
        if to != link.controller {
            let phase = if to.is_some() { Phase::JoinBridge } else { Phase::LeaveBridge };
            let (interface, from) = (name.clone(), link.controller.clone());
            self.step(phase, Operation::SetBridge { interface, from, to });
        }
    }

    fn addresses(
        &mut self,
        name: &InterfaceName,
        link: &Link,
        settings: &Interface,
        record: Option<&OwnedInterface>,
    ) {
        let keep = |address: &IfAddr| {
            if address.is_ipv4() { lost_with_last_address(link, record) } else { Vec::new() }
        };
        for address in settings.addresses.iter().filter(|address| link.address(**address).is_none()) {
            let (interface, keep) = (name.clone(), keep(address));
            self.step(Phase::AddAddress, Operation::AddAddress { interface, address: *address, keep });
        }
        for address in record.iter().flat_map(|record| &record.addresses) {
            // An address with another mark took the place of ours; 0 is what kernels before 5.18 say.
            let ours = link.address(*address).is_some_and(|found| matches!(found.protocol, 0 | PROTOCOL));
            if settings.addresses.contains(address) || !ours {
                continue;
            }
            let replaced = settings.addresses.iter().any(|wanted| wanted.addr() == address.addr());
            let phase = if replaced { Phase::DropSameAddress } else { Phase::DropAddress };
            let (interface, keep) = (name.clone(), keep(address));
            self.step(phase, Operation::RemoveAddress { interface, address: *address, keep });
        }
    }

    fn routes(
        &mut self,
        name: &InterfaceName,
        link: &Link,
        desired: &[Route],
        record: Option<&OwnedInterface>,
    ) {
        let desired: BTreeSet<Route> = desired.iter().map(|route| route.canonical()).collect();
        for route in &desired {
            if link.route(route).is_none() {
                let phase = if route.via.is_some() { Phase::AddGatewayRoute } else { Phase::AddLinkRoute };
                self.step(phase, Operation::AddRoute { interface: name.clone(), route: *route });
            }
        }
        for route in record.iter().flat_map(|record| &record.routes) {
            let ours = link.route(route).is_some_and(|found| found.protocol == PROTOCOL);
            if ours && !desired.iter().any(|wanted| wanted.is_same_route(route)) {
                let operation = Operation::RemoveRoute { interface: name.clone(), route: *route };
                self.step(Phase::DropRoute, operation);
            }
        }
    }

    /// Two routes to one destination with one metric would share the traffic or be refused, whichever the family.
    fn check_routes(&mut self) {
        let mut dropped = Vec::new();
        let mut taken: Vec<(InterfaceName, Route)> = Vec::new();
        for (_, operation) in &self.steps {
            if let Operation::RemoveRoute { interface, route } = operation {
                dropped.push((interface.clone(), *route));
            }
        }
        for (name, link) in &self.observed.links {
            let stays = |route: &Route| !dropped.iter().any(|(i, r)| i == name && r.is_same_route(route));
            let routes = link.routes.iter().map(|found| found.route).filter(|route| stays(route));
            taken.extend(routes.map(|route| (name.clone(), route)));
        }
        for (_, operation) in &self.steps {
            let Operation::AddRoute { interface, route } = operation else { continue };
            let rival = taken.iter().find(|(_, other)| {
                other.to == route.to && other.effective_metric() == route.effective_metric()
            });
            if let Some((other, rival)) = rival {
                self.plan.conflicts.push(Conflict::RouteTaken {
                    interface: interface.clone(),
                    route: *route,
                    other: other.clone(),
                    taken: *rival,
                });
            }
            taken.push((interface.clone(), *route));
        }
    }

    fn finish(mut self) -> Plan {
        self.steps.sort_by_key(|(phase, _)| *phase);
        self.plan.operations = self.steps.into_iter().map(|(_, operation)| operation).collect();
        self.plan.missing.sort();
        self.plan.missing.dedup();
        self.plan.conflicts.dedup();
        self.plan
    }
}

/// The IPv6 addresses that we found, which the kernel drops when the interface goes down.
fn lost_on_down(link: &Link, record: Option<&OwnedInterface>) -> Vec<(IfAddr, u8)> {
    let ours =
        |address: &Address| record.is_some_and(|record| record.addresses.contains(&address.assigned()));
    let lost = link.addresses.iter().filter(|address| {
        let ipv6 = matches!(address.net, IpNet::V6(_));
        ipv6 && address.permanent && !address.is_kernel_link_local() && !ours(address)
    });
    lost.map(|address| (address.assigned(), address.protocol)).collect()
}

/// The IPv4 routes that we found, which the kernel drops with the last IPv4 address; none when an address stays.
fn lost_with_last_address(link: &Link, record: Option<&OwnedInterface>) -> Vec<LinkRoute> {
    let ipv4 = |net: &IpNet| matches!(net, IpNet::V4(_));
    let ours = |address: &IfAddr| record.is_some_and(|record| record.addresses.contains(address));
    let stays = |address: IfAddr| address.is_ipv4() && !ours(&address);
    if link.addresses.iter().any(|address| stays(address.assigned())) {
        return Vec::new();
    }
    let our_route =
        |route: &Route| record.is_some_and(|r| r.routes.iter().any(|ours| ours.is_same_route(route)));
    let lost = link.routes.iter().filter(|found| ipv4(&found.route.to) && !our_route(&found.route));
    lost.copied().collect()
}

type Range = std::ops::RangeInclusive<Duration>;
const FORWARD_DELAY: Range = Duration::from_secs(2)..=Duration::from_secs(30);
const HELLO_TIME: Range = Duration::from_secs(1)..=Duration::from_secs(10);
const MAX_AGE: Range = Duration::from_secs(6)..=Duration::from_secs(40);

impl fmt::Display for Plan {
    /// One change a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operations.iter().try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

#[cfg(test)]
mod tests;
