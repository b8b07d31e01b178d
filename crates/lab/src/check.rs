//! Tries one check until it passes or its time is over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tapline_config::{Check, Name, Probe};
use tapline_control::namespace::Namespace;
use tapline_control::{Controller, Journal};

use crate::daemon::Daemon;
use crate::log::complaint;
use crate::network::World;
use crate::outcome::{CheckResult, Figures, Verdict};
use crate::probe::{Limits, ProbeError, multicast, ping, throughput};

/// The daemons by host.
pub(crate) type Daemons = Mutex<BTreeMap<Name, Daemon>>;

pub(crate) fn attempt(check: &Check, world: &World, daemons: &Daemons) -> CheckResult {
    let start = Instant::now();
    let (probe, target) = match &check.probe {
        Probe::Ping { address, .. } => ("ping", address),
        Probe::Multicast { group, .. } => ("multicast", group),
        Probe::Throughput { address, .. } => ("throughput", address),
    };
    let futile = || ended_daemon(daemons);
    let limits = Limits { deadline: start + check.within, within: check.within, futile: &futile };
    let verdict = match probe_of(check, world, &limits) {
        Ok(figures) => Verdict::Passed { figures },
        Err(error @ ProbeError::Futile(_)) => Verdict::Failed { reason: error.to_string() },
        Err(error) => Verdict::Failed { reason: format!("{error}{}", complaints(daemons)) },
    };
    CheckResult {
        name: check.name.clone(),
        probe: probe.to_owned(),
        from: check.from.to_string(),
        target: target.to_string(),
        seconds: start.elapsed().as_secs_f64(),
        verdict,
    }
}

fn probe_of(check: &Check, world: &World, limits: &Limits<'_>) -> Result<Figures, ProbeError> {
    let host = |name: &Name| {
        let missing = || ProbeError::Futile(format!("`{name}` is no host of this lab"));
        world.hosts.get(name).ok_or_else(missing)
    };
    let from = host(&check.from)?;
    match &check.probe {
        Probe::Ping { address, count } => from.run(|| ping(address, *count, limits))?,
        Probe::Multicast { group, replies_from } => {
            from.run(|| multicast(group, replies_from, limits, |source| whose(source, world)))?
        }
        Probe::Throughput { address, to, seconds } => {
            let time = Duration::from_secs(u64::from(*seconds));
            throughput(from, host(to)?, address, time, limits)
        }
    }
}

/// The host that has an address, as things are now.
fn whose(address: IpAddr, world: &World) -> Option<Name> {
    let has_it = |namespace: &Namespace| {
        let observed =
            namespace.block_on(|| async { Controller::new(Journal::in_memory()).ok()?.observe().await.ok() });
        let links = observed.ok().flatten().map(|observed| observed.links).unwrap_or_default();
        links.values().flat_map(|link| &link.addresses).any(|found| found.net.addr() == address)
    };
    world.hosts.iter().find(|(_, namespace)| has_it(namespace)).map(|(name, _)| name.clone())
}

/// A daemon that is gone, as a reason for whatever does not work.
fn ended_daemon(daemons: &Daemons) -> Option<String> {
    let mut daemons = daemons.lock().unwrap_or_else(PoisonError::into_inner);
    daemons.iter_mut().find_map(|(host, daemon)| {
        let status = daemon.ended()?;
        let why = complaint(&daemon.log()).map(|line| format!(": {line}")).unwrap_or_default();
        Some(format!("the daemon of {host} ended, {status}{why}"))
    })
}

/// What the daemons' logs say about it.
fn complaints(daemons: &Daemons) -> String {
    let daemons = daemons.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = daemons.iter().filter_map(|(host, daemon)| Some((host, complaint(&daemon.log())?)));
    lines.map(|(host, line)| format!("; {host} said: {line}")).collect()
}
