//! Builds a topology from namespaces and wires. See the crate's documentation for what holds them.

use std::collections::BTreeMap;
use std::{fs, io, thread};

use tapline_config::Name;
use tapline_control::namespace::{Namespace, NamespaceError, WireEnd, wire};
use tapline_control::{
    Bridge, BridgeParameters, Desired, DuplicateAddresses, Interface, InterfaceName, InterfaceNameError,
};

use crate::topology::{Station, Topology};

/// Namespaces that are connected as the lab file says. They vanish with this value and the processes in them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) hosts: BTreeMap<Name, Namespace>,
    /// One for each network, with nothing in it but a bridge, so that no name of theirs can be taken.
    _switches: Vec<Namespace>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("network `{network}`: {source}")]
    Switch { network: String, source: StepError },
    #[error("host `{host}`: {source}")]
    Host { host: String, source: StepError },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Duplicate(#[from] DuplicateAddresses),
    #[error(transparent)]
    Name(#[from] InterfaceNameError),
    #[error("cannot set {setting}: {source}; see that /proc/sys is writable")]
    Setting { setting: String, source: io::Error },
}

impl World {
    pub(crate) fn build(topology: &Topology) -> Result<Self, BuildError> {
        let in_host = |host: &Station, source| BuildError::Host { host: host.name.to_string(), source };
        let mut switches = Vec::new();
        for network in &topology.networks {
            let switch =
                switch().map_err(|source| BuildError::Switch { network: network.name.clone(), source })?;
            switches.push(switch);
        }
        let mut hosts = BTreeMap::new();
        for (number, station) in topology.hosts.iter().enumerate() {
            let namespace = connect(station, number, &switches).map_err(|source| in_host(station, source))?;
            hosts.insert(station.name.clone(), namespace);
        }
        for (number, network) in topology.networks.iter().enumerate() {
            let in_network = |source| BuildError::Switch { network: network.name.clone(), source };
            if let Some(switch) = switches.get(number) {
                switch_on(switch, number, network.mtu, topology).map_err(in_network)?;
            }
        }
        // At once, because each waits for duplicate address detection.
        thread::scope(|scope| {
            let threads: Vec<_> = topology
                .hosts
                .iter()
                .filter_map(|station| Some((station, hosts.get(&station.name)?)))
                .map(|(station, namespace)| (station, scope.spawn(|| set_up(station, namespace))))
                .collect();
            for (station, thread) in threads {
                let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result.map_err(|source| in_host(station, source))?;
            }
            Ok(())
        })?;
        Ok(Self { hosts, _switches: switches })
    }
}

/// A namespace that forwards frames and is nobody's neighbour.
fn switch() -> Result<Namespace, StepError> {
    let namespace = Namespace::new()?;
    set_ipv6(&namespace, "default", false)?;
    Ok(namespace)
}

fn switch_on(
    switch: &Namespace,
    network: usize,
    mtu: Option<u32>,
    topology: &Topology,
) -> Result<(), StepError> {
    let mut interfaces = std::collections::BTreeSet::new();
    for (number, station) in topology.hosts.iter().enumerate() {
        if station.plugs.iter().any(|plug| plug.network == network) {
            interfaces.insert(port(number)?);
        }
    }
    // Without snooping every frame to a group goes to every port, as it would in a plain switch.
    let parameters = BridgeParameters { mcast_snooping: Some(false), ..BridgeParameters::default() };
    let settings = Interface { mtu, ..Interface::default() };
    let mut desired = Desired::default();
    desired
        .bridges
        .insert("switch".parse()?, Bridge { interfaces, parameters, settings, created_with: None });
    switch.configure(&desired)?;
    Ok(())
}

fn port(station: usize) -> Result<InterfaceName, InterfaceNameError> {
    format!("port{station}").parse()
}

/// A namespace with the wires of a host.
fn connect(station: &Station, number: usize, switches: &[Namespace]) -> Result<Namespace, StepError> {
    let namespace = Namespace::new()?;
    for plug in &station.plugs {
        let Some(switch) = switches.get(plug.network) else { continue };
        // An interface takes this over when it is made, before it says its first word.
        set_ipv6(&namespace, "default", plug.ipv6)?;
        let here = WireEnd { mtu: plug.mtu, ..WireEnd::new(&namespace, plug.interface.clone()) };
        let there = WireEnd { mtu: plug.mtu, ..WireEnd::new(switch, port(number)?) };
        wire(&here, &there)?;
    }
    set_ipv6(&namespace, "default", true)?;
    Ok(namespace)
}

fn set_up(station: &Station, namespace: &Namespace) -> Result<(), StepError> {
    if station.forwarding {
        set(namespace, "ipv4/ip_forward", 1)?;
        set(namespace, "ipv6/conf/all/forwarding", 1)?;
    }
    namespace.configure(&station.desired)?.check()?;
    Ok(())
}

fn set_ipv6(namespace: &Namespace, interface: &str, on: bool) -> Result<(), StepError> {
    set(namespace, &format!("ipv6/conf/{interface}/disable_ipv6"), i32::from(!on))
}

/// Sets what the kernel's `ip-sysctl` document describes. A kernel without IPv6 has none of its settings.
fn set(namespace: &Namespace, setting: &str, value: i32) -> Result<(), StepError> {
    let path = format!("/proc/sys/net/{setting}");
    match namespace.run(|| fs::write(path, value.to_string()))? {
        Err(error) if error.kind() == io::ErrorKind::NotFound && setting.starts_with("ipv6/") => Ok(()),
        result => result.map_err(|source| StepError::Setting { setting: setting.to_owned(), source }),
    }
}
