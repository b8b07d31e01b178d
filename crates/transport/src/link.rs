//! The life cycle of a link that is to stay up for months: when to connect, and how long to wait after a failure.
//!
//! Pure: events and the time go in, the next thing to do comes out.

pub mod log_ins;

use std::time::{Duration, Instant};

/// One link's state.
#[derive(Debug, Clone)]
pub struct LinkLife {
    state: State,
    /// Failures since the link was last up for [`STABLE`].
    failures: u32,
}

/// Where a link is; the words that `tapline status` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not wanted.
    Down,
    /// An attempt to connect, log in and open the tunnel is under way.
    Connecting,
    /// Frames flow.
    Up { since: Instant },
    /// The next attempt comes at this time.
    Waiting { until: Instant },
}

/// What happened to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is wanted from now on.
    Start,
    /// The tunnel is open.
    Established,
    /// An attempt failed, or the tunnel broke.
    Lost(Severity),
    /// The time of [`State::Waiting`] has come.
    Timer,
    /// A sign that trying may help before that: a network interface has come up, a key was changed, somebody asks.
    Nudge,
    /// It is no longer wanted.
    Stop,
}

/// What a failure says about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The network or the peer: likely to pass.
    Passing,
    /// Refused for a reason that only a person can change (keys, policy). A server with `PerSourcePenalties` shuts
    /// its door on clients that keep knocking, so the next attempt is far off.
    Standing,
}

/// What the shell around the state machine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// Nothing until the next event.
    Wait,
    /// Connect now.
    Connect,
    /// Send [`LinkEvent::Timer`] at this time.
    SetTimer(Instant),
    /// End the session or the attempt.
    Disconnect,
}

/// A link that was up this long starts over with short waits.
pub const STABLE: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const STANDING_WAIT: Duration = Duration::from_secs(45);

impl Default for LinkLife {
    fn default() -> Self {
        Self { state: State::Down, failures: 0 }
    }
}

impl LinkLife {
    pub fn state(&self) -> State {
        self.state
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes one event. `jitter`, between 0 and 1, spreads the attempts of many links that broke at once.
    pub fn handle(&mut self, event: LinkEvent, now: Instant, jitter: f64) -> LinkAction {
        match (self.state, event) {
            (State::Down, LinkEvent::Start) => {
                self.failures = 0;
                self.connect()
            }
            (State::Waiting { until }, LinkEvent::Timer) if now < until => LinkAction::SetTimer(until),
            (State::Waiting { .. }, LinkEvent::Timer | LinkEvent::Start) => self.connect(),
            (State::Waiting { .. }, LinkEvent::Nudge) => {
                self.failures = 0;
                self.connect()
            }
            (State::Connecting, LinkEvent::Established) => {
                self.state = State::Up { since: now };
                LinkAction::Wait
            }
            (State::Connecting, LinkEvent::Lost(severity)) => self.wait(severity, now, jitter),
            (State::Up { since }, LinkEvent::Lost(severity)) => {
                if now.saturating_duration_since(since) >= STABLE {
                    self.failures = 0;
                }
                self.wait(severity, now, jitter)
            }
            (State::Connecting | State::Up { .. }, LinkEvent::Stop) => {
                self.state = State::Down;
                LinkAction::Disconnect
            }
            (State::Waiting { .. }, LinkEvent::Stop) => {
                self.state = State::Down;
                LinkAction::Wait
            }
            // Late news of an attempt or a timer that no longer counts.
            (State::Down, _)
            | (
                State::Connecting | State::Up { .. },
                LinkEvent::Start | LinkEvent::Timer | LinkEvent::Nudge,
            )
            | (State::Up { .. }, LinkEvent::Established)
            | (State::Waiting { .. }, LinkEvent::Established | LinkEvent::Lost(_)) => LinkAction::Wait,
        }
    }

    fn connect(&mut self) -> LinkAction {
        self.state = State::Connecting;
        LinkAction::Connect
    }

    fn wait(&mut self, severity: Severity, now: Instant, jitter: f64) -> LinkAction {
        self.failures = self.failures.saturating_add(1);
        let base = match severity {
            Severity::Passing => {
                let doublings = (self.failures - 1).min(16);
                FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
            }
            Severity::Standing => STANDING_WAIT,
        };
        let until = now + base.mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0));
        self.state = State::Waiting { until };
        LinkAction::SetTimer(until)
    }
}

#[cfg(test)]
mod tests;
