use std::time::{Duration, Instant};

/// How many encrypted bytes may wait for the socket: enough that it never runs dry, and no more, for what waits there
/// can no longer be reordered, marked or dropped.
///
/// While the socket takes everything at once, and more could have been given to it, the budget grows. Once it does not,
/// the rate at which it takes bytes is known, and the budget is what it takes in [`AHEAD`].
#[derive(Debug, Clone)]
pub(super) struct Pace {
    budget: usize,
    /// Bytes per second that a socket with a backlog took; 0 until known.
    rate: f64,
    written: u64,
    /// The budget kept something waiting since the last turn.
    exhausted: bool,
    window: Option<Window>,
}

/// A stretch of time in which the socket always had a backlog.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    taken: u64,
}

/// The time for which the socket has work ahead.
const AHEAD: Duration = Duration::from_millis(2);
/// A rate is measured over at least this long, as a socket takes bytes in bursts.
const MEASURED: Duration = Duration::from_millis(10);
/// One ordinary frame with all that SSH adds, several times: less would cost a system call each.
const MOST_IN_KERNEL: u32 = 64 * 1024;
const LEAST: usize = 8 * 1024;
const MOST: usize = 512 * 1024;
const FIRST: usize = 64 * 1024;

impl Default for Pace {
    fn default() -> Self {
        Self { budget: FIRST, rate: 0.0, written: 0, exhausted: false, window: None }
    }
}

impl Pace {
    /// Bytes that may wait now.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Whether the socket is the bottleneck.
    pub(super) fn is_slow(&self) -> bool {
        self.budget < FIRST
    }

    /// What the kernel may hold unsent behind that: as much again.
    pub(super) fn low_water(&self) -> u32 {
        u32::try_from(self.budget).unwrap_or(u32::MAX).min(MOST_IN_KERNEL)
    }

    /// `bytes` were given to the session.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// There was more to give than the budget allowed.
    pub(super) fn exhausted(&mut self) {
        self.exhausted = true;
    }

    /// A turn begins with `unsent` bytes left of what was given.
    pub(super) fn observe(&mut self, now: Instant, unsent: usize) {
        let taken = self.written.saturating_sub(unsent as u64);
        let exhausted = std::mem::take(&mut self.exhausted);
        if unsent == 0 {
            self.window = None;
            if exhausted {
                self.budget = (self.budget + self.budget / 4).min(MOST);
            }
            return;
        }
        let Some(window) = self.window else {
            self.window = Some(Window { since: now, taken });
            return;
        };
        let elapsed = now.saturating_duration_since(window.since);
        if elapsed < MEASURED {
            return;
        }
        let measured = taken.saturating_sub(window.taken) as f64 / elapsed.as_secs_f64();
        self.rate = if self.rate == 0.0 { measured } else { self.rate * 0.75 + measured * 0.25 };
        self.budget = ((self.rate * AHEAD.as_secs_f64()) as usize).clamp(LEAST, MOST);
        self.window = Some(Window { since: now, taken });
    }
}

#[cfg(test)]
mod tests;
