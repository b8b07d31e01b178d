use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapline_transport::client::{
    ConnectError, NonInteractive, Options, PromptError, Prompter, Session, connect,
};
use tapline_transport::trust::host_key::Strictness;
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use zeroize::Zeroizing;

/// How long a condition may take that a loaded machine delays.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The port of every server: the network is the test's own.
pub(crate) const PORT: u16 = 22;

/// Runs `test` on a thread of its own in new namespaces, in which `/run` is empty but for what sshd wants.
pub(crate) fn in_namespaces<F: Future>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = thread::spawn(move || {
        for program in ["/usr/sbin/sshd", "/usr/bin/ssh-keygen", "/usr/bin/ssh-agent"] {
            if !Path::new(program).exists() {
                return skip(&format!("{program} is missing; install openssh-server and openssh-client"));
            }
        }
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            return skip(&format!("no new namespaces: {error}; run as root"));
        }
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(none, "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        fs::create_dir("/run/sshd").unwrap();
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(4 * PATIENCE, test()).await.unwrap();
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

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with keys in it.
pub(crate) struct Keys {
    pub(crate) directory: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes a key pair; `kind` as for `ssh-keygen -t`, with more options after a space.
    pub(crate) fn generate(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.path(name);
        run(Command::new("ssh-keygen")
            .args(["-q", "-C", name, "-N", passphrase, "-f"])
            .arg(&path)
            .arg("-t")
            .args(kind.split(' ')));
        path
    }

    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let line = run(Command::new("ssh-keygen").arg("-lf").arg(self.path(name)));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// Signs the public key of `name` with that of `authority`; `arguments` as for `ssh-keygen -s`.
    pub(crate) fn sign(&self, authority: &str, name: &str, arguments: &str) {
        run(Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(self.path(authority))
            .args(arguments.split(' '))
            .arg(self.path(&format!("{name}.pub"))));
    }
}

/// A server, killed when dropped.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) log: Log,
}

pub(crate) type Log = Arc<Mutex<String>>;

impl Sshd {
    /// Listens on `address`, with the host key `host_key` of `keys` and the users' keys in its file `authorized_keys`.
    pub(crate) fn start(keys: &Keys, address: &str, host_key: &str, config: &str) -> Self {
        let log = Log::default();
        let directory = keys.directory.path().display();
        let text = format!(
            "ListenAddress {address}\nPort {PORT}\nHostKey {directory}/{host_key}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nAuthorizedKeysFile {directory}/authorized_keys\n\
             LogLevel VERBOSE\n{config}\n"
        );
        let file = keys.write(&format!("sshd_config.{address}"), &text);
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (listening, is_listening) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.starts_with("Server listening") {
                    let _ = listening.send(());
                }
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let sshd = Self { child, log };
        if is_listening.recv_timeout(PATIENCE).is_err() {
            panic!("sshd does not start: {}", sshd.log());
        }
        sshd
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "sshd never says {words}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the processes of its sessions to be gone.
    pub(crate) async fn wait_until_idle(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !children(self.child.id()).is_empty() {
            assert!(Instant::now() < deadline, "a session of sshd goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills the processes of its sessions, but not the one that listens.
    pub(crate) fn kill_sessions(&self) {
        for child in children(self.child.id()) {
            kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
        }
    }
}

fn children(parent: u32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- sshd\n{}", self.log());
        }
    }
}

/// A server with a host key and one user's key, and what a client needs for it.
pub(crate) struct Scene {
    pub(crate) keys: Keys,
    pub(crate) sshd: Sshd,
}

impl Scene {
    pub(crate) fn new(config: &str) -> Self {
        Self::with_key("ed25519", "", config)
    }

    pub(crate) fn with_key(kind: &str, passphrase: &str, config: &str) -> Self {
        Self::of(Keys::new(), kind, passphrase, config)
    }

    /// With keys that are there already.
    pub(crate) fn of(keys: Keys, kind: &str, passphrase: &str, config: &str) -> Self {
        if !keys.path("host").exists() {
            keys.generate("host", "ed25519", "");
        }
        keys.generate("id", kind, passphrase);
        keys.write("authorized_keys", &keys.text("id.pub"));
        keys.write("known_hosts", &format!("127.0.0.1 {}", keys.text("host.pub")));
        let sshd = Sshd::start(&keys, "127.0.0.1", "host", config);
        Self { keys, sshd }
    }

    pub(crate) fn options(&self) -> Options {
        options(&self.keys)
    }
}

/// For 127.0.0.1, with the key `id` and the file `known_hosts` of `keys`.
pub(crate) fn options(keys: &Keys) -> Options {
    Options {
        port: PORT,
        user_known_hosts_files: vec![keys.path("known_hosts")],
        strict_host_key_checking: Strictness::Yes,
        identity_files: vec![keys.path("id")],
        connect_timeout: Some(Duration::from_secs(30)),
        ..Options::new("127.0.0.1", "root")
    }
}

pub(crate) async fn log_in(options: &Options) -> Result<Session, ConnectError> {
    log_in_as(options, Arc::new(NonInteractive)).await
}

pub(crate) async fn log_in_with(options: &Options, person: &Arc<Scripted>) -> Result<Session, ConnectError> {
    let person: Arc<Scripted> = Arc::clone(person);
    log_in_as(options, person).await
}

async fn log_in_as(options: &Options, prompter: Arc<dyn Prompter>) -> Result<Session, ConnectError> {
    let (events, _) = unbounded_channel();
    connect(options, prompter, events).await
}

/// Somebody who gives these answers, one after the other, and then gives up.
#[derive(Debug)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<String>>,
    asked: Mutex<Vec<String>>,
    shown: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new<const N: usize>(answers: [&str; N]) -> Arc<Self> {
        let answers = Mutex::new(answers.map(str::to_owned).into());
        Arc::new(Self { answers, asked: Mutex::default(), shown: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}

impl Prompter for Scripted {
    fn is_interactive(&self) -> bool {
        true
    }

    fn ask(&self, prompt: &str, _echo: bool) -> Result<Zeroizing<String>, PromptError> {
        self.asked.lock().unwrap().push(prompt.to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        answer.map(Zeroizing::new).ok_or(PromptError::Cancelled)
    }

    fn show(&self, text: &str) {
        self.shown.lock().unwrap().push(text.to_owned());
    }
}

/// An ssh-agent, killed when dropped.
pub(crate) struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(keys: &Keys) -> Self {
        let socket = keys.path("agent");
        let mut child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What it prints, it prints once the socket is there.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, socket }
    }

    pub(crate) fn add(&self, key: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
