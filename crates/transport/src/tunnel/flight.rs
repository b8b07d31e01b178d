use std::time::{Duration, Instant};

/// How many bytes may be on their way in one direction: what the path holds, some more so that the rate can grow, and a
/// least for paths that hold next to nothing. What goes beyond would stand in queues that nothing manages.
///
/// The rate is what arrived, over a round trip at a time, so that it doubles from one to the next as long as the path
/// takes it (as TCP's own receive window does).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    bounds: Bounds,
    limit: u32,
    since: Option<Instant>,
    arrived: u64,
}

/// Between which a [`Flight`] moves, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: u32,
    pub(super) most: u32,
    /// How many times what the path holds may be on its way, in percent.
    pub(super) gain: u32,
    /// The time for which the peer may have work ahead, besides.
    pub(super) ahead: Duration,
}

impl Bounds {
    /// With `most` at most `limit`, which is never below `least`: that is granted before the path is known.
    pub(super) fn within(self, limit: u32) -> Self {
        Self { most: self.most.min(limit).max(self.least), ..self }
    }
}

/// A rate is measured over at least this long.
const MEASURED: Duration = Duration::from_millis(10);

impl Flight {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { limit: bounds.least, bounds, since: None, arrived: 0 }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn arrived(&mut self, bytes: u32) {
        self.arrived += u64::from(bytes);
    }

    /// Follows the path: grows at once, and shrinks slowly, as a pause is no sign of a shorter path.
    pub(super) fn observe(&mut self, now: Instant, round_trip: Duration) {
        let Some(since) = self.since else {
            self.since = Some(now);
            self.arrived = 0;
            return;
        };
        let elapsed = now.saturating_duration_since(since);
        if elapsed < MEASURED.max(round_trip) {
            return;
        }
        let rate = self.arrived as f64 / elapsed.as_secs_f64();
        let time =
            round_trip.as_secs_f64() * f64::from(self.bounds.gain) / 100.0 + self.bounds.ahead.as_secs_f64();
        let held = rate * time;
        let wanted = self.bounds.least.saturating_add(held as u32).min(self.bounds.most);
        self.limit = wanted.max(self.limit - (self.limit - wanted.min(self.limit)) / 8);
        self.since = Some(now);
        self.arrived = 0;
    }
}

#[cfg(test)]
mod tests;
