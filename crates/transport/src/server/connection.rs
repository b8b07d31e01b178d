//! One connection on its thread, from the accepted socket to its last word.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh_channels::server::{Handle, run_stream};
use russh_channels::{ChannelId, Disconnect, Error};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep};

use super::gate::Conduct;
use super::handler::{Notice, OpenCount, SessionHandler};
use super::log::printable;
use super::reception::Service;
use super::socket::Socket;
use super::{Event, OpenedTunnel, Peer, SessionEnd, SessionId, TunnelEnd};
use crate::tcp::Path;
use crate::tunnel::{self, Dialect};

/// How long a client may take to close its side once the connection is being shut down.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
#[derive(Debug, Clone)]
pub(super) enum Order {
    /// With a last message to the client.
    Disconnect(String),
    /// At once.
    Abort,
}

/// What a connection tells the reception.
#[derive(Debug)]
pub(super) enum Report {
    Authenticated(SessionId),
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
        let handler = SessionHandler::new(
            Arc::clone(&self.service),
            self.session,
            self.address,
            Path::of(&self.stream, &self.service.options.tuning),
            Arc::clone(&open),
            notices_sender,
            ends_sender,
        );
        let (socket, closing) = match Socket::new(self.stream) {
            Ok(parts) => parts,
            Err(error) => return SessionEnd::Start(error),
        };
        let mut handle = None;
        let (handle_sender, mut handle_receiver) = oneshot::channel();
        let config = Arc::clone(&self.service.config);
        let session = async {
            let running = run_stream(config, socket, handler).await?;
            let _ = handle_sender.send(running.handle());
            running.await
        };
        tokio::pin!(session);
        let mut deadline = Deadline::new(self.service.options.login_grace_time);
        // Why the connection is being ended, once it is.
        let mut ending = None;
        loop {
            tokio::select! {
                // What the session has said comes before its end.
                biased;
                Some(notice) = notices.recv() => {
                    if let Notice::Authenticated(_) = notice {
                        if ending.is_none() {
                            deadline.clear();
                        }
                        let _ = self.reports.send(Report::Authenticated(self.session));
                    }
                    log.notice(notice);
                }
                Some(event) = ends.recv() => if let tunnel::Event::Closed { channel, reason } = event {
                    open.fetch_sub(1, Ordering::Relaxed);
                    log.closed(channel, reason.into());
                },
                Ok(greeted) = &mut handle_receiver, if handle.is_none() => handle = Some(greeted),
                order = self.orders.recv() => match order {
                    Some(Order::Disconnect(reason)) => {
                        let Some(handle) = &handle else { return SessionEnd::Ordered(reason) };
                        if ending.is_none() {
                            deadline.set(LAST_WORDS);
                            say_goodbye(handle, &reason);
                            ending = Some(SessionEnd::Ordered(reason));
                        }
                    }
                    Some(Order::Abort) | None => {
                        return ending.unwrap_or_else(|| SessionEnd::Ordered("the server was stopped".to_owned()));
                    }
                },
                result = &mut session => return ending.unwrap_or_else(|| end_of(result)),
                () = closing.notified() => {
                    deadline.set(LAST_WORDS);
                    ending = ending.or(Some(SessionEnd::Client));
                }
                () = deadline.passed() => return ending.unwrap_or(SessionEnd::GraceExceeded),
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
fn say_goodbye(handle: &Handle, reason: &str) {
    let (handle, reason) = (handle.clone(), reason.to_owned());
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
    conduct: Conduct,
    /// The user of the last attempt.
    user: Option<String>,
    peer: Option<Arc<Peer>>,
    tunnels: Vec<OpenedTunnel>,
}

impl SessionLog {
    fn new(connection: &Connection) -> Self {
        Self {
            service: Arc::clone(&connection.service),
            address: connection.address,
            conduct: Conduct::NoAttempt,
            user: None,
            peer: None,
            tunnels: Vec::new(),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Attempt { conduct, user } => {
                self.conduct = conduct;
                self.user = Some(user);
            }
            Notice::Authenticated(peer) => {
                self.tell(Event::Authenticated(Arc::clone(&peer)));
                self.peer = Some(peer);
            }
            Notice::Opened(opened) => {
                tracing::info!(
                    peer = opened.peer.name,
                    device = opened.device,
                    channel = %opened.channel,
                    native = opened.dialect == Dialect::Native,
                    "tunnel opened"
                );
                self.tunnels.push(opened.clone());
                self.tell(Event::TunnelOpened(opened));
            }
        }
    }

    fn closed(&mut self, channel: ChannelId, reason: TunnelEnd) {
        let Some(at) = self.tunnels.iter().position(|opened| opened.channel == channel) else { return };
        let OpenedTunnel { peer, device, .. } = self.tunnels.swap_remove(at);
        tracing::info!(peer = peer.name, device, %channel, %reason, "tunnel closed");
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
        let (ip, port) = (self.address.ip(), self.address.port());
        if let Some(peer) = self.peer.take() {
            tracing::info!("Disconnected from user {} {ip} port {port}: {end}", peer.user);
            self.tell(Event::Disconnected { peer, reason: end });
            return Conduct::Good;
        }
        let who = self.user.as_ref().map_or_else(String::new, |user| format!("authenticating user {user} "));
        let strangers = &self.service.strangers;
        match &end {
            SessionEnd::Client => {
                strangers.info(format_args!("Connection closed by {who}{ip} port {port} [preauth]"));
            }
            SessionEnd::GraceExceeded => {
                strangers
                    .info(format_args!("Timeout before authentication for connection from {ip} port {port}"));
            }
            SessionEnd::Ssh(Error::Version) => {
                strangers.info(format_args!("Bad protocol version identification from {ip} port {port}"));
            }
            SessionEnd::Ssh(Error::NoCommonAlgo { kind, theirs, .. }) => strangers.info(format_args!(
                "Unable to negotiate with {ip} port {port}: no matching {kind:?} found. Their offer: {}",
                printable(&theirs.join(","))
            )),
            end => {
                strangers.info(format_args!("Connection from {who}{ip} port {port} ended: {end} [preauth]"))
            }
        }
        match end {
            SessionEnd::Ordered(_) | SessionEnd::Start(_) => Conduct::Good,
            SessionEnd::GraceExceeded => Conduct::GraceExceeded,
            SessionEnd::Crash => Conduct::Crash,
            SessionEnd::Client | SessionEnd::Unresponsive | SessionEnd::Ssh(_) => self.conduct,
        }
    }

    fn tell(&self, event: Event) {
        // A program that listens no more still has its server.
        let _ = self.service.events.send(event);
    }
}
