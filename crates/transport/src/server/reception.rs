//! The thread that accepts connections and keeps the list of them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use russh_channels::keys::Certificate;
use russh_channels::server::Config;
use tokio::net::{TcpListener, TcpStream as AsyncStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::authentication::Authentication;
use super::connection::{Connection, Order, Report};
use super::gate::{Admission, Conduct, Gate, Limits, Refused, Ticket};
use super::listener::{BindError, Listening, overlap};
use super::log::{self, LogBudget, Subject};
use super::origin::Source;
use super::{DeviceRequest, Event, Listener, Options, SessionId, algorithms};

/// How long sessions may take to end politely.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(4);

/// And how long their threads have once they were cut off.
const ABORT_DEADLINE: Duration = Duration::from_secs(2);

/// POSIX's own minimum is less; Linux gives this.
const LEAST_DESCRIPTORS: u64 = 1024;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Service {
    rules: RwLock<Arc<Rules>>,
    pub(super) authentication: Authentication,
    pub(super) requests: mpsc::Sender<DeviceRequest>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) log: Arc<LogBudget>,
}

/// The options that are in force, and what follows from them.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) options: Options,
    pub(super) config: Arc<Config>,
}

/// A running server. Dropping it ends the server as [`ServerHandle::shutdown`] does, without waiting for it.
#[derive(Debug)]
pub struct ServerHandle {
    sessions: Sessions,
    addresses: Vec<SocketAddr>,
    log: Arc<LogBudget>,
    thread: JoinHandle<()>,
}

/// Changes the addresses that a running server listens on. It does not keep the server running.
#[derive(Debug, Clone)]
pub struct ListenAddresses {
    commands: mpsc::UnboundedSender<Command>,
}

/// Reaches the sessions of a server; those that are over are no error.
#[derive(Debug, Clone)]
pub struct Sessions {
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
    Order(SessionId, Order),
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
    let authentication = Authentication::default();
    authentication.inspect(&options);
    let gate = Gate::new(Limits::new(&options, descriptors()));
    let log = Arc::new(LogBudget::default());
    let service = Arc::new(Service {
        rules: RwLock::new(Arc::new(Rules::of(options))),
        authentication,
        requests,
        events,
        log: Arc::clone(&log),
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
    Ok(ServerHandle { sessions: Sessions { commands: commands_sender }, addresses, log, thread })
}

impl ServerHandle {
    /// The addresses that are listened on.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What may be logged about sources and keys, which the server and the program have in common.
    pub fn log_budget(&self) -> &Arc<LogBudget> {
        &self.log
    }

    /// Ends a session with a message to its client. One that is over already is no error.
    pub fn disconnect(&self, session: SessionId, reason: &str) {
        self.sessions.disconnect(session, reason);
    }

    /// Other options. Connections that are there are judged by them, as if they logged in now; those that may go on keep
    /// what was agreed when they began. The addresses stay.
    ///
    /// # Errors
    /// The options make no server; the former stay in force.
    pub fn reload(&self, options: Options) -> Result<(), ServeError> {
        check(&options)?;
        let _ = self.sessions.commands.send(Command::Reload(Box::new(options)));
        Ok(())
    }

    /// What changes the addresses that are listened on.
    pub fn listen_addresses(&self) -> ListenAddresses {
        ListenAddresses { commands: self.sessions.commands.clone() }
    }

    /// Accepts nothing more, ends every session with a message to its client, and waits until they are over and their
    /// devices home: six seconds at most. Not cancel safe in that the server then goes on ending without being waited
    /// for.
    pub async fn shutdown(self) {
        let (done, is_done) = oneshot::channel();
        if self.sessions.commands.send(Command::Shutdown(done)).is_ok() {
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

impl Sessions {
    /// Ends a session with a message to its client.
    pub fn disconnect(&self, session: SessionId, reason: &str) {
        self.order(session, Order::Disconnect(reason.to_owned()));
    }

    /// Ends a session at once, and takes back its devices.
    pub fn cut_off(&self, session: SessionId, reason: &str) {
        self.order(session, Order::CutOff(reason.to_owned()));
    }

    /// Asks a session that has a tunnel for a sign of life of its client, and waits about a second for it. Cancel safe.
    pub async fn is_alive(&self, session: SessionId) -> bool {
        let (answer, answered) = oneshot::channel();
        self.order(session, Order::Ask(answer));
        // A session that is over answers nothing.
        answered.await.unwrap_or(false)
    }

    fn order(&self, session: SessionId, order: Order) {
        let _ = self.commands.send(Command::Order(session, order));
    }
}

impl Service {
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whom log lines about a connection concern until its key is known.
    pub(super) fn about(&self, address: SocketAddr) -> Subject {
        Subject::Source(Source::host(address).block(self.rules().options.per_source_net_block_size))
    }
}

impl Rules {
    fn of(options: Options) -> Self {
        Self { config: Arc::new(algorithms::config(&options)), options }
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
        let mut sums = tokio::time::interval(log::PERIOD / 2);
        sums.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                report = reports.recv() => if let Some(report) = report { self.hear(report) },
                command = commands.recv() => match command {
                    Some(Command::Order(session, order)) => self.order(session, order),
                    Some(Command::Reload(options)) => self.reload(*options),
                    Some(Command::Listen(addresses, reply)) => {
                        let _ = reply.send(change_to(&mut sockets, &addresses));
                    }
                    Some(Command::Shutdown(done)) => break Some(done),
                    None => break None,
                },
                _ = sums.tick() => self.service.log.sum_up(),
                accepted = accept(&sockets, &mut turn) => match accepted {
                    Ok((stream, address)) => self.admit(stream, address),
                    Err(error) => {
                        self.service.log.info(
                            &Subject::Others,
                            format_args!("cannot accept a connection: {error}; raise the limit of open files"),
                        );
                        // Most likely out of descriptors; the connection stays in the queue and would spin the loop.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        };
        drop(sockets);
        self.shut_down(&mut reports).await;
        self.service.log.close();
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn admit(&mut self, stream: AsyncStream, address: SocketAddr) {
        let ticket = match self.gate.arrive(Instant::now(), address, percent) {
            Ok(ticket) => ticket,
            Err(refused) => {
                // As OpenSSH says it. The socket's buffer is empty, so this does not wait.
                let _ = stream.try_write(match refused {
                    Refused::Penalty { .. } => b"Not allowed at this time\r\n".as_slice(),
                    _ => b"Exceeded MaxStartups\r\n",
                });
                let line = format_args!(
                    "drop connection from {} port {}: {refused}",
                    Source::host(address),
                    address.port()
                );
                self.service.log.info(&self.service.about(address), line);
                return;
            }
        };
        match stream.into_std().and_then(|stream| self.start(stream, address)) {
            Ok((orders, thread)) => {
                self.connections.insert(self.last, Entry { ticket, orders, thread });
            }
            Err(error) => {
                tracing::error!(%address, %error, "cannot serve a connection; see the limits on processes and memory");
                self.gate.departed(Instant::now(), ticket, self.last, Conduct::Good);
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
            address: canonical(address),
            orders: received,
            reports: self.reports.clone(),
        };
        let thread = thread::Builder::new().name("ssh-session".to_owned()).spawn(|| connection.run())?;
        Ok((orders, thread))
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Authenticated(session, key) => {
                let Some(entry) = self.connections.get_mut(&session) else { return };
                let (ends, reason) = match self.gate.authenticated(&mut entry.ticket, session, &key) {
                    Admission::Welcome => return,
                    Admission::Instead(other) => (other, "its place is needed for others".to_owned()),
                    Admission::Refused(no_room) => (session, no_room.to_string()),
                };
                self.order(ends, Order::MakeRoom(reason));
            }
            Report::HasTunnel(session, has_tunnel) => {
                if let Some(entry) = self.connections.get(&session) {
                    self.gate.set_has_tunnel(&entry.ticket, session, has_tunnel);
                }
            }
            Report::Departed(session, conduct) => {
                if let Some(entry) = self.connections.remove(&session) {
                    self.gate.departed(Instant::now(), entry.ticket, session, conduct);
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
        self.gate.set_limits(Limits::new(&options, descriptors()));
        self.service.authentication.inspect(&options);
        *self.service.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Rules::of(options));
        for &session in self.connections.keys() {
            self.order(session, Order::Judge);
        }
    }

    async fn shut_down(&mut self, reports: &mut mpsc::UnboundedReceiver<Report>) {
        type Ending = fn(String) -> Order;
        let steps = [(Order::Disconnect as Ending, SHUTDOWN_DEADLINE), (Order::CutOff, ABORT_DEADLINE)];
        for (order, deadline) in steps {
            for &session in self.connections.keys() {
                self.order(session, order("the server is shutting down".to_owned()));
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

/// An IPv4 address that comes by an IPv6 socket is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// How many files this process may have open.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(LEAST_DESCRIPTORS, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
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
