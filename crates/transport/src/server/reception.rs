//! The thread that accepts connections and keeps the list of them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use russh_channels::keys::Certificate;
use russh_channels::server::Config;
use tokio::net::{TcpListener, TcpStream as AsyncStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use super::authentication::Authentication;
use super::connection::{Connection, Order, Report};
use super::gate::{Conduct, Gate, Limits, Refused, Ticket};
use super::listener::{BindError, Listening, overlap};
use super::log::Limiter;
use super::{DeviceRequest, Event, Listener, Options, SessionId, algorithms};

/// How long sessions may take to end politely.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(4);

/// And how long their threads have once they were cut off.
const ABORT_DEADLINE: Duration = Duration::from_secs(2);

/// Lines that strangers can cause in the log, and in which time.
const STRANGERS_LINES: u32 = 30;
const STRANGERS_PERIOD: Duration = Duration::from_secs(10);

/// What all connections of one configuration share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) options: Options,
    pub(super) config: Arc<Config>,
    pub(super) authentication: Arc<Authentication>,
    pub(super) requests: mpsc::Sender<DeviceRequest>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// For log lines that need no key to be caused.
    pub(super) strangers: Arc<Limiter>,
}

/// A running server. Dropping it ends the server as [`ServerHandle::shutdown`] does, without waiting for it.
#[derive(Debug)]
pub struct ServerHandle {
    commands: mpsc::UnboundedSender<Command>,
    addresses: Vec<SocketAddr>,
    thread: JoinHandle<()>,
}

/// Changes the addresses that a running server listens on. It does not keep the server running.
#[derive(Debug, Clone)]
pub struct ListenAddresses {
    commands: mpsc::UnboundedSender<Command>,
}

/// Why a server cannot be started, or not with these options.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("no host key; name at least one")]
    NoHostKey,
    #[error("the host certificate \"{0}\" is for none of the host keys; add its key or remove it")]
    StrayCertificate(String),
    #[error("cannot start the server's thread: {0}; see the limits on processes and memory")]
    Thread(#[source] io::Error),
}

#[derive(Debug)]
enum Command {
    Disconnect(SessionId, String),
    Reload(Box<Options>),
    Listen(Vec<SocketAddr>, oneshot::Sender<Vec<BindError>>),
    Shutdown(oneshot::Sender<()>),
}

/// Serves SSH on the listener's addresses, in the network namespace of the calling thread.
///
/// Devices are asked for through `requests`; what happens is told through `events`, which may be dropped.
///
/// # Errors
/// The options make no server, or there is no thread for it.
pub fn serve(
    listener: Listener,
    options: Options,
    requests: mpsc::Sender<DeviceRequest>,
    events: mpsc::UnboundedSender<Event>,
) -> Result<ServerHandle, ServeError> {
    check(&options)?;
    let authentication = Arc::new(Authentication::default());
    authentication.inspect(&options);
    let gate = Gate::new(Limits::from(&options));
    let service = Arc::new(Service {
        config: Arc::new(algorithms::config(&options)),
        options,
        authentication,
        requests,
        events,
        strangers: Arc::new(Limiter::new(STRANGERS_LINES, STRANGERS_PERIOD)),
    });
    let addresses = listener.local_addresses();
    let (commands_sender, commands) = mpsc::unbounded_channel();
    let (reports_sender, reports) = mpsc::unbounded_channel();
    let reception =
        Reception { service, gate, connections: HashMap::new(), last: SessionId(0), reports: reports_sender };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Thread)?;
    let thread = thread::Builder::new()
        .name("ssh-listen".to_owned())
        .spawn(move || runtime.block_on(reception.run(listener, commands, reports)))
        .map_err(ServeError::Thread)?;
    Ok(ServerHandle { commands: commands_sender, addresses, thread })
}

impl ServerHandle {
    /// The addresses that are listened on.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends a session with a message to its client. One that is over already is no error.
    pub fn disconnect(&self, session: SessionId, reason: &str) {
        let _ = self.commands.send(Command::Disconnect(session, reason.to_owned()));
    }

    /// Other options for connections that come from now on; those there are keep theirs. The addresses stay.
    ///
    /// # Errors
    /// The options make no server; the former stay in force.
    pub fn reload(&self, options: Options) -> Result<(), ServeError> {
        check(&options)?;
        let _ = self.commands.send(Command::Reload(Box::new(options)));
        Ok(())
    }

    /// What changes the addresses that are listened on.
    pub fn listen_addresses(&self) -> ListenAddresses {
        ListenAddresses { commands: self.commands.clone() }
    }

    /// Accepts nothing more, ends every session with a message to its client, and waits until they are over and their
    /// devices home: six seconds at most. Not cancel safe in that the server then goes on ending without being waited
    /// for.
    pub async fn shutdown(self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).is_ok() {
            let _ = is_done.await;
        }
        // It has nothing left to do but to return.
        let _ = self.thread.join();
    }
}

impl ListenAddresses {
    /// Listens on these addresses from now on. Those that are listened on already stay as they are, and no session ends.
    /// What is no longer wanted is given up once all that is wanted is there; until then it stays.
    ///
    /// Returns why addresses cannot be had; call it again to try those again. Cancel safe.
    pub async fn change_to(&self, addresses: Vec<SocketAddr>) -> Vec<BindError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Listen(addresses, reply));
        // A server that has ended listens on nothing, and says so elsewhere.
        answer.await.unwrap_or_default()
    }
}

fn check(options: &Options) -> Result<(), ServeError> {
    if options.host_keys.is_empty() {
        return Err(ServeError::NoHostKey);
    }
    let belongs = |certificate: &Certificate| {
        options.host_keys.iter().any(|key| key.public_key().key_data() == certificate.public_key())
    };
    match options.host_certificates.iter().find(|certificate| !belongs(certificate)) {
        Some(stray) => Err(ServeError::StrayCertificate(stray.key_id().to_owned())),
        None => Ok(()),
    }
}

/// The state of the accepting thread.
#[derive(Debug)]
struct Reception {
    service: Arc<Service>,
    gate: Gate,
    connections: HashMap<SessionId, Entry>,
    last: SessionId,
    reports: mpsc::UnboundedSender<Report>,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

impl Reception {
    async fn run(
        mut self,
        listener: Listener,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut reports: mpsc::UnboundedReceiver<Report>,
    ) {
        let mut sockets = Vec::new();
        sockets.extend(listener.sockets.into_iter().filter_map(Socket::open));
        let mut turn = 0;
        let done = loop {
            tokio::select! {
                report = reports.recv() => if let Some(report) = report { self.hear(report) },
                command = commands.recv() => match command {
                    Some(Command::Disconnect(session, reason)) => self.order(session, Order::Disconnect(reason)),
                    Some(Command::Reload(options)) => self.reload(*options),
                    Some(Command::Listen(addresses, reply)) => {
                        let _ = reply.send(change_to(&mut sockets, &addresses));
                    }
                    Some(Command::Shutdown(done)) => break Some(done),
                    None => break None,
                },
                accepted = accept(&sockets, &mut turn) => match accepted {
                    Ok((stream, address)) => self.admit(stream, address),
                    Err(error) => {
                        self.service.strangers.info(format_args!("cannot accept a connection: {error}"));
                        // Most likely out of descriptors; the connection stays in the queue and would spin the loop.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        };
        drop(sockets);
        self.shut_down(&mut reports).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn admit(&mut self, stream: AsyncStream, address: SocketAddr) {
        let ticket = match self.gate.arrive(Instant::now(), address.ip(), percent) {
            Ok(ticket) => ticket,
            Err(refused) => {
                // As OpenSSH says it. The socket's buffer is empty, so this does not wait.
                let _ = stream.try_write(match refused {
                    Refused::Penalty { .. } => b"Not allowed at this time\r\n".as_slice(),
                    _ => b"Exceeded MaxStartups\r\n",
                });
                self.service.strangers.info(format_args!(
                    "drop connection from {} port {}: {refused}",
                    address.ip(),
                    address.port()
                ));
                return;
            }
        };
        match stream.into_std().and_then(|stream| self.start(stream, address)) {
            Ok((orders, thread)) => {
                self.connections.insert(self.last, Entry { ticket, orders, thread });
            }
            Err(error) => {
                tracing::error!(%address, %error, "cannot serve a connection; see the limits on processes and memory");
                self.gate.departed(Instant::now(), ticket, Conduct::Good);
            }
        }
    }

    fn start(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<(mpsc::UnboundedSender<Order>, JoinHandle<()>)> {
        self.last = SessionId(self.last.0.wrapping_add(1));
        let (orders, received) = mpsc::unbounded_channel();
        let connection = Connection {
            service: Arc::clone(&self.service),
            session: self.last,
            stream,
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            orders: received,
            reports: self.reports.clone(),
        };
        let thread = thread::Builder::new().name("ssh-session".to_owned()).spawn(|| connection.run())?;
        Ok((orders, thread))
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Authenticated(session) => {
                if let Some(entry) = self.connections.get_mut(&session) {
                    self.gate.authenticated(&mut entry.ticket);
                }
            }
            Report::Departed(session, conduct) => {
                if let Some(entry) = self.connections.remove(&session) {
                    self.gate.departed(Instant::now(), entry.ticket, conduct);
                    // The report was the last thing the thread did.
                    let _ = entry.thread.join();
                }
            }
        }
    }

    fn order(&self, session: SessionId, order: Order) {
        if let Some(entry) = self.connections.get(&session) {
            let _ = entry.orders.send(order);
        }
    }

    fn reload(&mut self, options: Options) {
        self.gate.set_limits(Limits::from(&options));
        self.service.authentication.inspect(&options);
        self.service = Arc::new(Service {
            config: Arc::new(algorithms::config(&options)),
            options,
            authentication: Arc::clone(&self.service.authentication),
            requests: self.service.requests.clone(),
            events: self.service.events.clone(),
            strangers: Arc::clone(&self.service.strangers),
        });
    }

    async fn shut_down(&mut self, reports: &mut mpsc::UnboundedReceiver<Report>) {
        for (order, deadline) in [
            (Order::Disconnect("the server is shutting down".to_owned()), SHUTDOWN_DEADLINE),
            (Order::Abort, ABORT_DEADLINE),
        ] {
            for &session in self.connections.keys() {
                self.order(session, order.clone());
            }
            let all_gone = async {
                while !self.connections.is_empty()
                    && let Some(report) = reports.recv().await
                {
                    self.hear(report);
                }
            };
            if tokio::time::timeout(deadline, all_gone).await.is_ok() {
                return;
            }
        }
        tracing::error!(
            sessions = self.connections.len(),
            "sessions did not end in time and are left behind"
        );
    }
}

/// A socket whose connections are accepted.
#[derive(Debug)]
struct Socket {
    asked: SocketAddr,
    socket: TcpListener,
}

impl Socket {
    fn open(listening: Listening) -> Option<Self> {
        let Listening { asked, bound, socket } = listening;
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                tracing::info!("Server listening on {} port {}.", bound.ip(), bound.port());
                Some(Self { asked, socket })
            }
            Err(error) => {
                tracing::error!(%error, "cannot listen; restart the server");
                None
            }
        }
    }

    fn close(self) {
        tracing::info!("no longer listening on {} port {}", self.asked.ip(), self.asked.port());
    }
}

/// Binds what is new before it gives anything up. A socket that covers a new one, or is covered, has to go first; it
/// comes back if the new one cannot be had.
fn change_to(sockets: &mut Vec<Socket>, addresses: &[SocketAddr]) -> Vec<BindError> {
    let mut missing = Vec::new();
    for &address in addresses {
        if sockets.iter().any(|socket| socket.asked == address) {
            continue;
        }
        match Listening::on(address) {
            Ok(listening) => sockets.extend(Socket::open(listening)),
            Err(error) => missing.extend(take_over(sockets, addresses, address).err().map(|()| error)),
        }
    }
    if missing.is_empty() {
        let (stay, go) = mem::take(sockets).into_iter().partition(|socket| addresses.contains(&socket.asked));
        *sockets = stay;
        let go: Vec<Socket> = go;
        go.into_iter().for_each(Socket::close);
    }
    missing
}

fn take_over(sockets: &mut Vec<Socket>, wanted: &[SocketAddr], address: SocketAddr) -> Result<(), ()> {
    let in_the_way = |socket: &Socket| !wanted.contains(&socket.asked) && overlap(socket.asked, address);
    let (go, stay): (Vec<_>, Vec<_>) = mem::take(sockets).into_iter().partition(in_the_way);
    *sockets = stay;
    if go.is_empty() {
        return Err(());
    }
    let before: Vec<_> = go.iter().map(|socket| socket.asked).collect();
    drop(go);
    let taken = Listening::on(address).ok().and_then(Socket::open);
    if let Some(socket) = taken {
        sockets.push(socket);
        return Ok(());
    }
    let back = before.into_iter().filter_map(|asked| Listening::on(asked).ok());
    sockets.extend(back.filter_map(Socket::open));
    Err(())
}

/// The next connection of any socket; each call begins with another, so that none waits for good behind a busy one.
async fn accept(sockets: &[Socket], turn: &mut usize) -> io::Result<(AsyncStream, SocketAddr)> {
    poll_fn(|cx| {
        *turn = turn.wrapping_add(1);
        let first = turn.checked_rem(sockets.len()).unwrap_or(0);
        let (before, after) = sockets.split_at(first);
        for Socket { socket, .. } in after.iter().chain(before) {
            if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// From 0 to 99. Without random numbers every connection is dropped that may be.
fn percent() -> u8 {
    getrandom::u32().map_or(0, |number| u8::try_from(number % 100).unwrap_or(0))
}
