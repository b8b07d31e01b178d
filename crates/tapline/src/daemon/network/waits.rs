//! Parts of what is wanted that cannot be had now are set aside, so that the rest is not held up. Pure.

use std::collections::BTreeSet;

use tapline_control::{Conflict, Desired, Interface, InterfaceName, Ipv6Setting, Operation, ReconcileError};

/// What is set aside, and why. Ports have to be among the interfaces of what is wanted.
#[derive(Debug, Default)]
pub(super) struct Waits {
    parts: Vec<Part>,
    reasons: BTreeSet<String>,
}

/// What names the part: the change that failed, or what stands against it.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Change(Operation),
    Conflict(Conflict),
}

impl Waits {
    /// Sets aside what the error is about. `false`: it is about nothing that the rest could do without.
    pub(super) fn set_aside(&mut self, error: &ReconcileError) -> bool {
        let (parts, reasons): (Vec<Part>, Vec<String>) = match error {
            ReconcileError::Conflicts(conflicts) => {
                let reasons = conflicts.iter().map(ToString::to_string).collect();
                (conflicts.iter().cloned().map(Part::Conflict).collect(), reasons)
            }
            ReconcileError::Operation { failed, .. } => {
                (vec![Part::Change(failed.operation.clone())], vec![error.to_string()])
            }
            ReconcileError::NotKept { remaining, .. } => {
                (remaining.iter().cloned().map(Part::Change).collect(), vec![error.to_string()])
            }
            ReconcileError::Observe(_)
            | ReconcileError::Privilege(_)
            | ReconcileError::Journal { .. }
            | ReconcileError::Watch(_) => return false,
        };
        // Without one of them the state would be tried again as it was, for ever.
        let new: Vec<Part> =
            parts.into_iter().filter(|part| part.can_wait() && !self.parts.contains(part)).collect();
        if new.is_empty() {
            return false;
        }
        self.parts.extend(new);
        self.reasons.extend(reasons);
        true
    }

    /// These are not there. What they are to be is done when they come.
    pub(super) fn miss<'a>(&mut self, missing: impl IntoIterator<Item = &'a InterfaceName>) {
        let say = |name| format!("interface {name} is not there; create it, or correct its name");
        self.reasons.extend(missing.into_iter().map(say));
    }

    /// What is wanted without what is set aside.
    pub(super) fn trim(&self, mut wanted: Desired) -> Desired {
        for part in &self.parts {
            match part {
                Part::Change(operation) => without_change(&mut wanted, operation),
                Part::Conflict(conflict) => without_conflict(&mut wanted, conflict),
            }
        }
        wanted
    }

    /// One line for each that waits.
    pub(super) fn reasons(&self) -> &BTreeSet<String> {
        &self.reasons
    }
}

impl Part {
    /// Taking something back cannot be left out of what is wanted.
    fn can_wait(&self) -> bool {
        !matches!(
            self,
            Self::Change(
                Operation::DeleteBridge { .. }
                    | Operation::RemoveAddress { .. }
                    | Operation::RemoveRoute { .. }
                    | Operation::SetBridge { to: None, .. }
            )
        )
    }
}

fn without_change(wanted: &mut Desired, operation: &Operation) {
    let name = operation.interface();
    match operation {
        Operation::CreateBridge { .. } => without_bridge(wanted, name),
        Operation::SetBridgeParameters { .. } => without_parameters(wanted, name),
        Operation::SetBridge { to, .. } => {
            settings(wanted, name, |settings| settings.bridge = None);
            if let Some(bridge) = to.as_ref().and_then(|bridge| wanted.bridges.get_mut(bridge)) {
                bridge.interfaces.remove(name);
            }
        }
        Operation::SetMacAddress { .. } => settings(wanted, name, |settings| settings.macaddress = None),
        Operation::SetMtu { .. } => settings(wanted, name, |settings| settings.mtu = None),
        Operation::SetIpv6 { setting: Ipv6Setting::AcceptRa, .. } => {
            settings(wanted, name, |settings| settings.accept_ra = None);
        }
        // All that needs IPv6 goes with it.
        Operation::SetIpv6 { setting: Ipv6Setting::DisableIpv6, .. } => settings(wanted, name, |settings| {
            settings.accept_ra = None;
            settings.link_local_ipv6 = None;
            settings.addresses.retain(|address| address.addr().is_ipv4());
        }),
        Operation::SetLinkLocal { .. } => settings(wanted, name, |settings| settings.link_local_ipv6 = None),
        Operation::SetUp { .. } => settings(wanted, name, |settings| settings.up = None),
        Operation::AddAddress { address, .. } => settings(wanted, name, |settings| {
            settings.addresses.remove(address);
        }),
        Operation::AddRoute { route, .. } => without_route(wanted, name, route),
        Operation::DeleteBridge { .. } | Operation::RemoveAddress { .. } | Operation::RemoveRoute { .. } => {}
    }
}

fn without_conflict(wanted: &mut Desired, conflict: &Conflict) {
    match conflict {
        Conflict::Missing(name) => settings(wanted, name, |settings| settings.required = false),
        Conflict::NotABridge { name, .. } => without_bridge(wanted, name),
        Conflict::TwoBridges { port, second, .. } => {
            if let Some(bridge) = wanted.bridges.get_mut(second) {
                bridge.interfaces.remove(port);
            }
        }
        Conflict::RouteTaken { interface, route, .. } => without_route(wanted, interface, route),
        Conflict::Timer { bridge, .. } => without_parameters(wanted, bridge),
    }
}

/// The interfaces that were to be its ports stay what they are.
fn without_bridge(wanted: &mut Desired, bridge: &InterfaceName) {
    wanted.bridges.remove(bridge);
    for interface in wanted.interfaces.values_mut() {
        interface.bridge.take_if(|other| other == bridge);
    }
}

fn without_parameters(wanted: &mut Desired, bridge: &InterfaceName) {
    if let Some(bridge) = wanted.bridges.get_mut(bridge) {
        bridge.parameters = tapline_control::BridgeParameters::default();
    }
}

fn without_route(wanted: &mut Desired, name: &InterfaceName, route: &tapline_control::Route) {
    let same = |other: &tapline_control::Route| {
        other.to.trunc() == route.to.trunc()
            && other.via == route.via
            && other.effective_metric() == route.effective_metric()
    };
    settings(wanted, name, |settings| settings.routes.retain(|other| !same(other)));
}

fn settings(wanted: &mut Desired, name: &InterfaceName, change: impl FnOnce(&mut Interface)) {
    if let Some(bridge) = wanted.bridges.get_mut(name) {
        change(&mut bridge.settings);
    } else if let Some(interface) = wanted.interfaces.get_mut(name) {
        change(interface);
    }
}

#[cfg(test)]
mod tests;
