//! Which connections are let in, and which of them stay once they have authenticated. Pure: the time, the source and the
//! dice come from the caller.

mod keys;
mod penalties;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use self::keys::KeyBudget;
use self::penalties::PenaltyTable;
use super::origin::Source;
use super::{MaxStartups, NetBlockSize, Options, Penalties, SessionId};

pub use self::keys::{Admission, NoRoom};

/// Descriptors of a session: its socket, a second one for what the kernel knows of it, its runtime's epoll (twice), wake-up
/// and signal pipe, and its device, of which a link of several connections needs one more.
const DESCRIPTORS_PER_SESSION: usize = 8;

/// Descriptors for everything else: the log, netlink, listeners, files that are read for a log-in.
const DESCRIPTORS_OF_OTHERS: usize = 64;

/// Connections at a time of which one key may have so many; a link has up to 16 and may come back before they are over.
const SESSIONS_PER_KEY: usize = 64;

/// Connections that are logging in from where a key has logged in before, besides those of everybody.
const KNOWN_STARTUPS: usize = 16;

/// Hosts remembered because a key has logged in from there.
const MAX_KNOWN_HOSTS: usize = 4096;

/// Counts connections and remembers what their sources did.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    connections: usize,
    /// Without those that are counted in `known_startups`.
    startups: usize,
    known_startups: usize,
    startups_of: HashMap<Source, usize>,
    known: KnownHosts,
    penalties: PenaltyTable,
    keys: KeyBudget,
}

/// What a [`Gate`] goes by; see [`Options`].
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_startups: MaxStartups,
    pub per_source_max_startups: usize,
    pub per_source_penalties: Option<Penalties>,
    pub per_source_penalty_exempt_list: Vec<IpNet>,
    pub per_source_net_block_size: NetBlockSize,
    pub max_connections: usize,
}

/// Stands for one admitted connection, to be handed back when it ends.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    host: Source,
    /// What it counts for.
    source: Source,
    /// Whether it came in by the reserve of known hosts.
    is_reserved: bool,
    /// Once authenticated.
    key: Option<String>,
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

/// What the connections that there may be are for, so that those of one kind never take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rooms {
    startups: usize,
    known_startups: usize,
    sessions: usize,
    sessions_per_key: usize,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: 0,
            startups: 0,
            known_startups: 0,
            startups_of: HashMap::new(),
            known: KnownHosts::default(),
            penalties: PenaltyTable::default(),
            keys: KeyBudget::default(),
        }
    }

    /// For connections that come from now on; penalties in force stay.
    pub fn set_limits(&mut self, limits: Limits) {
        if limits.per_source_penalties.is_none()
            || limits.per_source_net_block_size != self.limits.per_source_net_block_size
        {
            self.penalties = PenaltyTable::default();
        }
        self.limits = limits;
    }

    /// A connection has come in. `percent` throws a number from 0 to 99.
    ///
    /// A host from which a key has logged in is a source by itself, has a reserve of its own, and waits for no penalty that
    /// its neighbours have earned. Beyond `start` of MaxStartups the dice are thrown for sources that have a connection
    /// under way, and up to `full` all others are let in.
    ///
    /// # Errors
    /// It is to be closed.
    pub fn arrive(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        percent: impl FnOnce() -> u8,
    ) -> Result<Ticket, Refused> {
        let rooms = Rooms::of(&self.limits);
        let host = Source::host(peer);
        let is_known = self.known.contains(host);
        let source = if is_known { host } else { host.block(self.limits.per_source_net_block_size) };
        if self.connections >= self.limits.max_connections {
            return Err(Refused::Connections(self.limits.max_connections));
        }
        if !self.is_exempt(host)
            && let Some(refused) = self.penalties.in_force(now, source)
        {
            return Err(refused);
        }
        let of_source = self.startups_of.get(&source).copied().unwrap_or(0);
        let is_reserved = is_known && self.known_startups < rooms.known_startups;
        if !is_reserved {
            let dice = self.limits.max_startups.drops(self.startups, percent);
            if self.startups >= rooms.startups || (of_source > 0 && dice) {
                return Err(Refused::Startups);
            }
        }
        if of_source >= self.limits.per_source_max_startups {
            return Err(Refused::SourceStartups);
        }
        self.startups_of.insert(source, of_source + 1);
        *self.startups_like(is_reserved) += 1;
        self.connections += 1;
        Ok(Ticket { host, source, is_reserved, key: None })
    }

    /// The connection has authenticated and, unless it is refused, no longer counts as starting up. A session that goes for
    /// it is to be ended.
    pub fn authenticated(&mut self, ticket: &mut Ticket, session: SessionId, key: &str) -> Admission {
        if ticket.key.is_some() {
            return Admission::Welcome;
        }
        self.known.insert(ticket.host);
        let Rooms { sessions, sessions_per_key, .. } = Rooms::of(&self.limits);
        let admission = self.keys.enter(key, session, sessions, sessions_per_key);
        if !matches!(admission, Admission::Refused(_)) {
            ticket.key = Some(key.to_owned());
            self.started(ticket.source, ticket.is_reserved);
        }
        admission
    }

    /// A session has a tunnel now, or has none any more.
    pub fn set_has_tunnel(&mut self, ticket: &Ticket, session: SessionId, has_tunnel: bool) {
        if let Some(key) = &ticket.key {
            self.keys.set_has_tunnel(key, session, has_tunnel);
        }
    }

    /// The connection is over.
    pub fn departed(&mut self, now: Instant, ticket: Ticket, session: SessionId, conduct: Conduct) {
        self.connections = self.connections.saturating_sub(1);
        if let Some(key) = &ticket.key {
            return self.keys.leave(key, session);
        }
        self.started(ticket.source, ticket.is_reserved);
        if !self.is_exempt(ticket.host)
            && let Some(penalties) = &self.limits.per_source_penalties
            && let Some((reason, duration)) = penalties.charge(conduct)
        {
            self.penalties.add(now, ticket.source, reason, duration, penalties);
        }
    }

    /// Connections that have not yet authenticated.
    pub fn startups(&self) -> usize {
        self.startups + self.known_startups
    }

    fn is_exempt(&self, host: Source) -> bool {
        self.limits.per_source_penalty_exempt_list.iter().any(|net| net.contains(&host.ip()))
    }

    fn started(&mut self, source: Source, is_reserved: bool) {
        let startups = self.startups_like(is_reserved);
        *startups = startups.saturating_sub(1);
        match self.startups_of.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.startups_of.remove(&source)),
        }
    }

    fn startups_like(&mut self, is_reserved: bool) -> &mut usize {
        if is_reserved { &mut self.known_startups } else { &mut self.startups }
    }
}

impl Limits {
    /// What `options` say, as far as a process can that may have so many descriptors.
    pub fn new(options: &Options, descriptors: usize) -> Self {
        let affordable = descriptors.saturating_sub(DESCRIPTORS_OF_OTHERS) / DESCRIPTORS_PER_SESSION;
        Self {
            max_startups: options.max_startups,
            per_source_max_startups: options.per_source_max_startups,
            per_source_penalties: options.per_source_penalties,
            per_source_penalty_exempt_list: options.per_source_penalty_exempt_list.clone(),
            per_source_net_block_size: options.per_source_net_block_size,
            max_connections: options.max_connections.min(affordable.max(1)),
        }
    }
}

impl Rooms {
    fn of(limits: &Limits) -> Self {
        let all = limits.max_connections;
        let startups = limits.max_startups.full.min((all / 4).max(1));
        let known_startups = KNOWN_STARTUPS.min(all / 8);
        let sessions = all.saturating_sub(startups + known_startups).max(1);
        // A third, so that two that take all they can get leave as much to others.
        Self {
            startups,
            known_startups,
            sessions,
            sessions_per_key: SESSIONS_PER_KEY.min((sessions / 3).max(1)),
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

/// Hosts from which keys have logged in, the latest so many.
#[derive(Debug, Default)]
struct KnownHosts {
    last: HashMap<Source, u64>,
    by_age: BTreeSet<(u64, Source)>,
    count: u64,
}

impl KnownHosts {
    fn contains(&self, host: Source) -> bool {
        self.last.contains_key(&host)
    }

    fn insert(&mut self, host: Source) {
        self.count += 1;
        if let Some(before) = self.last.insert(host, self.count) {
            self.by_age.remove(&(before, host));
        }
        self.by_age.insert((self.count, host));
        if self.last.len() > MAX_KNOWN_HOSTS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
