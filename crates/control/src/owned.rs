//! The record of what Tapline itself changed, so that exactly that can be taken back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    BridgeParameters, Desired, IfAddr, InterfaceName, Ipv6Setting, MacAddress, Observed, Operation, Route,
    observed::{Address, Link},
    operation::{BRIDGE_ALIAS, PROTOCOL},
};

/// What Tapline added, and what it found where it changed something.
///
/// A change is entered with [`Owned::claim`] before it is made, so that no change is ever without its entry. An entry
/// whose change was never made is harmless: only what the record and the kernel both hold is taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    #[serde(default)]
    pub interfaces: BTreeMap<InterfaceName, OwnedInterface>,
}

/// The part of the record for one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedInterface {
    /// The kernel's number of the interface. An interface of the same name with another number is not ours.
    /// `None` only for a bridge whose creation was about to begin.
    pub index: Option<u32>,
    /// Tapline created it (a bridge).
    #[serde(default)]
    pub created: bool,
    /// A tap or tun of others that stays without us, and that Tapline attached to. What it set there outlives a process that
    /// is killed: whoever attaches next without asking gets what he cannot read.
    #[serde(default)]
    pub attached: bool,
    #[serde(default)]
    pub found: Found,
    #[serde(default)]
    pub addresses: BTreeSet<IfAddr>,
    #[serde(default)]
    pub routes: BTreeSet<Route>,
}

/// Values found where Tapline set others. `None` where nothing was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macaddress: Option<MacAddress>,
    /// `Some(None)`: it was a port of nothing.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "null_is_a_value")]
    pub bridge: Option<Option<InterfaceName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_ra: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_ipv6: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr_gen_mode: Option<i32>,
    #[serde(skip_serializing_if = "BridgeParameters::is_empty")]
    pub parameters: BridgeParameters,
}

fn null_is_a_value<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl OwnedInterface {
    fn is_empty(&self) -> bool {
        !self.created
            && !self.attached
            && self.found == Found::default()
            && self.addresses.is_empty()
            && self.routes.is_empty()
    }

    fn is_about(&self, link: &Link) -> bool {
        match self.index {
            Some(index) => index == link.index,
            // Killed while it created the bridge, possibly before the kernel had the alias.
            None => {
                let ours = link.alias.as_deref().is_none_or(|alias| alias == BRIDGE_ALIAS);
                self.created && link.bridge.is_some() && ours
            }
        }
    }
}

impl Owned {
    /// Nothing is owned.
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// The record for `name`, if it is about this very interface and not about an earlier one of that name.
    pub fn of(&self, name: &InterfaceName, link: &Link) -> Option<&OwnedInterface> {
        self.interfaces.get(name).filter(|record| record.is_about(link))
    }

    /// Enters the persistent taps and tuns among the interfaces that are wanted: others made them, and somebody here is
    /// attached to them.
    pub(crate) fn attach(&mut self, desired: &Desired, observed: &Observed) {
        for name in desired.interfaces.keys() {
            if let Some(link) = observed.links.get(name)
                && link.tun.is_some_and(|tun| tun.persistent)
            {
                let record = self.interfaces.entry(name.clone()).or_default();
                record.index = record.index.or(Some(link.index));
                record.attached |= record.index == Some(link.index);
            }
        }
    }

    /// Enters a change that is about to be made. `index` is the interface's number where it exists already.
    pub fn claim(&mut self, operation: &Operation, index: Option<u32>) {
        let record = self.interfaces.entry(operation.interface().clone()).or_default();
        record.index = record.index.or(index);
        let found = &mut record.found;
        match operation {
            Operation::CreateBridge { .. } => {
                *record = OwnedInterface { created: true, ..Default::default() }
            }
            Operation::SetBridgeParameters { from, .. } => found.parameters = found.parameters.or(*from),
            Operation::SetMacAddress { from, .. } => keep_first(&mut found.macaddress, from),
            Operation::SetMtu { from, .. } => keep_first(&mut found.mtu, from),
            Operation::SetIpv6 { setting, from, .. } => keep_first(found.ipv6(*setting), from),
            Operation::SetLinkLocal { from, .. } => keep_first(&mut found.addr_gen_mode, from),
            Operation::SetBridge { from, .. } => keep_first(&mut found.bridge, from),
            Operation::SetUp { up, .. } => keep_first(&mut found.up, &!up),
            Operation::AddAddress { address, .. } => {
                record.addresses.insert(*address);
            }
            Operation::AddRoute { route, .. } => {
                record.routes.insert(route.canonical());
            }
            Operation::DeleteBridge { .. }
            | Operation::RemoveAddress { .. }
            | Operation::RemoveRoute { .. } => {}
        }
    }

    /// Strikes out what a change, which has been made, took back. `index` is the interface's number after it.
    pub fn release(&mut self, operation: &Operation, index: Option<u32>) {
        let name = operation.interface();
        let Some(record) = self.interfaces.get_mut(name) else { return };
        let found = &mut record.found;
        match operation {
            Operation::CreateBridge { .. } => record.index = index,
            Operation::DeleteBridge { .. } => *record = OwnedInterface::default(),
            Operation::SetBridgeParameters { to, .. } => {
                found.parameters = found.parameters.differing_from(*to);
            }
            Operation::SetMacAddress { to, .. } => drop_if_back(&mut found.macaddress, to),
            Operation::SetMtu { to, .. } => drop_if_back(&mut found.mtu, to),
            Operation::SetIpv6 { setting, to, .. } => drop_if_back(found.ipv6(*setting), to),
            Operation::SetLinkLocal { to, .. } => drop_if_back(&mut found.addr_gen_mode, to),
            Operation::SetBridge { to, .. } => drop_if_back(&mut found.bridge, to),
            Operation::SetUp { up, .. } => drop_if_back(&mut found.up, up),
            Operation::RemoveAddress { address, .. } => {
                record.addresses.remove(address);
            }
            Operation::RemoveRoute { route, .. } => {
                record.routes.retain(|owned| !owned.is_same_route(&route.canonical()));
            }
            Operation::AddAddress { .. } | Operation::AddRoute { .. } => {}
        }
        if record.is_empty() {
            self.interfaces.remove(name);
        }
    }

    /// Brings the record in line with the interfaces that exist: follows a renamed interface, forgets one that is
    /// gone (the kernel took with it all that was added to it).
    pub fn follow(&mut self, observed: &Observed) {
        let records = std::mem::take(&mut self.interfaces);
        for (name, mut record) in records {
            let here = observed.links.get_key_value(&name).filter(|(_, link)| record.is_about(link));
            let renamed = || record.index.and_then(|index| observed.by_index(index));
            if let Some((name, link)) = here.or_else(renamed) {
                record.index = Some(link.index);
                self.interfaces.insert(name.clone(), record);
            }
        }
    }

    /// A record made from the marks in the kernel alone ([`BRIDGE_ALIAS`], [`PROTOCOL`]), for when the journal is
    /// lost. It cannot know changed settings, and cannot tell two running programs apart.
    pub fn from_marks(observed: &Observed) -> Self {
        let mut owned = Self::default();
        for (name, link) in &observed.links {
            let marked = |protocol: u8| protocol == PROTOCOL;
            let record = OwnedInterface {
                index: Some(link.index),
                created: link.bridge.is_some() && link.alias.as_deref() == Some(BRIDGE_ALIAS),
                attached: false,
                found: Found::default(),
                addresses: link
                    .addresses
                    .iter()
                    .filter(|a| marked(a.protocol))
                    .map(Address::assigned)
                    .collect(),
                routes: link
                    .routes
                    .iter()
                    .filter(|r| marked(r.protocol))
                    .map(|r| r.route.canonical())
                    .collect(),
            };
            if !record.is_empty() {
                owned.interfaces.insert(name.clone(), record);
            }
        }
        owned
    }
}

impl Found {
    fn ipv6(&mut self, setting: Ipv6Setting) -> &mut Option<i32> {
        match setting {
            Ipv6Setting::AcceptRa => &mut self.accept_ra,
            Ipv6Setting::DisableIpv6 => &mut self.disable_ipv6,
        }
    }
}

fn keep_first<T: Clone>(found: &mut Option<T>, value: &T) {
    found.get_or_insert_with(|| value.clone());
}

fn drop_if_back<T: PartialEq>(found: &mut Option<T>, value: &T) {
    if found.as_ref() == Some(value) {
        *found = None;
    }
}

#[cfg(test)]
mod tests;
