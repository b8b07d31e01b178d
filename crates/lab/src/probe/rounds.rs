//! When to send the next request, and how long an answer took. Pure: time comes in with every call.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The requests of one probe.
#[derive(Debug)]
pub(crate) struct Rounds {
    next: Instant,
    deadline: Instant,
    pace: Pace,
    sequence: u16,
    /// The latest requests, oldest first.
    sent: VecDeque<(u16, Instant)>,
}

/// What an answer is to the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It follows the answer to the latest request at once: one station answers each once.
    Eager,
    /// Nothing: as many answer as there are, and each request that one of them caused would be answered by all.
    Steady,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send a request with this sequence number.
    Send(u16),
    /// Wait this long for answers.
    Wait(Duration),
    /// Give up.
    Over,
}

/// Time between two requests, but for those that follow an answer.
const INTERVAL: Duration = Duration::from_millis(200);
/// Requests whose answers are still known: 10 s of them.
const REMEMBERED: usize = 50;

impl Rounds {
    /// The first request is due at once.
    pub(crate) fn new(now: Instant, deadline: Instant, pace: Pace) -> Self {
        Self { next: now, deadline, pace, sequence: 0, sent: VecDeque::new() }
    }

    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if now >= self.deadline {
            return Step::Over;
        }
        if now < self.next {
            return Step::Wait(self.next.min(self.deadline) - now);
        }
        self.next = now + INTERVAL;
        self.sequence = self.sequence.wrapping_add(1);
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((self.sequence, now));
        Step::Send(self.sequence)
    }

    /// The round-trip time of an answer; `None` when no such request is known.
    pub(crate) fn round_trip(&self, now: Instant, sequence: u16) -> Option<Duration> {
        let (_, sent) = self.sent.iter().find(|(number, _)| *number == sequence)?;
        Some(now.saturating_duration_since(*sent))
    }

    /// An answer to the request `sequence` came.
    pub(crate) fn answered(&mut self, now: Instant, sequence: u16) {
        if self.pace == Pace::Eager && sequence == self.sequence {
            self.next = now;
        }
    }
}

#[cfg(test)]
mod tests;
