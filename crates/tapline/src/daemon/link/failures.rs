//! What is said of attempts that fail, for hours perhaps: each reason once, and then ever more rarely.

use std::time::Duration;

use tracing::{debug, warn};

/// The last failure, and how often it came in a row.
#[derive(Debug, Default)]
pub(super) struct Failures {
    why: String,
    times: u32,
}

impl Failures {
    /// One line, or none above the level of debugging.
    pub(super) fn tell(&mut self, why: &str, wait: Duration) {
        let wait = wait.as_secs_f32();
        match self.count(why) {
            Some(1) => warn!("{why}; next attempt in {wait:.1} s"),
            Some(times) => warn!("{why}, {times} times by now; next attempt in {wait:.1} s"),
            None => debug!("{why}; next attempt in {wait:.1} s"),
        }
    }

    /// How often it came in a row, if that is worth a line.
    fn count(&mut self, why: &str) -> Option<u32> {
        if self.why != why {
            *self = Self { why: why.to_owned(), times: 0 };
        }
        self.times = self.times.saturating_add(1);
        self.times.is_power_of_two().then_some(self.times)
    }
}

#[cfg(test)]
mod tests;
