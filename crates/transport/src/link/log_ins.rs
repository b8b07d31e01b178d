//! Attempts to log in to one server, of all links that go there: few enough that the server holds none against us.
//!
//! OpenSSH since 9.8 counts what an address does (`PerSourcePenalties`): a refused log-in 5 s, a connection without one
//! 1 s, one that takes too long 10 s. What has come together runs off with the clock, and once it is over 15 s the
//! address gets no further connection until it has run off, whoever it is from there. This keeps the same account and
//! stays below. Pure: outcomes and the time go in, turns come out.

use std::time::{Duration, Instant};

use crate::client::ConnectError;

const REFUSED: Duration = Duration::from_secs(5);
const NO_LOG_IN: Duration = Duration::from_secs(1);
const TOO_SLOW: Duration = Duration::from_secs(10);

/// A server with nothing on its account bears this many refusals, as it shuts its door above 15 s.
const AT_ONCE: u32 = 3;
/// And this, where something is on it: a second less than it says, as it counts in whole seconds.
const BEARS: Duration = Duration::from_secs(14);
/// What is used of that where everybody is refused, so that a person from the same address may still err.
const BEARS_POLITELY: Duration = Duration::from_secs(9);
/// How often those are heard again who were refused, where everybody is.
const AGAIN: Duration = Duration::from_secs(10);

/// The account of one server.
#[derive(Debug, Clone, Default)]
pub struct LogIns {
    under_way: u32,
    /// When what the server holds against us will have run off.
    clear: Option<Instant>,
    last_refusal: Option<Instant>,
    /// Since somebody was let in.
    refusals: u32,
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has begun; [`LogIns::ended`] has to follow.
    Now,
    /// Ask again at this time, or as soon as another attempt has ended.
    Later(Instant),
}

/// What became of an attempt, as the server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody was let in.
    LoggedIn,
    /// Nothing that a server would hold against anybody.
    NoMatter,
    /// The server holds it against us for this long.
    Held(Duration),
    /// The server has shut its door already.
    ShutOut,
}

impl LogIns {
    /// Asks for a turn. `again`: whoever asks was refused the last time.
    pub fn ask(&mut self, now: Instant, again: bool) -> Turn {
        let held = self.held(now);
        let most_are_refused = self.refusals >= AT_ONCE;
        if again && most_are_refused {
            let quiet = self.last_refusal.map_or(now, |at| at + AGAIN).max(now + held);
            if quiet > now || self.under_way > 0 {
                return Turn::Later(quiet.max(now + NO_LOG_IN));
            }
        }
        let bears = if most_are_refused { BEARS_POLITELY } else { BEARS };
        let would_be = held.saturating_add(REFUSED.saturating_mul(self.under_way.saturating_add(1)));
        let fresh = held.is_zero() && !most_are_refused && self.under_way < AT_ONCE;
        if fresh || would_be <= bears {
            self.under_way = self.under_way.saturating_add(1);
            return Turn::Now;
        }
        Turn::Later(now + would_be.saturating_sub(bears))
    }

    /// An attempt that had its turn has ended.
    pub fn ended(&mut self, now: Instant, outcome: Outcome) {
        self.under_way = self.under_way.saturating_sub(1);
        match outcome {
            Outcome::LoggedIn => self.refusals = 0,
            Outcome::NoMatter => {}
            Outcome::Held(time) => self.hold(now, time),
            Outcome::ShutOut => {
                self.hold(now, BEARS.saturating_sub(self.held(now)));
                self.refusals = self.refusals.max(AT_ONCE);
            }
        }
    }

    fn hold(&mut self, now: Instant, time: Duration) {
        self.clear = Some(now + self.held(now) + time);
        self.last_refusal = Some(now);
        self.refusals = self.refusals.saturating_add(1);
    }

    fn held(&self, now: Instant) -> Duration {
        self.clear.map_or(Duration::ZERO, |clear| clear.saturating_duration_since(now))
    }
}

impl Outcome {
    /// Of an attempt that failed so.
    pub fn of(error: &ConnectError) -> Self {
        match error {
            ConnectError::PermissionDenied { .. } | ConnectError::EndedInLogin { .. } => Self::Held(REFUSED),
            ConnectError::LoginTimeout { .. } => Self::Held(TOO_SLOW),
            ConnectError::HostKey(_)
            | ConnectError::NoCommonAlgorithm { .. }
            | ConnectError::Handshake { .. }
            | ConnectError::HandshakeTimeout { .. } => Self::Held(NO_LOG_IN),
            // The other thing that turns connections away passes by itself.
            ConnectError::TurnedAway { said, .. } if said.contains("Not allowed") => Self::ShutOut,
            ConnectError::Jump { source, .. } => Self::of(source),
            _ => Self::NoMatter,
        }
    }

    /// Of an attempt that was given up half-way.
    pub fn given_up() -> Self {
        Self::Held(NO_LOG_IN)
    }
}

#[cfg(test)]
mod tests;
