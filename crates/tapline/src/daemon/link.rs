//! One link that this host opens and keeps up: for each of its connections a thread with the SSH session, its channel
//! and its device.

mod connections;
mod doors;
mod failures;
mod key_files;
mod reopenings;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tapline_device::Device;
use tapline_transport::client::{self, Ended, Prompter, Session};
use tapline_transport::link::log_ins::Outcome;
use tapline_transport::link::{LinkAction, LinkEvent, LinkLife, Severity};
use tapline_transport::tunnel::{
    ClosedReason, Counters, Dialect, Event, Lease, NativePolicy, OpenTunnelError, TunnelRequest,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{Instrument, error_span, info, warn};

use connections::{Connections, Place};
use doors::{Door, Pass};
use failures::Failures;
use key_files::KeyFiles;
use reopenings::Reopenings;

pub(crate) use doors::Doors;

/// How soon a link that was refused tries again when another was let in by the same server.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// How often a link that was refused looks whether its files have changed.
const LOOK: Duration = Duration::from_secs(2);

/// What a link needs to run.
pub(crate) struct LinkPlan {
    pub(crate) name: String,
    pub(crate) options: client::Options,
    /// One for each connection.
    pub(crate) devices: Vec<Box<dyn Device>>,
    pub(crate) remote_unit: Option<u32>,
    pub(crate) native: NativePolicy,
    /// Whether the link connects again after it broke.
    pub(crate) persistence: Persistence,
    /// Those of all links.
    pub(crate) doors: Arc<Doors>,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Try again, for months: the daemon.
    Always,
    /// The first attempt must succeed; after that try again.
    OnceEstablished,
    /// The first failure ends the link.
    Never,
}

/// News of a link.
#[derive(Debug)]
pub(crate) enum LinkNews {
    Up,
    Down,
    /// The channel that the peer has taken.
    Speaks(Dialect),
    /// The link has given up, for this reason. One that is told to stop says nothing: another of its name may be there.
    Ended(String),
}

/// A running link. Dropping it ends its threads without waiting for them; see [`LinkHandle::stop`].
#[derive(Debug)]
pub(crate) struct LinkHandle {
    name: String,
    threads: Vec<ConnectionThread>,
    nudges: watch::Sender<u64>,
}

#[derive(Debug)]
struct ConnectionThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Option<Box<dyn Device>>>,
}

/// One SSH connection of a link, on its thread.
struct Connection {
    options: client::Options,
    remote_unit: Option<u32>,
    native: NativePolicy,
    persistence: Persistence,
    prompter: Arc<dyn Prompter>,
    place: Place,
    /// Something has changed for the better, perhaps.
    nudges: watch::Receiver<u64>,
    door: Arc<Door>,
}

/// Why an attempt failed, or a connection broke.
struct Broken {
    why: String,
    severity: Severity,
}

impl LinkHandle {
    /// Starts a thread for each connection.
    pub(crate) fn start(
        plan: LinkPlan,
        prompter: Arc<dyn Prompter>,
        news: mpsc::UnboundedSender<(String, LinkNews)>,
    ) -> std::io::Result<Self> {
        let LinkPlan { name, options, devices, remote_unit, native, persistence, doors } = plan;
        let door = doors.of(&options);
        let mut threads = Vec::new();
        let nudges = watch::Sender::new(0);
        for (place, device) in Connections::places(&name, devices.len(), news)?.into_iter().zip(devices) {
            let connection = Connection {
                options: options.clone(),
                remote_unit,
                native,
                persistence,
                prompter: Arc::clone(&prompter),
                place,
                nudges: nudges.subscribe(),
                door: Arc::clone(&door),
            };
            let (stop, stopped) = oneshot::channel();
            let runtime = tapline_transport::session_runtime()?;
            let span = error_span!("link", name, connection = connection.place.number_of_several());
            let thread = thread::Builder::new().name(format!("link {name}")).spawn(move || {
                let device = runtime.block_on(connection.run(device, stopped).instrument(span));
                // A question at the terminal that nobody answers must not hold up the end.
                runtime.shutdown_background();
                device
            })?;
            threads.push(ConnectionThread { stop, thread });
        }
        Ok(Self { name, threads, nudges })
    }

    /// Ends the wait for the next attempt.
    pub(crate) fn nudge(&self) {
        self.nudges.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ends sessions and threads, and returns the devices.
    pub(crate) async fn stop(self) -> Vec<Box<dyn Device>> {
        let mut ending = Vec::new();
        for ConnectionThread { stop, thread } in self.threads {
            // The thread may have given up already.
            let _ = stop.send(());
            ending.push(tokio::task::spawn_blocking(move || thread.join()));
        }
        let mut devices = Vec::new();
        for joined in ending {
            match joined.await {
                Ok(Ok(device)) => devices.extend(device),
                _ => warn!(link = self.name, "a thread of the link ended with a panic"),
            }
        }
        devices
    }
}

impl Connection {
    /// Returns the device, which is nobody's then.
    async fn run(
        self,
        mut device: Box<dyn Device>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Option<Box<dyn Device>> {
        let counters = Arc::new(Counters::default());
        let mut life = LinkLife::default();
        let mut action = life.handle(LinkEvent::Start, Instant::now(), 0.0);
        let mut was_up = false;
        let mut refused = None;
        let (mut failures, mut last_failure) = (Failures::default(), None);
        let mut nudges = self.nudges.clone();
        pull_carrier(&mut *device);
        loop {
            let event = match action {
                LinkAction::Connect => {
                    let (turn, pass) = tokio::select! {
                        turns = async { (self.place.turn().await, self.door.turn(refused.is_some()).await) } => turns,
                        _ = &mut stopped => return Some(device),
                    };
                    nudges.mark_unchanged();
                    let (home, mut returning) = mpsc::unbounded_channel();
                    let lease = Lease::new(device, Some(home.clone()));
                    let lent = Lent { lease, home, returning: &mut returning, counters: &counters };
                    let broken = self
                        .session(lent, pass, &mut stopped, || {
                            life.handle(LinkEvent::Established, Instant::now(), 0.0);
                            was_up = true;
                            drop(turn);
                        })
                        .await;
                    let Some(returned) = returning.recv().await else {
                        self.place.tell(LinkNews::Ended("the device got lost".to_owned()));
                        return None;
                    };
                    device = returned;
                    pull_carrier(&mut *device);
                    let Some(Broken { why, severity }) = broken else { return Some(device) };
                    let gives_up = match self.persistence {
                        Persistence::Always => false,
                        Persistence::OnceEstablished => !was_up,
                        Persistence::Never => true,
                    };
                    if gives_up {
                        self.place.tell(LinkNews::Ended(why));
                        return Some(device);
                    }
                    last_failure = Some(self.in_words_of_its_place(&why));
                    refused = (severity == Severity::Standing).then(Instant::now);
                    LinkEvent::Lost(severity)
                }
                LinkAction::SetTimer(until) => {
                    if let Some(why) = last_failure.take() {
                        failures.tell(&why, until.saturating_duration_since(Instant::now()));
                    }
                    tokio::select! {
                        event = self.wait(until, &mut refused, &mut nudges) => event,
                        _ = &mut stopped => return Some(device),
                    }
                }
                LinkAction::Wait | LinkAction::Disconnect => return Some(device),
            };
            action = life.handle(event, Instant::now(), jitter());
        }
    }

    /// Waits for the next attempt, which comes before its time when there is a sign that it may succeed. `refused`: when
    /// the server refused this link; it forgets that when something has changed here.
    async fn wait(
        &self,
        until: Instant,
        refused: &mut Option<Instant>,
        nudges: &mut watch::Receiver<u64>,
    ) -> LinkEvent {
        let mut openings = self.door.openings();
        let files = refused.map(|_| KeyFiles::of(&self.options));
        let mut let_in = None;
        loop {
            tokio::select! {
                () = sleep_until(until.into()) => return LinkEvent::Timer,
                () = sleep_until(let_in.unwrap_or(until).into()), if let_in.is_some() => return LinkEvent::Nudge,
                // An error says that the link is being stopped.
                Ok(()) = nudges.changed() => {}
                // The sender lives in `self`.
                _ = openings.changed(), if refused.is_some() && let_in.is_none() => {
                    let_in = refused.map(|at| at + AFTER_REFUSAL);
                    continue;
                }
                () = sleep(LOOK), if files.is_some() => {
                    if files == Some(KeyFiles::of(&self.options)) {
                        continue;
                    }
                    info!("a key or a list of known hosts has changed");
                }
            }
            *refused = None;
            return LinkEvent::Nudge;
        }
    }

    /// Hints name what is there to be changed: keys of the YAML, or options of `connect`.
    fn in_words_of_its_place(&self, why: &str) -> String {
        match self.persistence {
            Persistence::Always => client::in_yaml_words(why),
            Persistence::OnceEstablished | Persistence::Never => why.to_owned(),
        }
    }

    /// One session from the first packet to the last. `None`: it was told to stop.
    async fn session(
        &self,
        mut lent: Lent<'_>,
        pass: Pass,
        stopped: &mut oneshot::Receiver<()>,
        established: impl FnOnce(),
    ) -> Option<Broken> {
        let (sender, mut events) = mpsc::unbounded_channel();
        let connected = tokio::select! {
            connected = client::connect(&self.options, Arc::clone(&self.prompter), sender) => connected,
            _ = &mut *stopped => return None,
        };
        let session = match connected {
            Ok(session) => {
                pass.ended(Outcome::LoggedIn);
                session
            }
            Err(client::ConnectError::Interrupted) => {
                // The same signal tells everything to stop.
                let _ = stopped.await;
                return None;
            }
            Err(error) => {
                pass.ended(Outcome::of(&error));
                let severity = if error.is_permanent() { Severity::Standing } else { Severity::Passing };
                return Some(Broken { why: error.to_string(), severity });
            }
        };
        let (mut established, mut again) = (Some(established), Reopenings::default());
        loop {
            let opened_at = Instant::now();
            let request = self.request(lent.lease, lent.counters);
            let end = self.tunnel(&session, request, &mut events, stopped, || {
                if let Some(established) = established.take() {
                    established();
                }
            });
            let why = match end.await {
                TunnelEnd::Stopped => {
                    session.disconnect().await;
                    return None;
                }
                TunnelEnd::Broken(broken) => return Some(broken),
                TunnelEnd::Refused(broken) if again.is_first() => {
                    session.disconnect().await;
                    return Some(broken);
                }
                TunnelEnd::Refused(Broken { why, .. }) | TunnelEnd::Closed(why) => why,
            };
            // The SSH connection is good: a log-in and all that hangs on it can be spared.
            let Some(wait) = again.next(opened_at.elapsed()) else {
                session.disconnect().await;
                return Some(Broken { why, severity: Severity::Passing });
            };
            let mut device = lent.returning.recv().await?;
            pull_carrier(&mut *device);
            lent.lease = Lease::new(device, Some(lent.home.clone()));
            tokio::select! {
                () = sleep(wait) => {}
                ended = session.closed() => {
                    return Some(Broken { why: ended.to_string(), severity: Severity::Passing });
                }
                _ = &mut *stopped => {
                    session.disconnect().await;
                    return None;
                }
            }
            warn!("{why}; it is opened again on the same SSH connection");
        }
    }

    fn request(&self, device: Lease, counters: &Arc<Counters>) -> TunnelRequest {
        TunnelRequest {
            device,
            remote_unit: self.remote_unit,
            native: self.place.native(self.native),
            bundle: self.place.member(),
            counters: Arc::clone(counters),
        }
    }

    /// One tunnel of a session.
    async fn tunnel(
        &self,
        session: &Session,
        request: TunnelRequest,
        events: &mut mpsc::UnboundedReceiver<Event>,
        stopped: &mut oneshot::Receiver<()>,
        established: impl FnOnce(),
    ) -> TunnelEnd {
        let opened = tokio::select! {
            opened = session.tunnels().open(request) => opened,
            _ = &mut *stopped => return TunnelEnd::Stopped,
        };
        let tunnel = match opened {
            Ok(tunnel) => tunnel,
            // A session that broke says more than that the tunnel did not come.
            Err(OpenTunnelError::SessionEnded) => {
                let why = session.closed().await.to_string();
                return TunnelEnd::Broken(Broken { why, severity: Severity::Passing });
            }
            Err(refused) => {
                return TunnelEnd::Refused(Broken { why: refused.to_string(), severity: Severity::Standing });
            }
        };
        established();
        self.place.tell(LinkNews::Speaks(tunnel.dialect));
        let mut presence = self.place.opened(&tunnel.device, tunnel.dialect, session.peer_version());
        loop {
            tokio::select! {
                ended = session.closed() => return match ended {
                    Ended::Here => TunnelEnd::Stopped,
                    ended => TunnelEnd::Broken(Broken { why: ended.to_string(), severity: Severity::Passing }),
                },
                Some(event) = events.recv() => match event {
                    Event::Greeted { bundled, .. } => if let Err(alone) = presence.greeted(bundled) {
                        return TunnelEnd::Refused(Broken { why: alone.to_string(), severity: Severity::Standing });
                    },
                    Event::Closed { channel, .. } if channel != tunnel.channel => {}
                    Event::Closed { reason, .. } => return match (reason, tunnel.dialect) {
                        // A Tapline closes a tunnel when the place is somebody else's now; to insist would be to quarrel.
                        (reason @ (ClosedReason::Peer | ClosedReason::Eof), Dialect::Stock) => {
                            TunnelEnd::Closed(reason.to_string())
                        }
                        (reason, _) => {
                            TunnelEnd::Broken(Broken { why: reason.to_string(), severity: Severity::Passing })
                        }
                    },
                },
                _ = &mut *stopped => return TunnelEnd::Stopped,
            }
        }
    }
}

/// The device on its way to tunnels and back.
struct Lent<'a> {
    lease: Lease,
    home: mpsc::UnboundedSender<Box<dyn Device>>,
    returning: &'a mut mpsc::UnboundedReceiver<Box<dyn Device>>,
    counters: &'a Arc<Counters>,
}

/// How a tunnel ended.
enum TunnelEnd {
    Stopped,
    /// The session is over, or of no use.
    Broken(Broken),
    /// The peer does not open it.
    Refused(Broken),
    /// The peer has closed it, and the session goes on.
    Closed(String),
}

/// From 0 to 1; without randomness links only come back in step.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

fn pull_carrier(device: &mut dyn Device) {
    if let Err(error) = device.set_carrier(false) {
        tracing::debug!(%error, "cannot switch the carrier off");
    }
}
