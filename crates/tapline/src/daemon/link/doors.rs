//! Who may knock at which server: the attempts of all links to one address are pooled, so that it never holds more
//! against this host than it bears.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tapline_transport::client::{Options, Proxy};
use tapline_transport::link::log_ins::{LogIns, Outcome, Turn};
use tokio::sync::watch;
use tokio::time::sleep_until;

/// The servers of all links of this process. Each is kept for as long as a link goes there.
#[derive(Debug, Default)]
pub(crate) struct Doors(Mutex<BTreeMap<String, Weak<Door>>>);

/// One server.
#[derive(Debug, Default)]
pub(super) struct Door {
    log_ins: Mutex<LogIns>,
    /// Attempts that have ended, for those that wait for their turn.
    ended: watch::Sender<u64>,
    /// Attempts that were let in.
    openings: watch::Sender<u64>,
}

/// A turn, until it is told what became of it.
#[derive(Debug)]
pub(super) struct Pass(Option<Arc<Door>>);

impl Doors {
    /// The door of the first server on the way.
    pub(super) fn of(&self, options: &Options) -> Arc<Door> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors.retain(|_, door| door.strong_count() > 0);
        let name = address(options);
        let known = doors.get(&name).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let door = Arc::new(Door::default());
            doors.insert(name, Arc::downgrade(&door));
            door
        })
    }
}

fn address(options: &Options) -> String {
    match &options.proxy {
        Proxy::Direct => format!("{} {}", options.host.to_lowercase(), options.port),
        Proxy::Command(command) => command.clone(),
        Proxy::Jump(hops) => hops.first().map_or_else(String::new, address),
    }
}

impl Door {
    /// Waits for a turn. `again`: whoever asks was refused the last time. Cancel safe.
    pub(super) async fn turn(self: &Arc<Self>, again: bool) -> Pass {
        let mut ended = self.ended.subscribe();
        loop {
            let turn = self.log_ins().ask(Instant::now(), again);
            match turn {
                Turn::Now => return Pass(Some(Arc::clone(self))),
                Turn::Later(at) => tokio::select! {
                    () = sleep_until(at.into()) => {}
                    // The sender lives in `self`.
                    _ = ended.changed() => {}
                },
            }
        }
    }

    /// Changes whenever somebody is let in.
    pub(super) fn openings(&self) -> watch::Receiver<u64> {
        self.openings.subscribe()
    }

    fn log_ins(&self) -> MutexGuard<'_, LogIns> {
        self.log_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, outcome: Outcome) {
        self.log_ins().ended(Instant::now(), outcome);
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
        if outcome == Outcome::LoggedIn {
            self.openings.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

impl Pass {
    pub(super) fn ended(mut self, outcome: Outcome) {
        if let Some(door) = self.0.take() {
            door.ended(outcome);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(door) = self.0.take() {
            door.ended(Outcome::given_up());
        }
    }
}
