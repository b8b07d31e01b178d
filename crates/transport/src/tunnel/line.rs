use std::time::{Duration, Instant};

use super::pace::Pace;
use crate::tcp::Path;

/// Among bulk traffic acknowledgements come by themselves, and further ones cost the peer time.
const BETWEEN_ACKNOWLEDGEMENTS: Duration = Duration::from_millis(1);

/// The connection that all tunnels of a session share: how much may wait for it, and what is known of its path.
#[derive(Debug)]
pub(super) struct Line {
    path: Path,
    pace: Pace,
    now: Instant,
    /// When what the peer sent was last acknowledged on purpose.
    acknowledged: Option<Instant>,
}

impl Line {
    pub(super) fn new(path: Path) -> Self {
        Self { path, pace: Pace::default(), now: Instant::now(), acknowledged: None }
    }

    /// A turn of the session's loop begins with `unsent` bytes left of what was given to the socket.
    pub(super) fn turn(&mut self, unsent: usize) {
        self.now = Instant::now();
        if self.pace.is_due(self.now) {
            // Of a path without a socket only what that does not take is known.
            let in_kernel = self.path.look(self.now).map_or(0, |state| state.unsent);
            self.pace.observe(self.now, unsent + in_kernel);
            self.path.set_low_water(self.pace.low_water());
            self.path.prefer_short_queues(self.pace.is_slow_for_long());
        }
    }

    /// All that one read of the socket brought has been handled.
    pub(super) fn read(&mut self) {
        self.now = Instant::now();
    }

    /// What a peer sent that may wait for the kernel's acknowledgement has been handled.
    pub(super) fn acknowledge(&mut self) {
        let is_recent = |at| self.now.saturating_duration_since(at) < BETWEEN_ACKNOWLEDGEMENTS;
        if !self.acknowledged.is_some_and(is_recent) {
            self.acknowledged = Some(self.now);
            self.path.acknowledge();
        }
    }

    /// When the turn began.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// The round-trip time of the path; zero while it is unknown.
    pub(super) fn round_trip(&mut self) -> Duration {
        self.path.round_trip(self.now)
    }
}
