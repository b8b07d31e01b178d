//! A namespace, a server in it, and Debian's ssh.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;
use std::{fs, io};

use nix::sched::{CloneFlags, unshare};
use russh_channels::keys::ssh_key::LineEnding;
use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh_channels::keys::{PrivateKey, PublicKey};
use tapline_device::Unit;
use tapline_device::memory::{self, MemoryDevice};
use tapline_frame::Mode;
use tapline_frame::records::BundleMember;
use tapline_transport::server::{
    DeviceRefused, DeviceRequest, Event, Listener, OpenedTunnel, Options, Peer, PermitTunnel, ServerHandle,
    SessionEnd, serve,
};
use tapline_transport::tunnel::{Dialect, Lease};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long a condition may take that a loaded machine delays.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` on a thread of its own in a new network namespace, where lo is up.
pub(crate) fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return skip(&format!("no new network namespace: {error}; run as root"));
        }
        for program in ["ssh", "ssh-keygen", "ip"] {
            if !on_path(program) {
                return skip(&format!("{program} is missing; run apt install openssh-client iproute2"));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            ip("link set lo up").await;
            test().await;
        });
    });
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

pub(crate) async fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split(' ')).output().await.unwrap();
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}"))
}

/// Waits for what other threads bring about.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) fn private_key(seed: u8) -> PrivateKey {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "").unwrap()
}

pub(crate) fn public_key(seed: u8) -> PublicKey {
    private_key(seed).public_key().clone()
}

/// The text of a public key, without comment.
pub(crate) fn line(seed: u8) -> String {
    public_key(seed).to_openssh().unwrap().trim().to_owned()
}

/// The seeds of the keys that tests use.
pub(crate) const HOST: u8 = 1;
pub(crate) const CLIENT: u8 = 2;
pub(crate) const AUTHORITY: u8 = 3;
pub(crate) const STRANGER: u8 = 4;

/// A directory with what a client and a server need.
pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap() };
        for (name, seed) in [("client", CLIENT), ("authority", AUTHORITY), ("stranger", STRANGER)] {
            site.write(name, &private_key(seed).to_openssh(LineEnding::LF).unwrap());
            site.write(&format!("{name}.pub"), &format!("{}\n", line(seed)));
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Lets `line` in, and permits every tunnel.
    pub(crate) fn options(&self, authorized_keys: &str) -> Options {
        self.write("authorized_keys", authorized_keys);
        let mut options = Options::new(vec![private_key(HOST)]);
        options.permit_tunnel = PermitTunnel::Yes;
        options.authorized_keys_files = vec![self.path("authorized_keys")];
        options
    }

    pub(crate) fn serve(&self, options: Options) -> Server {
        self.serve_with(options, Devices::default())
    }

    pub(crate) fn serve_with(&self, options: Options, devices: Devices) -> Server {
        LazyLock::force(&LOG);
        let listener = Listener::bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]).unwrap();
        let (requests_sender, mut requests) = mpsc::channel(1);
        let (events_sender, events) = mpsc::unbounded_channel();
        let handle = serve(listener, options, requests_sender, events_sender).unwrap();
        let address = handle.local_addresses()[0];
        self.write("known_hosts", &format!("[127.0.0.1]:{} {}\n", address.port(), line(HOST)));
        let provider = devices.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                provider.answer(request);
            }
        });
        Server { handle, address, events, devices }
    }

    /// `ssh` with nothing of this machine's configuration.
    pub(crate) fn ssh(&self, server: &Server) -> Ssh {
        let mut command = Command::new("ssh");
        command
            .args(["-v", "-F", "none", "-p", &server.address.port().to_string()])
            .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"])
            .args(["-o", "ExitOnForwardFailure=yes", "-o", "UpdateHostKeys=no"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.path("known_hosts").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ssh { command, key: self.path("client"), user: "tapline" }
    }
}

/// The lines that servers of this process have logged.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || LogWriter(Arc::clone(&writer))).init();
    log
});

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for a line of the log that holds all of these.
pub(crate) async fn logged(texts: &[&str]) {
    until(&format!("{texts:?} is logged"), || {
        let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
        log.lines().any(|line| texts.iter().all(|text| line.contains(text)))
    })
    .await;
}

/// A call of `ssh` in the making.
pub(crate) struct Ssh {
    command: Command,
    key: PathBuf,
    user: &'static str,
}

impl Ssh {
    pub(crate) fn key(mut self, path: &Path) -> Self {
        self.key = path.to_owned();
        self
    }

    pub(crate) fn user(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    pub(crate) fn option(mut self, option: &str) -> Self {
        self.command.args(["-o", option]);
        self
    }

    pub(crate) fn tap(mut self, units: &str) -> Running {
        self.command.args(["-o", "Tunnel=ethernet", "-N", "-w", units]);
        self.spawn(&[])
    }

    pub(crate) fn tun(mut self, units: &str) -> Running {
        self.command.args(["-o", "Tunnel=point-to-point", "-N", "-w", units]);
        self.spawn(&[])
    }

    /// A command there, or a shell for none.
    pub(crate) fn remote(self, words: &[&str]) -> Running {
        self.spawn(words)
    }

    fn spawn(mut self, words: &[&str]) -> Running {
        self.command.arg("-i").arg(&self.key).arg(format!("{}@127.0.0.1", self.user)).args(words);
        Running(self.command.spawn().unwrap())
    }
}

/// An `ssh` that ends with the test.
pub(crate) struct Running(Child);

impl Running {
    /// Waits until it ends by itself; its exit status and what it printed.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        within("ssh ends", async {
            let mut said = String::new();
            self.0.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
            (self.0.wait().await.unwrap().code(), said)
        })
        .await
    }

    pub(crate) async fn refused_with(self, message: &str) {
        let (code, said) = self.ended().await;
        assert_eq!(code, Some(255), "{said}");
        assert!(said.contains(message), "{said}");
    }

    pub(crate) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Stops it as a laptop that is closed: its connections stay, and nothing answers on them.
    pub(crate) async fn freeze(&self) {
        let pid = self.0.id().unwrap().to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status().await.unwrap();
        assert!(stopped.success());
    }
}

/// What the program would be: it answers requests with memory devices.
#[derive(Clone, Default)]
pub(crate) struct Devices {
    state: Arc<Mutex<Provided>>,
    /// Answer all requests with this refusal.
    pub(crate) refuse: Option<&'static str>,
    /// Say that tunnels of a bundle are joined.
    joins: bool,
}

#[derive(Default)]
struct Provided {
    asked: Vec<Asked>,
    others: Vec<MemoryDevice>,
}

/// A [`DeviceRequest`] as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) peer: Peer,
    pub(crate) mode: Mode,
    pub(crate) unit: Unit,
    pub(crate) dialect: Dialect,
    pub(crate) bundle: Option<BundleMember>,
}

impl Devices {
    pub(crate) fn joining() -> Self {
        Self { joins: true, ..Self::default() }
    }

    pub(crate) fn refusing(reason: &'static str) -> Self {
        Self { refuse: Some(reason), ..Self::default() }
    }

    fn answer(&self, request: DeviceRequest) {
        let mut state = self.state.lock().unwrap();
        let DeviceRequest { peer, mode, unit, dialect, bundle, reply, .. } = request;
        state.asked.push(Asked { peer: Peer::clone(&peer), mode, unit, dialect, bundle });
        if let Some(reason) = self.refuse {
            let _ = reply.send(Err(DeviceRefused(reason.to_owned())));
            return;
        }
        let (ours, others) = memory::pair(mode);
        state.others.push(others);
        let lease = Lease::new(Box::new(ours), None);
        let _ = reply.send(Ok(if self.joins && bundle.is_some() { lease.bundled() } else { lease }));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The other end of the newest device.
    pub(crate) fn other_end(&self) -> MemoryDevice {
        self.state.lock().unwrap().others.pop().expect("a device was asked for")
    }
}

pub(crate) struct Server {
    pub(crate) handle: ServerHandle,
    pub(crate) address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    pub(crate) devices: Devices,
}

impl Server {
    pub(crate) async fn event(&mut self) -> Event {
        within("the server tells something", self.events.recv()).await.expect("the server runs")
    }

    pub(crate) async fn authenticated(&mut self) -> Arc<Peer> {
        match self.event().await {
            Event::Authenticated(peer) => peer,
            other => panic!("{other:?}"),
        }
    }

    /// The next two events of a client that gets its tunnel.
    pub(crate) async fn opened(&mut self) -> OpenedTunnel {
        self.authenticated().await;
        self.tunnel().await
    }

    pub(crate) async fn tunnel(&mut self) -> OpenedTunnel {
        match self.event().await {
            Event::TunnelOpened(opened) => opened,
            other => panic!("{other:?}"),
        }
    }

    /// The end of a session, whatever is told before it.
    pub(crate) async fn disconnected(&mut self) -> SessionEnd {
        loop {
            if let Event::Disconnected { reason, .. } = self.event().await {
                return reason;
            }
        }
    }

    pub(crate) fn no_event(&mut self) {
        assert!(self.events.try_recv().is_err());
    }
}
