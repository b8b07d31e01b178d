//! Which connections are let in before they have authenticated. Pure: the time, the source and the dice come from the
//! caller.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::{MaxStartups, Options, Penalties};

/// Counts connections and remembers what their sources did.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    connections: usize,
    startups: usize,
    startups_of: HashMap<Source, usize>,
    penalties: PenaltyTable,
}

/// What a [`Gate`] goes by; see [`Options`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_startups: MaxStartups,
    pub per_source_max_startups: usize,
    pub per_source_penalties: Option<Penalties>,
    pub max_connections: usize,
}

/// Stands for one admitted connection, to be handed back when it ends.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    source: Source,
    authenticated: bool,
}

/// How a connection behaved until it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// It authenticated, or the server itself ended it.
    Good,
    NoAttempt,
    AuthFailed,
    InvalidUser,
    GraceExceeded,
    /// The session ended by a fault of ours.
    Crash,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("past MaxStartups")]
    Startups,
    #[error("past PerSourceMaxStartups")]
    SourceStartups,
    #[error("penalty: {reason}, {left:?} left")]
    Penalty { reason: &'static str, left: Duration },
    #[error("past the limit of {0} connections")]
    Connections(usize),
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: 0,
            startups: 0,
            startups_of: HashMap::new(),
            penalties: PenaltyTable::default(),
        }
    }

    /// For connections that come from now on; penalties in force stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if limits.per_source_penalties.is_none() {
            self.penalties = PenaltyTable::default();
        }
    }

    /// A connection has come in. `percent` throws a number from 0 to 99.
    ///
    /// # Errors
    /// It is to be closed.
    pub fn arrive(
        &mut self,
        now: Instant,
        peer: IpAddr,
        percent: impl FnOnce() -> u8,
    ) -> Result<Ticket, Refused> {
        let source = Source::of(peer);
        if self.connections >= self.limits.max_connections {
            return Err(Refused::Connections(self.limits.max_connections));
        }
        if let Some(refused) = self.penalties.in_force(now, source) {
            return Err(refused);
        }
        if self.limits.max_startups.drops(self.startups, percent) {
            return Err(Refused::Startups);
        }
        let of_source = self.startups_of.get(&source).copied().unwrap_or(0);
        if of_source >= self.limits.per_source_max_startups {
            return Err(Refused::SourceStartups);
        }
        self.startups_of.insert(source, of_source + 1);
        self.startups += 1;
        self.connections += 1;
        Ok(Ticket { source, authenticated: false })
    }

    /// The connection has authenticated and no longer counts as starting up.
    pub fn authenticated(&mut self, ticket: &mut Ticket) {
        if !std::mem::replace(&mut ticket.authenticated, true) {
            self.started(ticket.source);
        }
    }

    /// The connection is over.
    pub fn departed(&mut self, now: Instant, ticket: Ticket, conduct: Conduct) {
        self.connections = self.connections.saturating_sub(1);
        if ticket.authenticated {
            return;
        }
        self.started(ticket.source);
        if let Some(penalties) = &self.limits.per_source_penalties
            && let Some((reason, duration)) = penalties.charge(conduct)
        {
            self.penalties.add(now, ticket.source, reason, duration, penalties);
        }
    }

    /// Connections that have not yet authenticated.
    pub fn startups(&self) -> usize {
        self.startups
    }

    fn started(&mut self, source: Source) {
        self.startups = self.startups.saturating_sub(1);
        match self.startups_of.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.startups_of.remove(&source)),
        }
    }
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Self {
        Self {
            max_startups: options.max_startups,
            per_source_max_startups: options.per_source_max_startups,
            per_source_penalties: options.per_source_penalties,
            max_connections: options.max_connections,
        }
    }
}

impl MaxStartups {
    /// Whether the next connection is dropped while `startups` are under way (`drop_connection` of OpenSSH).
    fn drops(&self, startups: usize, percent: impl FnOnce() -> u8) -> bool {
        if startups < self.start {
            return false;
        }
        if startups >= self.full || self.rate >= 100 {
            return true;
        }
        let rate = usize::from(self.rate);
        let grown = (100 - rate) * (startups - self.start) / (self.full - self.start);
        usize::from(percent()) < rate + grown
    }
}

impl Penalties {
    fn charge(&self, conduct: Conduct) -> Option<(&'static str, Duration)> {
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

/// An IPv4 address, or an IPv6 /64, which is what one host can make addresses in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Source {
    V4(Ipv4Addr),
    V6(u64),
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [prefix @ .., _, _, _, _, _, _, _, _] = address.octets();
                Self::V6(u64::from_be_bytes(prefix))
            }
        }
    }
}

#[derive(Debug, Default)]
struct PenaltyTable {
    of: HashMap<Source, Penalty>,
    /// The same, by when they end.
    by_end: BTreeSet<(Instant, Source)>,
}

#[derive(Debug, Clone, Copy)]
struct Penalty {
    ends: Instant,
    in_force: bool,
    reason: &'static str,
}

impl PenaltyTable {
    fn in_force(&mut self, now: Instant, source: Source) -> Option<Refused> {
        self.expire(now);
        let penalty = self.of.get(&source).filter(|penalty| penalty.in_force)?;
        Some(Refused::Penalty { reason: penalty.reason, left: penalty.ends.duration_since(now) })
    }

    fn add(
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

#[cfg(test)]
mod tests;
