//! An address answers echo requests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use tapline_config::ZonedAddr;

use super::exchange::{Unfinished, exchange};
use super::rounds::Pace;
use super::{Limits, ProbeError};
use crate::outcome::Figures;

/// Waits for `count` answers from `target`, in the calling thread's network namespace.
pub(crate) fn ping(target: &ZonedAddr, count: u32, limits: &Limits<'_>) -> Result<Figures, ProbeError> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let mut times = BTreeMap::new();
    let unfinished = exchange(target, limits, Pace::Eager, |answer| {
        if answer.source == target.address {
            times.entry(answer.sequence).or_insert(answer.round_trip);
        }
        if times.len() >= wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(Unfinished { last }) = unfinished {
        return Err(ProbeError::Unanswered { got: times.len(), wanted, within: limits.within, last });
    }
    Ok(Figures::RoundTrip { rtt_ms: milliseconds(median(times.into_values().collect())) })
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
