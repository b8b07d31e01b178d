//! What goes to the log in sshd's words, and how much of it a stranger can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Text of a peer, fit for a line of the log: no control characters, and not longer than a name needs to be.
pub(super) fn printable(text: &str) -> String {
    const MAX: usize = 100;
    let mut shown: String = text
        .chars()
        .take(MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Lets through so many lines in a time that strangers cannot fill a disk.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    burst: u32,
    period: Duration,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl Limiter {
    /// `burst` lines in each `period`.
    pub(super) fn new(burst: u32, period: Duration) -> Self {
        Self { state: Mutex::default(), burst, period }
    }

    /// Whether a line may be written, and then how many were not since the last that was.
    pub(super) fn passes(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now.duration_since(since) >= self.period) {
            state.since = Some(now);
            state.passed = 0;
        }
        if state.passed >= self.burst {
            state.suppressed += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.suppressed))
    }

    /// Writes a line about a stranger, unless there were too many.
    pub(super) fn info(&self, line: std::fmt::Arguments<'_>) {
        match self.passes(Instant::now()) {
            Some(0) => tracing::info!("{line}"),
            Some(suppressed) => tracing::info!(suppressed, "{line}"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
