use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tapline_tests::{Keys, Namespace, PATIENCE, Process, eventually, tapline, veth};

/// Two hosts joined by an IPv4 network, and the keys `host` (of berlin's server), `id` (which berlin accepts as
/// leipzig's) and `stranger`.
pub(crate) struct Sites {
    pub(crate) keys: Keys,
    /// 192.0.2.1 on eth0.
    pub(crate) berlin: Namespace,
    /// 192.0.2.2 on eth0.
    pub(crate) leipzig: Namespace,
}

impl Sites {
    pub(crate) fn new() -> Self {
        let sites = Self {
            keys: Keys::new(&["host", "id", "stranger"]),
            berlin: Namespace::new("berlin"),
            leipzig: Namespace::new("leipzig"),
        };
        veth((&sites.leipzig, "eth0", "192.0.2.2/24"), (&sites.berlin, "eth0", "192.0.2.1/24"));
        sites
    }

    /// The server's section of berlin's configuration; `accept` is what the link of leipzig's key becomes.
    pub(crate) fn server_section(&self, accept: &str) -> String {
        format!(
            "server:\n  listen: [192.0.2.1:2222]\n  host-keys: [{}]\n  permit-tunnel: ethernet\n  \
             per-source-penalties: false\n  authorized-keys-files: [/nonexistent]\n  \
             accept:\n    leipzig: {{public-key: {}, {accept}}}\n",
            self.keys.path("host").display(),
            self.keys.public("id"),
        )
    }

    /// Berlin's daemon, with 10.77.0.1 and fd77::1 on leipzig's tap. Its MAC address is the same after a restart, so that
    /// pings need not wait until leipzig's kernel doubts what it knows about its neighbour.
    pub(crate) fn server(&self) -> Daemon {
        let accept = "macaddress: '02:00:5e:77:01:01', addresses: [10.77.0.1/24, 'fd77::1/64']";
        Daemon::start(&self.berlin, &self.server_section(accept))
    }

    /// The keys of a link from leipzig to berlin, for a YAML mapping between braces; `more` goes on with a comma.
    pub(crate) fn link(&self, more: &str) -> String {
        format!(
            "{{host: root@192.0.2.1, port: 2222, identity-file: {}, user-known-hosts-file: {}, \
             strict-host-key-checking: accept-new, server-alive-interval: 1, server-alive-count-max: 2, \
             connect-timeout: 3{more}}}",
            self.keys.path("id").display(),
            self.leipzig.path("known_hosts").display(),
        )
    }

    /// `tapline connect` from leipzig with this key and options of ssh_config and no others.
    pub(crate) fn connect(&self, key: &str, options: &[&str], destination: &str) -> Command {
        let mut command = without_terminal();
        command.args(["connect", "-F", "none", "-p", "2222", "-i"]).arg(self.keys.path(key));
        for option in options {
            command.args(["-o", option]);
        }
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.leipzig.path("known_hosts").display()))
            .args(["-o", "GlobalKnownHostsFile=none", "-o", "IdentityAgent=none"])
            .arg("--state-dir")
            .arg(self.leipzig.path("state-connect"))
            .arg(destination);
        command
    }
}

/// Tapline in a session of its own, so that there is nobody to ask.
fn without_terminal() -> Command {
    let mut command = Command::new("setsid");
    command.arg(tapline().get_program());
    command
}

/// A running `tapline run`.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    ready: UnixDatagram,
}

impl Daemon {
    /// Waits until it has told its service manager that it is ready.
    pub(crate) fn start(host: &Namespace, configuration: &str) -> Self {
        let mut daemon = Self::begin(host, configuration);
        daemon.becomes_ready();
        daemon
    }

    pub(crate) fn begin(host: &Namespace, configuration: &str) -> Self {
        Self::begin_with(host, &mut run(host, configuration))
    }

    /// `command` is that of [`run`], perhaps within another.
    pub(crate) fn begin_with(host: &Namespace, command: &mut Command) -> Self {
        let socket = host.path("notify");
        let _ = fs::remove_file(&socket);
        let ready = UnixDatagram::bind(&socket).unwrap();
        ready.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let process = host.start("tapline run", command.env("NOTIFY_SOCKET", &socket));
        Self { process, ready }
    }

    /// Waits for the next message to the service manager that says READY=1.
    pub(crate) fn becomes_ready(&mut self) {
        eventually("READY=1", || {
            let mut message = [0; 512];
            let message = match self.ready.recv(&mut message) {
                Ok(length) => String::from_utf8_lossy(&message[..length]).into_owned(),
                Err(_) => {
                    assert!(self.process.is_running(), "the daemon has ended");
                    return false;
                }
            };
            message.lines().any(|line| line == "READY=1")
        });
    }

    /// Ends it with SIGTERM; it has to have nothing to complain of.
    pub(crate) fn stop(mut self) {
        let status = self.process.terminate();
        assert_eq!(status.code(), Some(0));
        calm(&self.process.log());
    }

    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.ended();
    }
}

/// `tapline run` with this configuration, and the record of what it changed in the host's directory `state`.
pub(crate) fn run(host: &Namespace, configuration: &str) -> Command {
    let file = host.write("tapline.yaml", configuration);
    let mut command = tapline();
    command.arg("run").arg("-c").arg(file).arg("--state-dir").arg(host.path("state"));
    // Neither configuration nor agent of whoever runs the tests.
    command.env("HOME", host.path("home")).env_remove("SSH_AUTH_SOCK");
    command
}

/// Runs a command of Tapline that has to fail, and returns the one line that says why.
pub(crate) fn fails(host: &Namespace, status: i32, command: &mut Command) -> String {
    let mut process = host.start("tapline", command);
    let ended = process.ended_within(PATIENCE);
    let log = process.log();
    assert_eq!(ended.code(), Some(status), "{log}");
    calm(&log);
    let reasons: Vec<_> = log.lines().filter(|line| line.starts_with("tapline: ")).collect();
    assert_eq!(reasons.len(), 1, "not one line: {log}");
    assert_eq!(log.lines().last(), reasons.first().copied(), "{log}");
    reasons[0].to_owned()
}

pub(crate) fn calm(log: &str) {
    for word in ["panicked", "RUST_BACKTRACE", " ERROR "] {
        assert!(!log.contains(word), "{log}");
    }
}

#[track_caller]
pub(crate) fn says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is missing: {line}");
    }
}

/// A directory that every user may write, with the program in it: nobody may not look into a developer's tree.
pub(crate) fn public_directory(host: &Namespace) -> (PathBuf, PathBuf) {
    let directory = host.path("public");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(directory.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    let program = directory.join("tapline");
    fs::copy(tapline().get_program(), &program).unwrap();
    (directory, program)
}

/// `program` as a user with no rights at all.
pub(crate) fn as_nobody(program: &std::path::Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).arg(program);
    command.env_remove("SSH_AUTH_SOCK").env_remove("XDG_RUNTIME_DIR").env("HOME", "/nonexistent");
    command
}
