//! One link that this host opens and keeps up: a thread of its own with the SSH session, its channel and its device.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tapline_device::Device;
use tapline_transport::client::{self, Ended, Prompter};
use tapline_transport::link::{LinkAction, LinkEvent, LinkLife, Severity};
use tapline_transport::tunnel::{Counters, Event, Lease, NativePolicy, OpenTunnelError, TunnelRequest};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tracing::{Instrument, error_span, info, warn};

/// What a link needs to run.
pub(crate) struct LinkPlan {
    pub(crate) name: String,
    pub(crate) options: client::Options,
    pub(crate) device: Box<dyn Device>,
    pub(crate) remote_unit: Option<u32>,
    pub(crate) native: NativePolicy,
    /// Whether the link connects again after it broke.
    pub(crate) persistence: Persistence,
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
    /// The link has given up; the text says why.
    Ended(Option<String>),
}

/// A running link. Dropping it does not stop it; see [`LinkHandle::stop`].
#[derive(Debug)]
pub(crate) struct LinkHandle {
    pub(crate) name: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct News {
    link: String,
    sender: mpsc::UnboundedSender<(String, LinkNews)>,
}

impl News {
    fn tell(&self, news: LinkNews) {
        // Nobody listens any more while the daemon stops.
        let _ = self.sender.send((self.link.clone(), news));
    }
}

/// Why an attempt failed, or a link broke.
struct Broken {
    why: String,
    severity: Severity,
}

impl LinkHandle {
    /// Starts the link's thread.
    pub(crate) fn start(
        plan: LinkPlan,
        prompter: Arc<dyn Prompter>,
        news: mpsc::UnboundedSender<(String, LinkNews)>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let name = plan.name.clone();
        let runtime = tapline_transport::session_runtime()?;
        let thread = thread::Builder::new().name(format!("link {name}")).spawn(move || {
            let span = error_span!("link", name = plan.name);
            let news = News { link: plan.name.clone(), sender: news };
            runtime.block_on(run(plan, prompter, stopped, news).instrument(span));
            // A question at the terminal that nobody answers must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok(Self { name, stop, thread })
    }

    /// Ends session and thread; the device goes with them.
    pub(crate) async fn stop(self) {
        // The thread may have given up already.
        let _ = self.stop.send(());
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            warn!(link = self.name, "the link's thread ended with a panic");
        }
    }
}

async fn run(plan: LinkPlan, prompter: Arc<dyn Prompter>, mut stopped: oneshot::Receiver<()>, news: News) {
    let LinkPlan { options, mut device, remote_unit, native, persistence, .. } = plan;
    let counters = Arc::new(Counters::default());
    let mut life = LinkLife::default();
    let mut action = life.handle(LinkEvent::Start, Instant::now(), 0.0);
    let mut was_up = false;
    pull_carrier(&mut *device);
    loop {
        let event = match action {
            LinkAction::Connect => {
                let (home, mut returning) = mpsc::unbounded_channel();
                let request = TunnelRequest {
                    device: Lease::new(device, Some(home)),
                    remote_unit,
                    native,
                    counters: counters.clone(),
                };
                let broken = session(&options, &prompter, request, &mut stopped, || {
                    life.handle(LinkEvent::Established, Instant::now(), 0.0);
                    was_up = true;
                    news.tell(LinkNews::Up);
                })
                .await;
                let Some(returned) = returning.recv().await else {
                    news.tell(LinkNews::Ended(Some("the device got lost".to_owned())));
                    return;
                };
                device = returned;
                pull_carrier(&mut *device);
                let Some(Broken { why, severity }) = broken else {
                    news.tell(LinkNews::Ended(None));
                    return;
                };
                news.tell(LinkNews::Down);
                let gives_up = match persistence {
                    Persistence::Always => false,
                    Persistence::OnceEstablished => !was_up,
                    Persistence::Never => true,
                };
                if gives_up {
                    news.tell(LinkNews::Ended(Some(why)));
                    return;
                }
                warn!("{why}");
                LinkEvent::Lost(severity)
            }
            LinkAction::SetTimer(until) => {
                info!(
                    "next attempt in {:.1} s",
                    until.saturating_duration_since(Instant::now()).as_secs_f32()
                );
                tokio::select! {
                    () = sleep_until(until.into()) => LinkEvent::Timer,
                    _ = &mut stopped => {
                        news.tell(LinkNews::Ended(None));
                        return;
                    }
                }
            }
            LinkAction::Wait | LinkAction::Disconnect => return,
        };
        action = life.handle(event, Instant::now(), jitter());
    }
}

/// One session from the first packet to the last. `None`: it was told to stop.
async fn session(
    options: &client::Options,
    prompter: &Arc<dyn Prompter>,
    request: TunnelRequest,
    stopped: &mut oneshot::Receiver<()>,
    established: impl FnOnce(),
) -> Option<Broken> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let connected = tokio::select! {
        connected = client::connect(options, Arc::clone(prompter), sender) => connected,
        _ = &mut *stopped => return None,
    };
    let session = match connected {
        Ok(session) => session,
        Err(error) => {
            let severity = if error.is_permanent() { Severity::Standing } else { Severity::Passing };
            return Some(Broken { why: error.to_string(), severity });
        }
    };
    let opened = tokio::select! {
        opened = session.tunnels().open(request) => opened,
        _ = &mut *stopped => {
            session.disconnect().await;
            return None;
        }
    };
    let tunnel = match opened {
        Ok(tunnel) => tunnel,
        // A session that broke says more than that the tunnel did not come.
        Err(OpenTunnelError::SessionEnded) => {
            return Some(Broken { why: session.closed().await.to_string(), severity: Severity::Passing });
        }
        Err(refused) => {
            session.disconnect().await;
            return Some(Broken { why: refused.to_string(), severity: Severity::Standing });
        }
    };
    info!(
        device = tunnel.device,
        channel = tunnel.dialect.channel_type(),
        peer = session.peer_version(),
        "up"
    );
    established();
    let why = tokio::select! {
        ended = session.closed() => match ended {
            Ended::Here => return None,
            ended => ended.to_string(),
        },
        Some(Event::Closed { reason, .. }) = events.recv() => reason.to_string(),
        _ = &mut *stopped => {
            session.disconnect().await;
            return None;
        }
    };
    Some(Broken { why, severity: Severity::Passing })
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
