//! When something that could not be had is tried again. Pure.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Soon at first, then every ten seconds, for as long as something is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Retry {
    wait: Duration,
    at: Option<Instant>,
}

impl Retry {
    /// Something still waits, or no longer does.
    pub(super) fn waits(&mut self, something: bool, now: Instant) {
        if something {
            self.wait = self.wait.saturating_mul(2).clamp(FIRST, LONGEST);
            self.at = Some(now + self.wait);
        } else {
            *self = Self::default();
        }
    }

    /// A sign that trying may help: once more at `at`, and soon again after that.
    pub(super) fn hurry(&mut self, at: Instant) {
        self.wait = Duration::ZERO;
        self.at = Some(self.at.map_or(at, |other| other.min(at)));
    }

    /// Ready when it is time; never while nothing waits. Cancel safe.
    pub(super) async fn due(&self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
