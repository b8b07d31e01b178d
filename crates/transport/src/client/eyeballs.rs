//! Which address to try when: Happy Eyeballs (RFC 8305), without sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an attempt has the field to itself (RFC 8305 section 5, "Connection Attempt Delay").
pub const STAGGER: Duration = Duration::from_millis(250);

/// Attempts to connect to one host. Ask for the [`Step`] at the start and after each event; the first attempt that
/// succeeds ends the race by dropping it.
#[derive(Debug, Clone)]
pub struct Race {
    queue: VecDeque<SocketAddr>,
    under_way: usize,
    next_start: Option<Instant>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start connecting, and ask again.
    Start(SocketAddr),
    /// Wait for an attempt to end, or until this time.
    Wait(Option<Instant>),
    /// Every attempt has failed.
    Lost,
}

impl Race {
    /// `addresses` in the resolver's order of preference; duplicates are dropped and families take turns.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { queue: interleaved(addresses), under_way: 0, next_start: None }
    }

    pub fn step(&mut self, now: Instant) -> Step {
        let due = self.under_way == 0 || self.next_start.is_none_or(|start| start <= now);
        match self.queue.front() {
            None if self.under_way == 0 => Step::Lost,
            None => Step::Wait(None),
            Some(_) if !due => Step::Wait(self.next_start),
            Some(&address) => {
                self.queue.pop_front();
                self.under_way += 1;
                self.next_start = Some(now + STAGGER);
                Step::Start(address)
            }
        }
    }

    /// An attempt failed: the next one need not wait.
    pub fn failed(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.next_start = None;
    }
}

fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        unique.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut queue = VecDeque::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return queue;
        }
        queue.extend(turn.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests;
