use std::time::{Duration, Instant};

/// How many encrypted bytes may wait for the socket, and as many again in the kernel until they are sent: enough that the
/// path never runs dry, and no more, for what waits there can no longer be reordered, marked or dropped.
///
/// While the path takes everything at once, and more could have been given to it, the budget grows. Once it does not,
/// the rate at which it takes bytes is known, and the budget is what it takes in [`AHEAD`].
#[derive(Debug, Clone)]
pub(super) struct Pace {
    budget: usize,
    /// Bytes per second that a path with a backlog took; 0 until known.
    rate: f64,
    written: u64,
    /// The budget kept something waiting since the last look.
    exhausted: bool,
    last: Option<Look>,
    verdict: Verdict,
}

/// Whether the path is slow for more than a moment: a busy host looks slow, too, now and then.
#[derive(Debug, Clone, Copy, Default)]
struct Verdict {
    is_slow: bool,
    /// Looks in a row that say otherwise.
    against: u32,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    /// Bytes that had gone to the network.
    gone: u64,
    /// The path was what kept more from being given.
    behind: bool,
}

/// The time for which a slow path has work ahead.
const AHEAD: Duration = Duration::from_millis(2);
/// A rate is measured over at least this long, as a path takes bytes in bursts.
pub(super) const MEASURED: Duration = Duration::from_millis(10);
/// Weight of one measurement in the rate.
const WEIGHT: f64 = 0.25;
/// Two ordinary frames with all that SSH adds: less would keep the path waiting for our system calls.
const LEAST: usize = 4 * 1024;
/// More makes no path faster here, and a turn of the session longer.
const MOST: usize = 128 * 1024;
const FIRST: usize = 64 * 1024;
/// A verdict needs so many looks, half a second of a busy path at least.
const LASTING: u32 = 50;
/// In the kernel more than this is of no use to any path.
const MOST_IN_KERNEL: u32 = 64 * 1024;

impl Default for Pace {
    fn default() -> Self {
        Self {
            budget: FIRST,
            rate: 0.0,
            written: 0,
            exhausted: false,
            last: None,
            verdict: Verdict::default(),
        }
    }
}

impl Pace {
    /// Bytes that may wait now.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Bytes that the kernel may hold unsent, behind those.
    pub(super) fn low_water(&self) -> u32 {
        u32::try_from(self.budget).unwrap_or(u32::MAX).min(MOST_IN_KERNEL)
    }

    /// Whether the path is the bottleneck.
    pub(super) fn is_slow(&self) -> bool {
        self.budget < FIRST
    }

    /// Whether it has been so for long, and not only for a moment.
    pub(super) fn is_slow_for_long(&self) -> bool {
        self.verdict.is_slow
    }

    /// `bytes` were given to the session.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// There was more to give than the budget allowed.
    pub(super) fn exhausted(&mut self) {
        self.exhausted = true;
    }

    /// Whether it is time for [`Pace::observe`].
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last.at) >= MEASURED)
    }

    /// Of what was given, `waiting` bytes have not gone to the network.
    pub(super) fn observe(&mut self, now: Instant, waiting: usize) {
        let exhausted = std::mem::take(&mut self.exhausted);
        let behind = exhausted && waiting > 0;
        let look = Look { at: now, gone: self.written.saturating_sub(waiting as u64), behind };
        let Some(last) = self.last.replace(look) else { return };
        if exhausted && !behind {
            self.budget = (self.budget + self.budget / 2).min(MOST);
            self.judge();
        }
        // Only a path that was behind all the time has shown its rate.
        if !behind || !last.behind {
            return;
        }
        let elapsed = now.saturating_duration_since(last.at).as_secs_f64();
        let measured = look.gone.saturating_sub(last.gone) as f64 / elapsed.max(f64::MIN_POSITIVE);
        self.rate = if self.rate == 0.0 { measured } else { self.rate + WEIGHT * (measured - self.rate) };
        self.budget = ((self.rate * AHEAD.as_secs_f64()) as usize).clamp(LEAST, MOST);
        self.judge();
    }

    /// Looks that show nothing do not count.
    fn judge(&mut self) {
        let is_slow = self.is_slow();
        let Verdict { is_slow: verdict, against } = &mut self.verdict;
        *against = if is_slow == *verdict { 0 } else { *against + 1 };
        if *against == LASTING {
            (*verdict, *against) = (is_slow, 0);
        }
    }
}

#[cfg(test)]
mod tests;
