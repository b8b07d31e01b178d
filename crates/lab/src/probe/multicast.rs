//! Hosts answer an echo request to a group.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::ControlFlow;

use tapline_config::{Name, ZonedAddr};

use super::exchange::{Unfinished, exchange};
use super::ping::milliseconds;
use super::rounds::Pace;
use super::{Limits, ProbeError};
use crate::outcome::Figures;

/// Waits until each of `wanted` has answered, in the calling thread's network namespace. `whose` says which host has
/// an address now.
pub(crate) fn multicast(
    group: &ZonedAddr,
    wanted: &[Name],
    limits: &Limits<'_>,
    whose: impl Fn(IpAddr) -> Option<Name>,
) -> Result<Figures, ProbeError> {
    let mut known: BTreeMap<IpAddr, Name> = BTreeMap::new();
    let mut times = BTreeMap::new();
    let mut strangers = BTreeSet::new();
    let unfinished = exchange(group, limits, Pace::Steady, |answer| {
        // An address may be too new to be known the first time.
        if !known.contains_key(&answer.source)
            && let Some(name) = whose(answer.source)
        {
            known.insert(answer.source, name);
        }
        match known.get(&answer.source) {
            Some(name) if wanted.contains(name) => {
                times.entry(name.to_string()).or_insert(milliseconds(answer.round_trip));
            }
            other => {
                strangers.insert(other.map_or_else(|| answer.source.to_string(), ToString::to_string));
            }
        }
        let all = wanted.iter().all(|name| times.contains_key(name.as_str()));
        if all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(Unfinished { last }) = unfinished else { return Ok(Figures::Answers { rtt_ms_by_host: times }) };
    let missing = wanted.iter().filter(|name| !times.contains_key(name.as_str())).cloned().collect();
    let others = times.into_keys().chain(strangers).collect();
    Err(ProbeError::Missing { missing, strangers: others, within: limits.within, last })
}
