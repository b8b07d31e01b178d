//! Sources that are kept out for a while.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::{Conduct, Penalties, Refused, Source};

impl Penalties {
    pub(super) fn charge(&self, conduct: Conduct) -> Option<(&'static str, Duration)> {
        match conduct {
            Conduct::Good => None,
            Conduct::NoAttempt => Some(("connections without attempting authentication", self.no_auth)),
            Conduct::AuthFailed => Some(("failed authentication", self.auth_fail)),
            Conduct::InvalidUser => Some(("attempts for a user who may not log in", self.invalid_user)),
            Conduct::GraceExceeded => Some(("exceeded LoginGraceTime", self.grace_exceeded)),
            Conduct::Crash => Some(("caused a crash", self.crash)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct PenaltyTable {
    pub(super) of: HashMap<Source, Penalty>,
    /// The same, by when they end.
    pub(super) by_end: BTreeSet<(Instant, Source)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Penalty {
    ends: Instant,
    in_force: bool,
    reason: &'static str,
}

impl PenaltyTable {
    pub(super) fn in_force(&mut self, now: Instant, source: Source) -> Option<Refused> {
        self.expire(now);
        let penalty = self.of.get(&source).filter(|penalty| penalty.in_force)?;
        Some(Refused::Penalty { reason: penalty.reason, left: penalty.ends.duration_since(now) })
    }

    pub(super) fn add(
        &mut self,
        now: Instant,
        source: Source,
        reason: &'static str,
        duration: Duration,
        limits: &Penalties,
    ) {
        self.expire(now);
        let former = self.of.remove(&source);
        if let Some(former) = former {
            self.by_end.remove(&(former.ends, source));
        }
        let left = former.map_or(Duration::ZERO, |former| former.ends.duration_since(now));
        let total = left.saturating_add(duration).min(limits.max);
        let Some(ends) = now.checked_add(total).filter(|_| limits.max_sources > 0 && !total.is_zero()) else {
            return;
        };
        while self.of.len() >= limits.max_sources
            && let Some((_, forgotten)) = self.by_end.pop_first()
        {
            self.of.remove(&forgotten);
        }
        let in_force = former.is_some_and(|former| former.in_force) || total >= limits.min;
        self.of.insert(source, Penalty { ends, in_force, reason });
        self.by_end.insert((ends, source));
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&(ends, source)) = self.by_end.first()
            && ends <= now
        {
            self.by_end.pop_first();
            self.of.remove(&source);
        }
    }
}
