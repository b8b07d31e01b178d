//! CoDel for one flow (RFC 8289 section 5), a step at a time.

use std::time::{Duration, Instant};

use super::Settings;

#[derive(Debug, Default)]
pub(super) struct Codel {
    /// When the delay will have been above the target for an interval.
    first_above: Option<Instant>,
    /// When the next frame is due, while dropping; afterwards, when it would have been.
    next: Option<Instant>,
    dropping: bool,
    /// Drops since dropping began.
    count: u32,
    /// `count` at the time dropping last began.
    last_count: u32,
}

/// What waits in the whole queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    /// No more than the frame in question: the queue cannot be shorter.
    Single,
    Standing,
    /// So much that the queue will soon be full, and then a flow would lose a whole run of frames. One in time costs it
    /// less, so that no interval is waited for.
    Filling,
}

impl Codel {
    /// Whether the frame at the head, having waited for `delay`, is to be dropped or marked.
    pub(super) fn is_due(
        &mut self,
        now: Instant,
        delay: Duration,
        backlog: Backlog,
        settings: &Settings,
    ) -> bool {
        if !self.is_above(now, delay, backlog, settings) {
            self.dropping = false;
            return false;
        }
        if self.dropping {
            let Some(next) = self.next.filter(|next| now >= *next) else { return false };
            self.count = self.count.saturating_add(1);
            self.next = control_law(next, settings.interval, self.count);
            return true;
        }
        // When dropping ended not long ago, it begins again at about the rate that worked then.
        let recent = self
            .next
            .is_some_and(|next| now.saturating_duration_since(next) < settings.interval.saturating_mul(16));
        let rate = self.count.saturating_sub(self.last_count);
        self.dropping = true;
        self.count = if recent && rate > 1 { rate } else { 1 };
        self.last_count = self.count;
        self.next = control_law(now, settings.interval, self.count);
        true
    }

    /// The flow has nothing left.
    pub(super) fn idle(&mut self) {
        self.first_above = None;
        self.dropping = false;
    }

    fn is_above(&mut self, now: Instant, delay: Duration, backlog: Backlog, settings: &Settings) -> bool {
        if backlog == Backlog::Filling {
            self.first_above.get_or_insert(now);
            return true;
        }
        if delay < settings.target || backlog == Backlog::Single {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = now.checked_add(settings.interval);
                false
            }
            Some(since) => now >= since,
        }
    }
}

/// Drops come closer together with the square root of their number.
fn control_law(from: Instant, interval: Duration, count: u32) -> Option<Instant> {
    let nanos = interval.as_nanos() as f64 / f64::from(count.max(1)).sqrt();
    from.checked_add(Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests;
