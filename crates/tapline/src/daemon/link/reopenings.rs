//! How often a tunnel is opened again on the SSH connection that it was on. Pure.

use std::time::Duration;

use tapline_transport::link::STABLE;

/// Tunnels in a row that did not last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reopenings(u32);

/// In a row; then a new SSH connection may do better.
const MAX: u32 = 8;

/// The peer's old device needs a moment to go.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Reopenings {
    /// Whether no tunnel of the connection has ended early so far.
    pub(super) fn is_first(self) -> bool {
        self.0 == 0
    }

    /// A tunnel ended, or was refused, after this time: how long to wait before the next one, if there is to be one.
    pub(super) fn next(&mut self, lasted: Duration) -> Option<Duration> {
        if lasted >= STABLE {
            self.0 = 0;
        }
        self.0 += 1;
        (self.0 <= MAX).then(|| FIRST_WAIT.saturating_mul(1 << (self.0 - 1)).min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests;
