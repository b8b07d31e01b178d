//! What the connections of one link know of each other.
//!
//! The first connection leads: it alone is opened to a peer of whom nothing is known. The others follow once the peer
//! has said that it joins them; one that does not would take each for the link itself and end the one before.

use std::fmt;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapline_frame::records::{BundleId, BundleMember};
use tapline_transport::tunnel::{Dialect, NativePolicy};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tracing::{info, warn};

use super::LinkNews;

/// Connections of one link that log in at once, so that `max-startups` of a server, 10 by default, has room for others.
const AT_ONCE: usize = 4;

/// What the connections of one link share.
pub(super) struct Connections {
    link: String,
    news: mpsc::UnboundedSender<(String, LinkNews)>,
    bundle: BundleId,
    of: u8,
    state: Mutex<State>,
    joins: watch::Sender<bool>,
    logging_in: Semaphore,
}

/// One connection among those of its link.
#[derive(Clone)]
pub(super) struct Place {
    number: u8,
    link: Arc<Connections>,
}

/// A connection whose tunnel is open, until it is dropped.
pub(super) struct Presence<'a> {
    place: &'a Place,
    joined: bool,
}

/// The connection has become a link of its own in the peer's eyes.
#[derive(Debug, thiserror::Error)]
#[error("the peer no longer joins the connections of a link")]
pub(super) struct NotJoined;

/// How the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    /// Connections whose tunnel is open.
    up: u8,
    /// Those of them that the peer has joined.
    joined: u8,
    /// Whether the user knows that the peer takes a single connection.
    told_alone: bool,
}

impl Connections {
    /// A place for each of `count` connections, which is at most [`tapline_frame::records::MAX_CHANNELS`].
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn places(
        link: &str,
        count: usize,
        news: mpsc::UnboundedSender<(String, LinkNews)>,
    ) -> std::io::Result<Vec<Place>> {
        let mut bundle = [0; 16];
        getrandom::fill(&mut bundle).map_err(std::io::Error::other)?;
        let of = u8::try_from(count).map_err(std::io::Error::other)?;
        let link = Arc::new(Self {
            link: link.to_owned(),
            news,
            bundle: BundleId(bundle),
            of,
            state: Mutex::default(),
            joins: watch::Sender::new(false),
            logging_in: Semaphore::new(AT_ONCE),
        });
        Ok((1..=of).map(|number| Place { number, link: Arc::clone(&link) }).collect())
    }

    /// A state is whole between two statements, whatever became of the thread that changed it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a link with several: how many are up.
    fn count(&self, up: u8) -> Option<String> {
        (self.of > 1).then(|| format!("{up}/{}", self.of))
    }
}

impl Place {
    /// For people, where there are several.
    pub(super) fn number_of_several(&self) -> Option<u8> {
        (self.link.of > 1).then_some(self.number)
    }

    pub(super) fn member(&self) -> Option<BundleMember> {
        BundleMember::new(self.link.bundle, self.number, self.link.of)
    }

    /// A channel of OpenSSH's is a link of its own.
    pub(super) fn native(&self, policy: NativePolicy) -> NativePolicy {
        if self.leads() { policy } else { NativePolicy::Only }
    }

    /// Waits until this connection may log in; others wait until the permit is dropped. Cancel safe.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let mut joins = self.link.joins.subscribe();
        loop {
            if !self.leads() {
                // The sender lives in `self`.
                let _ = joins.wait_for(|joins| *joins).await;
            }
            let permit = self.link.logging_in.acquire().await.ok();
            if self.leads() || *joins.borrow() {
                return permit;
            }
        }
    }

    /// The connection's tunnel is open.
    pub(super) fn opened(&self, device: &str, dialect: Dialect, peer: &str) -> Presence<'_> {
        let up = self.link.state().opened();
        let connections = self.link.count(up);
        if up == 1 {
            info!(device, channel = dialect.channel_type(), peer, connections, "up");
            self.tell(LinkNews::Up);
        } else {
            info!(connections, "one connection more");
        }
        if dialect == Dialect::Stock {
            self.is_alone();
        }
        Presence { place: self, joined: false }
    }

    pub(super) fn tell(&self, news: LinkNews) {
        // Nobody listens any more while the daemon stops.
        let _ = self.link.news.send((self.link.link.clone(), news));
    }

    fn leads(&self) -> bool {
        self.number == 1
    }

    /// The peer takes this connection and no other.
    fn is_alone(&self) {
        if self.link.of > 1 && !std::mem::replace(&mut self.link.state().told_alone, true) {
            warn!(
                "the peer takes one connection for a link, so that is what it gets; several need Tapline on both sides, in this version or later"
            );
        }
    }
}

impl Presence<'_> {
    /// The peer has said whether it has joined the connection with the others.
    ///
    /// # Errors
    /// It has not, and the connection must not go on.
    pub(super) fn greeted(&mut self, bundled: bool) -> Result<(), NotJoined> {
        let place = self.place;
        if !bundled {
            place.is_alone();
            return if place.leads() { Ok(()) } else { Err(NotJoined) };
        }
        if !std::mem::replace(&mut self.joined, true) {
            let mut state = place.link.state();
            state.joined();
            place.link.joins.send_replace(state.joins());
        }
        Ok(())
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        let link = &self.place.link;
        let mut state = link.state();
        let up = state.closed(self.joined);
        link.joins.send_replace(state.joins());
        drop(state);
        if up == 0 {
            self.place.tell(LinkNews::Down);
        } else {
            info!(connections = link.count(up), "one connection less");
        }
    }
}

impl State {
    /// How many are up now.
    fn opened(&mut self) -> u8 {
        self.up = self.up.saturating_add(1);
        self.up
    }

    fn joined(&mut self) {
        self.joined = self.joined.saturating_add(1);
        self.told_alone = false;
    }

    /// How many are up now.
    fn closed(&mut self, joined: bool) -> u8 {
        self.up = self.up.saturating_sub(1);
        self.joined = self.joined.saturating_sub(u8::from(joined));
        self.up
    }

    /// Whether the peer is known to join connections.
    fn joins(self) -> bool {
        self.joined > 0
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("number", &self.number)
            .field("of", &self.link.of)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
