use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tapline_transport::client::{ConnectError, NonInteractive, Options, Session, connect};
use tapline_transport::trust::host_key::Strictness;
use tempfile::TempDir;

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
            tokio::time::timeout(PATIENCE, test()).await.unwrap();
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
        let keys = Keys::new();
        keys.generate("host", "ed25519", "");
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
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    connect(options, Arc::new(NonInteractive), events).await
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
