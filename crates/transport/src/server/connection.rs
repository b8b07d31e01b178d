//! One connection on its thread, from the accepted socket to its last word.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use russh_channels::server::{Handle, run_stream};
use russh_channels::{ChannelId, Disconnect, Error};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep};

use super::gate::Conduct;
use super::handler::{Notice, OpenCount, SessionHandler, Standing};
use super::log::{Subject, printable};
use super::origin::Source;
use super::reception::Service;
use super::socket::{Signs, Socket};
use super::{Event, LastTunnel, OpenedTunnel, SessionEnd, SessionId, TunnelEnd};
use crate::tcp::Path;
use crate::tunnel::{self, Dialect, TunnelHandle, Tunnels};

/// How long a client may take to close its side once the connection is being shut down.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The same where its place is needed.
const SHORT_WORDS: Duration = Duration::from_millis(200);

/// How long a session may be without a tunnel. The program may take ten seconds to provide the first one.
const WITHOUT_TUNNEL: Duration = Duration::from_secs(15);

/// How long a client may take to give a sign of life when it is asked for one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How often one is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// What a connection needs to be served.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) service: Arc<Service>,
    pub(super) session: SessionId,
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
}

/// What the reception tells a connection.
#[derive(Debug)]
pub(super) enum Order {
    /// With a last message to the client.
    Disconnect(String),
    /// The same, with little time for it, as its place is needed.
    MakeRoom(String),
    /// At once, for this reason.
    CutOff(String),
    /// The rules are others now.
    Judge,
    /// Whether the client is still there.
    Ask(oneshot::Sender<bool>),
}

/// What a connection tells the reception.
#[derive(Debug)]
pub(super) enum Report {
    /// With this key.
    Authenticated(SessionId, String),
    HasTunnel(SessionId, bool),
    /// The thread is about to end.
    Departed(SessionId, Conduct),
}

impl Connection {
    /// Serves the connection until it ends. Blocks.
    pub(super) fn run(self) {
        let (session, reports) = (self.session, self.reports.clone());
        let mut log = SessionLog::new(&self);
        let end = match crate::session_runtime() {
            // The runtime goes at the end of this arm, and with it the session and its leases.
            Ok(runtime) => runtime.block_on(self.serve(&mut log)),
            Err(error) => SessionEnd::Start(error),
        };
        let conduct = log.ended(end);
        // The reception is gone only when the whole server is.
        let _ = reports.send(Report::Departed(session, conduct));
    }

    async fn serve(mut self, log: &mut SessionLog) -> SessionEnd {
        let (notices_sender, mut notices) = mpsc::unbounded_channel();
        let (ends_sender, mut ends) = mpsc::unbounded_channel();
        let open = OpenCount::default();
        let rules = self.service.rules();
        let tuning = &rules.options.tuning;
        let (tunnels, asker) = Tunnels::new(Path::of(&self.stream, tuning), tuning, ends_sender);
        let handler = SessionHandler::new(
            Arc::clone(&self.service),
            self.session,
            self.address,
            tunnels,
            Arc::clone(&open),
            notices_sender,
        );
        let (socket, signs) = match Socket::new(self.stream) {
            Ok(parts) => parts,
            Err(error) => return SessionEnd::Start(error),
        };
        let mut handle = None;
        let (handle_sender, mut handle_receiver) = oneshot::channel();
        let config = Arc::clone(&rules.config);
        let session = async {
            let running = run_stream(config, socket, handler).await?;
            let _ = handle_sender.send(running.handle());
            running.await
        };
        tokio::pin!(session);
        let mut ending = Ending { deadline: Deadline::new(rules.options.login_grace_time), end: None };
        drop(rules);
        let mut last_tunnel = LastTunnel::default();
        loop {
            tokio::select! {
                // What the session has said comes before its end.
                biased;
                Some(notice) = notices.recv() => {
                    match &notice {
                        Notice::Attempt { .. } => {}
                        Notice::Authenticated(standing) => {
                            let key = standing.peer.fingerprint.clone();
                            let _ = self.reports.send(Report::Authenticated(self.session, key));
                            ending.may_take(Some(WITHOUT_TUNNEL));
                        }
                        Notice::Opened(_) => {
                            let _ = self.reports.send(Report::HasTunnel(self.session, true));
                            ending.may_take(None);
                        }
                    }
                    log.notice(notice);
                    // The rules may have changed while it was logging in.
                    if let Some(reason) = log.judge() {
                        ending.begin(handle.as_ref(), reason.clone(), LAST_WORDS, SessionEnd::Ordered(reason));
                    }
                }
                Some(event) = ends.recv() => if let tunnel::Event::Closed { channel, reason } = event {
                    open.fetch_sub(1, Ordering::Relaxed);
                    last_tunnel = LastTunnel(Some(reason.to_string()));
                    log.closed(channel, reason.into());
                    if log.tunnels.is_empty() {
                        let _ = self.reports.send(Report::HasTunnel(self.session, false));
                        ending.may_take(Some(WITHOUT_TUNNEL));
                    }
                },
                Ok(greeted) = &mut handle_receiver, if handle.is_none() => handle = Some(greeted),
                order = self.orders.recv() => match order {
                    Some(Order::Disconnect(reason)) if handle.is_none() => return SessionEnd::Ordered(reason),
                    Some(Order::Disconnect(reason)) => {
                        ending.begin(handle.as_ref(), reason.clone(), LAST_WORDS, SessionEnd::Ordered(reason));
                    }
                    Some(Order::MakeRoom(reason)) => {
                        ending.begin(handle.as_ref(), reason.clone(), SHORT_WORDS, SessionEnd::Ordered(reason));
                    }
                    Some(Order::Judge) => if let Some(reason) = log.judge() {
                        ending.begin(handle.as_ref(), reason.clone(), LAST_WORDS, SessionEnd::Ordered(reason));
                    },
                    Some(Order::Ask(answer)) => drop(tokio::spawn(ask(asker.clone(), signs.clone(), answer))),
                    Some(Order::CutOff(reason)) => return ending.end.unwrap_or(SessionEnd::Ordered(reason)),
                    None => return ending.end.unwrap_or_else(|| SessionEnd::Ordered("the server was stopped".to_owned())),
                },
                result = &mut session => return ending.end.unwrap_or_else(|| end_of(result)),
                () = signs.closing.notified() => {
                    ending.deadline.set(LAST_WORDS);
                    ending.end.get_or_insert(SessionEnd::Client);
                }
                () = ending.deadline.passed() => match ending.end {
                    Some(end) => return end,
                    None if log.standing.is_none() => return SessionEnd::GraceExceeded,
                    None => {
                        let end = SessionEnd::NoTunnel(WITHOUT_TUNNEL, std::mem::take(&mut last_tunnel));
                        ending.begin(handle.as_ref(), format!("a session without a tunnel: {end}"), LAST_WORDS, end);
                    }
                },
            }
        }
    }
}

/// Whether the client gives a sign of life.
async fn ask(asker: TunnelHandle, signs: Signs, answer: oneshot::Sender<bool>) {
    let before = signs.reads();
    asker.ask();
    let asked = Instant::now();
    while asked.elapsed() < SIGN_OF_LIFE {
        sleep(LOOK).await;
        if signs.reads() != before {
            let _ = answer.send(true);
            return;
        }
    }
    let _ = answer.send(false);
}

/// How a connection ends, once that is certain, and until when what it has to do now may take.
#[derive(Debug)]
struct Ending {
    deadline: Deadline,
    end: Option<SessionEnd>,
}

impl Ending {
    /// What comes next, unless the connection is being ended.
    fn may_take(&mut self, limit: Option<Duration>) {
        if self.end.is_none() {
            match limit {
                Some(limit) => self.deadline.set(limit),
                None => self.deadline.clear(),
            }
        }
    }

    /// Tells the client why, and gives it some time to close its side.
    fn begin(&mut self, handle: Option<&Handle>, reason: String, patience: Duration, end: SessionEnd) {
        if self.end.is_none() {
            self.deadline.set(patience);
            self.end = Some(end);
            if let Some(handle) = handle {
                say_goodbye(handle, reason);
            }
        }
    }
}

/// The one time limit that a connection has at any moment: to authenticate, or to end.
#[derive(Debug)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Zero is no limit.
    fn new(grace_time: Duration) -> Self {
        Self((!grace_time.is_zero()).then(|| Box::pin(sleep(grace_time))))
    }

    fn set(&mut self, limit: Duration) {
        self.0 = Some(Box::pin(sleep(limit)));
    }

    fn clear(&mut self) {
        self.0 = None;
    }

    async fn passed(&mut self) {
        match &mut self.0 {
            Some(sleep) => sleep.await,
            None => std::future::pending().await,
        }
    }
}

/// Does not wait: the session may be unable to take the message, and then it is cut off at the deadline.
fn say_goodbye(handle: &Handle, reason: String) {
    let handle = handle.clone();
    tokio::spawn(async move { handle.disconnect(Disconnect::ByApplication, reason, String::new()).await });
}

fn end_of(result: Result<(), Error>) -> SessionEnd {
    match result {
        Ok(()) | Err(Error::Disconnect | Error::HUP) => SessionEnd::Client,
        Err(Error::IO(error))
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ) =>
        {
            SessionEnd::Client
        }
        Err(Error::KeepaliveTimeout) => SessionEnd::Unresponsive,
        Err(Error::Join(_)) => SessionEnd::Crash,
        Err(error) => SessionEnd::Ssh(error),
    }
}

/// Tells the program and the log what becomes of a session, and keeps what is needed for that.
#[derive(Debug)]
struct SessionLog {
    service: Arc<Service>,
    address: SocketAddr,
    /// Whom log lines are about: the source, then the key.
    subject: Subject,
    conduct: Conduct,
    /// The user of the last attempt.
    user: Option<String>,
    standing: Option<Arc<Standing>>,
    tunnels: Vec<OpenedTunnel>,
}

impl SessionLog {
    fn new(connection: &Connection) -> Self {
        Self {
            service: Arc::clone(&connection.service),
            address: connection.address,
            subject: connection.service.about(connection.address),
            conduct: Conduct::NoAttempt,
            user: None,
            standing: None,
            tunnels: Vec::new(),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Attempt { conduct, user } => {
                self.conduct = conduct;
                self.user = Some(user);
            }
            Notice::Authenticated(standing) => {
                self.subject = Subject::Key(standing.peer.fingerprint.clone());
                self.tell(Event::Authenticated(Arc::clone(&standing.peer)));
                self.standing = Some(standing);
            }
            Notice::Opened(opened) => {
                if self.service.log.passes(&self.subject) {
                    tracing::info!(
                        peer = opened.peer.name,
                        device = opened.device,
                        channel = %opened.channel,
                        native = opened.dialect == Dialect::Native,
                        "tunnel opened"
                    );
                }
                self.tunnels.push(opened.clone());
                self.tell(Event::TunnelOpened(opened));
            }
        }
    }

    /// Why the session may not go on by the rules of now.
    fn judge(&self) -> Option<String> {
        let standing = self.standing.as_ref()?;
        let rules = self.service.rules();
        if Arc::ptr_eq(&rules, &standing.rules) {
            return None;
        }
        standing.judge(&self.service, &rules, self.tunnels.iter().map(|tunnel| tunnel.mode))
    }

    fn closed(&mut self, channel: ChannelId, reason: TunnelEnd) {
        let Some(at) = self.tunnels.iter().position(|opened| opened.channel == channel) else { return };
        let OpenedTunnel { peer, device, .. } = self.tunnels.swap_remove(at);
        if self.service.log.passes(&self.subject) {
            tracing::info!(peer = peer.name, device, %channel, %reason, "tunnel closed");
        }
        self.tell(Event::TunnelClosed { peer, channel, device, reason });
    }

    /// The session is over and all it held is gone.
    fn ended(mut self, end: SessionEnd) -> Conduct {
        while let Some(OpenedTunnel { channel, .. }) = self.tunnels.last() {
            let channel = *channel;
            self.closed(channel, TunnelEnd::Session);
        }
        if matches!(end, SessionEnd::Crash) {
            tracing::error!(address = %self.address, "{end}");
        }
        let (ip, port) = (Source::host(self.address), self.address.port());
        let info = |line: fmt::Arguments<'_>| self.service.log.info(&self.subject, line);
        if let Some(standing) = &self.standing {
            let peer = Arc::clone(&standing.peer);
            info(format_args!("Disconnected from user {} {ip} port {port}: {end}", peer.user));
            self.tell(Event::Disconnected { peer, reason: end });
            return Conduct::Good;
        }
        let who = self.user.as_ref().map_or_else(String::new, |user| format!("authenticating user {user} "));
        match &end {
            SessionEnd::Client => {
                info(format_args!("Connection closed by {who}{ip} port {port} [preauth]"));
            }
            SessionEnd::GraceExceeded => {
                info(format_args!("Timeout before authentication for connection from {ip} port {port}"));
            }
            SessionEnd::Ssh(Error::Version) => {
                info(format_args!("Bad protocol version identification from {ip} port {port}"));
            }
            SessionEnd::Ssh(Error::NoCommonAlgo { kind, theirs, .. }) => info(format_args!(
                "Unable to negotiate with {ip} port {port}: no matching {kind:?} found. Their offer: {}",
                printable(&theirs.join(","))
            )),
            end => info(format_args!("Connection from {who}{ip} port {port} ended: {end} [preauth]")),
        }
        match end {
            SessionEnd::Ordered(_) | SessionEnd::Start(_) => Conduct::Good,
            SessionEnd::GraceExceeded => Conduct::GraceExceeded,
            SessionEnd::Crash => Conduct::Crash,
            SessionEnd::Client | SessionEnd::Unresponsive | SessionEnd::NoTunnel(..) | SessionEnd::Ssh(_) => {
                self.conduct
            }
        }
    }

    fn tell(&self, event: Event) {
        // A program that listens no more still has its server.
        let _ = self.service.events.send(event);
    }
}
