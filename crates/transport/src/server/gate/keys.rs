//! How many sessions each key has, and whose turn it is to go when there is no room for all.

use std::collections::{BTreeMap, HashMap};

use super::SessionId;

/// Sessions that have logged in, by key. Each key can have as many as there is room for, so long as no other key has to go
/// without for it.
#[derive(Debug, Default)]
pub(super) struct KeyBudget {
    /// With whether the session has a tunnel. Sessions are numbered in the order in which they came.
    of: HashMap<String, BTreeMap<SessionId, bool>>,
    sessions: usize,
}

/// What becomes of a session that has just logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Welcome,
    /// Another session goes for it.
    Instead(SessionId),
    Refused(NoRoom),
}

/// Why a session cannot stay although its key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    #[error("this key has {0} links here, which is the limit; give other hosts keys of their own")]
    Key(usize),
    #[error(
        "the server has as many sessions as it may have; raise its limit of open files, or try again later"
    )]
    Server,
}

impl KeyBudget {
    /// `room` is for the sessions of all keys, `per_key` for those of each.
    pub(super) fn enter(&mut self, key: &str, session: SessionId, room: usize, per_key: usize) -> Admission {
        let own = self.of.get(key).map_or(0, BTreeMap::len);
        let victim = if own >= per_key {
            match self.of.get(key).and_then(oldest_idle) {
                None => return Admission::Refused(NoRoom::Key(per_key)),
                victim => victim.map(|victim| (key.to_owned(), victim)),
            }
        } else if self.sessions >= room {
            // Whoever has most gives, down to what the newcomer would have.
            let most = self.of.iter().max_by_key(|(_, sessions)| sessions.len());
            let victim = most.filter(|(_, sessions)| sessions.len() > own + 1).and_then(|(key, sessions)| {
                let victim = oldest_idle(sessions).or_else(|| sessions.keys().next_back().copied())?;
                Some((key.clone(), victim))
            });
            match victim {
                None => return Admission::Refused(NoRoom::Server),
                victim => victim,
            }
        } else {
            None
        };
        if let Some((key, victim)) = &victim {
            self.leave(key, *victim);
        }
        if self.of.entry(key.to_owned()).or_default().insert(session, false).is_none() {
            self.sessions += 1;
        }
        victim.map_or(Admission::Welcome, |(_, victim)| Admission::Instead(victim))
    }

    pub(super) fn set_has_tunnel(&mut self, key: &str, session: SessionId, has_tunnel: bool) {
        if let Some(had) = self.of.get_mut(key).and_then(|sessions| sessions.get_mut(&session)) {
            *had = has_tunnel;
        }
    }

    /// One that has left already is no error.
    pub(super) fn leave(&mut self, key: &str, session: SessionId) {
        let Some(sessions) = self.of.get_mut(key) else { return };
        if sessions.remove(&session).is_some() {
            self.sessions = self.sessions.saturating_sub(1);
        }
        if sessions.is_empty() {
            self.of.remove(key);
        }
    }
}

fn oldest_idle(sessions: &BTreeMap<SessionId, bool>) -> Option<SessionId> {
    sessions.iter().find(|(_, has_tunnel)| !**has_tunnel).map(|(session, _)| *session)
}

#[cfg(test)]
mod tests;
