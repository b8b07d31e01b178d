//! As people use it: logs that nobody reads, terminals that close, programs that are killed.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tapline_tests::{Namespace, Process, are_met, eventually, sshd, tapline, wait_until};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites, calm};

fn pings(host: &Namespace, address: &str) {
    eventually(&format!("a ping to {address}"), || host.succeeds(&format!("ping -c1 -W1 {address}")));
}

/// A shell that does this, or has its errors go to `argument`, before it becomes the command.
fn after(script: &str, argument: &Path, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    let script = if script.is_empty() { "exec 2>\"$0\";" } else { script };
    shell.args(["-c", &format!("{script} exec \"$@\"")]).arg(argument);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn u3_a_log_that_cannot_be_written_ends_and_changes_nothing() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sites.server();
    let before = KernelState::of(leipzig);
    let fifo = leipzig.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let open = || OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let full = Path::new("/dev/full");
    let unread = Some(fifo.as_path());
    let mut connect = sites.connect("id", &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1");
    connect.args(["--address", "10.77.0.2/24"]);
    // Enough of it to fill a pipe.
    connect.env("TAPLINE_LOG", "trace");

    for (what, script, file) in [
        ("a full disk", "", full),
        ("closed", "exec 2>&-;", full),
        ("all closed", "exec 0<&- 1>&- 2>&-;", full),
        ("a reader that does not read", "", &fifo),
        ("a reader that goes", "", &fifo),
    ] {
        let reader = (unread == Some(file)).then(open);
        let mut process = leipzig.start(what, &mut after(script, file, &connect));
        eventually(&format!("{what}: the link"), || {
            assert!(process.is_running(), "{what}: it has ended");
            has_carrier(leipzig, "tap0")
        });
        let reader = reader.filter(|_| what != "a reader that goes");
        pings(leipzig, "10.77.0.1");
        assert!(process.is_running(), "{what}");
        assert_eq!(process.terminate().code(), Some(0), "{what}");
        before.is_back(leipzig);
        drop(reader);
    }
    // Words for people alone: what fails says so by its status.
    for (status, arguments) in
        [(2, vec!["check", "-c", "/missing.yaml"]), (1, vec!["connect", "-F", "none", "--once", "::1"])]
    {
        let mut command = tapline();
        command.args(arguments).env_remove("SSH_AUTH_SOCK");
        let mut command = after("", full, &command);
        let ended = leipzig.start("a failure", &mut command).ended_within(Duration::from_secs(20));
        assert!([Some(status), Some(255)].contains(&ended.code()), "{ended}");
    }
    server.stop();
}

/// Commands of this host share a `/run` of their own.
struct Desk<'a> {
    sites: &'a Sites,
    run: PathBuf,
}

impl<'a> Desk<'a> {
    fn new(sites: &'a Sites) -> Self {
        let run = sites.leipzig.path("run");
        fs::create_dir_all(&run).unwrap();
        Self { sites, run }
    }

    /// `tapline connect` that is told of no state directory.
    fn connect(&self, more: &[&str], host: &str) -> Command {
        let mut command = tapline();
        command.args(["connect", "-F", "none", "-p", "2222", "-i"]).arg(self.sites.keys.path("id"));
        let known_hosts = format!("UserKnownHostsFile={}", self.sites.leipzig.path("known_hosts").display());
        for option in [
            "StrictHostKeyChecking=accept-new",
            "GlobalKnownHostsFile=none",
            "IdentityAgent=none",
            &known_hosts,
        ] {
            command.args(["-o", option]);
        }
        command.args(more).arg(format!("root@{host}"));
        self.at(&command)
    }

    fn at(&self, command: &Command) -> Command {
        let mut inside = Command::new("unshare");
        inside.args(["-m", "sh", "-c", "mount --bind \"$0\" /run && exec \"$@\""]).arg(&self.run);
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }

    fn start(&self, more: &[&str]) -> Process {
        let ups = ": up device=";
        let mut process = self.sites.leipzig.start("tapline connect", &mut self.connect(more, "192.0.2.1"));
        process.wait_for(ups);
        process
    }

    /// Directories of `connect`s.
    fn records(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.run.join("tapline")) else { return 0 };
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("connect-"))
            .count()
    }
}

#[test]
fn u4_what_a_killed_connect_has_left_goes_with_the_next_start_of_anything() {
    if !are_met(&["unshare"]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sites.server();
    let before = KernelState::of(leipzig);
    let desk = Desk::new(&sites);

    // An end as it should be leaves nothing.
    let mut process = desk.start(&["--bridge", "br-desk"]);
    assert_eq!(desk.records(), 1);
    assert_eq!(process.terminate().code(), Some(0));
    assert_eq!(desk.records(), 0);
    before.is_back(leipzig);
    // Nor does one that never came about.
    let refused = leipzig.start("refused", &mut desk.connect(&["-o", "Port=1"], "127.0.0.1")).ended();
    assert!(!refused.success());
    assert_eq!(desk.records(), 0);

    // Nobody answers there, but the bridge is there.
    let kill = |signal: Signal| {
        let mut connect = desk.connect(&["--bridge", "br-desk"], "192.0.2.99");
        let mut process = leipzig.start("tapline connect", &mut connect);
        eventually("the bridge", || leipzig.has_interface("br-desk") && desk.records() > 0);
        eventually("its port", || leipzig.run("bridge link").contains("br-desk"));
        process.signal(signal);
        process.ended();
    };
    for signal in [Signal::SIGKILL, Signal::SIGQUIT, Signal::SIGABRT, Signal::SIGUSR1] {
        kill(signal);
        assert_eq!(desk.records(), 1, "those before are gone");
        assert!(leipzig.has_interface("br-desk"));
    }
    // Another `connect` that wants nothing of it.
    let mut process = desk.start(&[]);
    assert!(!leipzig.has_interface("br-desk"));
    assert_eq!(desk.records(), 1);
    // A daemon, beside one that lives: its record stays.
    kill(Signal::SIGKILL);
    assert_eq!(desk.records(), 2);
    let configuration = leipzig.write("tapline.yaml", "bridges: {}\n");
    let mut run = tapline();
    run.args(["run", "-c"]).arg(configuration).arg("--state-dir").arg(leipzig.path("state"));
    let mut daemon = leipzig.start("tapline run", &mut desk.at(&run));
    eventually("the bridge goes", || !leipzig.has_interface("br-desk"));
    eventually("its record goes", || desk.records() == 1);
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(process.is_running() && has_carrier(leipzig, "tap0"));
    assert_eq!(process.terminate().code(), Some(0));
    assert_eq!(desk.records(), 0);
    before.is_back(leipzig);
    server.stop();
}

#[test]
fn u5_a_terminal_that_is_closed_ends_connect() {
    if !are_met(&["script", "nohup", "setsid"]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sites.server();
    let before = KernelState::of(leipzig);
    let connect = || {
        let mut command = sites.connect("id", &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1");
        command.args(["--address", "10.77.0.2/24"]);
        command
    };
    // What the kernel and the shell send.
    let mut process = leipzig.start("tapline connect", &mut connect());
    process.wait_for(": up device=");
    process.signal(Signal::SIGHUP);
    assert_eq!(process.ended().code(), Some(0));
    calm(&process.log());
    before.is_back(leipzig);

    // A terminal, which is gone with the program that holds it.
    let words: Vec<_> = connect().get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qfc", &format!("exec {}", words.join(" ")), "/dev/null"]);
    let mut terminal = leipzig.start("a terminal", &mut terminal);
    eventually("the link", || has_carrier(leipzig, "tap0"));
    terminal.signal(Signal::SIGKILL);
    terminal.ended();
    eventually("the device goes with the terminal", || !leipzig.has_interface("tap0"));
    before.is_back(leipzig);

    // What was told to stay does.
    let mut nohup = Command::new("nohup");
    nohup.args(connect().get_args());
    let mut process = leipzig.start("nohup tapline connect", &mut nohup);
    process.wait_for(": up device=");
    process.signal(Signal::SIGHUP);
    pings(leipzig, "10.77.0.1");
    assert!(process.is_running());
    assert_eq!(process.terminate().code(), Some(0));
    before.is_back(leipzig);

    // The daemon reads its configuration again.
    let mut daemon = Daemon::start(leipzig, "bridges: {}\n");
    daemon.process.signal(Signal::SIGHUP);
    daemon.becomes_ready();
    daemon.stop();
    server.stop();
}

/// README's own line for ssh, and what stands below it.
#[test]
fn n20_readmes_line_for_ssh_and_its_replacement_give_the_same_device() {
    if !are_met(&["ssh", "sshd"]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sshd(&sites.berlin, &sites.keys, &sites.keys.public("id"), "PermitTunnel yes");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let line = |start: &str| {
        let line = readme.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        let words =
            line.split_whitespace().skip(1).map(|word| word.replace("berlin.example.org", "192.0.2.1"));
        words.collect::<Vec<_>>()
    };
    let known_hosts = format!("UserKnownHostsFile={}", leipzig.path("known_hosts").display());
    let options =
        ["-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes", "-o", &known_hosts];
    let device = |name: &str| {
        eventually(&format!("tap0 of {name}"), || {
            sites.berlin.has_interface("tap0") && leipzig.has_interface("tap0")
        });
        assert!(!leipzig.has_interface("tun0"));
        let shown = leipzig.run("ip -d link show tap0");
        assert!(shown.contains("tun type tap"), "{shown}");
    };

    let mut ssh = Command::new("ssh");
    ssh.args(options)
        .arg("-i")
        .arg(sites.keys.path("id"))
        .args(line("# the client:  "))
        .env_remove("SSH_AUTH_SOCK");
    let mut ssh = leipzig.start("ssh", &mut ssh);
    device("ssh");
    ssh.signal(Signal::SIGTERM);
    ssh.ended();
    eventually("ssh's devices go", || !leipzig.has_interface("tap0") && !sites.berlin.has_interface("tap0"));

    let mut connect = tapline();
    let mut words = line("tapline connect ");
    words.insert(0, "-w".to_owned());
    connect.arg("connect").args(options).arg("-i").arg(sites.keys.path("id"));
    connect.arg("--state-dir").arg(leipzig.path("state-connect")).args(words).env_remove("SSH_AUTH_SOCK");
    let mut connect = leipzig.start("tapline connect", &mut connect);
    device("tapline");
    eventually("its addresses", || {
        Interface::of(leipzig, "tap0").addresses() == ["10.77.0.2/24", "fd77::2/64"]
    });
    assert_eq!(connect.terminate().code(), Some(0));
    drop(server);
}

#[test]
fn u10_signs_that_trying_may_help_end_the_wait() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    // A server that does not know the key.
    let stranger = sites
        .server_section("addresses: [10.77.0.1/24]")
        .replace(&sites.keys.public("id"), &sites.keys.public("stranger"));
    let server = Daemon::start(&sites.berlin, &stranger);
    let key = leipzig.path("key");
    fs::copy(sites.keys.path("id"), &key).unwrap();
    let link = sites.link(", addresses: [10.77.0.2/24]");
    let link = link.replace(sites.keys.path("id").to_str().unwrap(), key.to_str().unwrap());
    let daemon = Daemon::start(leipzig, &format!("links:\n  berlin: {link}\n"));
    eventually("it is refused", || daemon.process.has_said("permission denied"));

    // The client says the same thing once; the server tells of each attempt that has ended.
    let attempts = || server.process.count("[preauth]");
    let again = |what: &str, sign: &dyn Fn()| {
        let before = attempts();
        sign();
        // The wait that is ended has 33 s at the least.
        wait_until(what, Duration::from_secs(25), || attempts() > before);
    };
    eventually("the first attempt has ended", || attempts() > 0);
    again("a SIGHUP", &|| daemon.process.signal(Signal::SIGHUP));
    again("a key that was replaced", &|| {
        fs::copy(sites.keys.path("id"), leipzig.path("key.new")).unwrap();
        fs::rename(leipzig.path("key.new"), &key).unwrap();
    });
    again("a certificate that has come", &|| {
        fs::write(leipzig.path("key-cert.pub"), sites.keys.public("id")).unwrap();
    });
    again("an interface that comes up", &|| {
        leipzig.run("ip link add eth5 type veth peer name peer5");
        leipzig.run("ip link set peer5 up");
        leipzig.run("ip link set eth5 up");
    });
    again("known hosts that were edited", &|| {
        let known = fs::read_to_string(leipzig.path("known_hosts")).unwrap();
        fs::write(leipzig.path("known_hosts"), format!("# edited\n{known}")).unwrap();
    });
    daemon.stop();
    server.stop();
}

/// A terminal on which a command runs; what is typed goes through a pipe.
struct Typed {
    process: Process,
    keyboard: fs::File,
}

impl Typed {
    fn start(host: &Namespace, name: &str, command: &Command) -> Self {
        let fifo = host.path(&format!("keyboard-{name}"));
        let _ = fs::remove_file(&fifo);
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let keyboard = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let words: Vec<_> = command.get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let program = command.get_program().to_str().unwrap();
        let line = format!("exec {program} {}", words.join(" "));
        let mut terminal = Command::new("sh");
        terminal.args(["-c", "exec script -qefc \"$1\" /dev/null < \"$0\""]).arg(&fifo).arg(line);
        terminal.env_remove("SSH_AUTH_SOCK");
        Self { process: host.start(name, &mut terminal), keyboard }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }
}

/// Each question that a person is asked: one Ctrl-C ends, as with ssh, and leaves nothing.
#[test]
fn a_users_day_ctrl_c_at_every_prompt_ends_connect_and_leaves_nothing() {
    if !are_met(&["script", "sshd", "ssh-keygen"]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sshd(
        &sites.berlin,
        &sites.keys,
        &sites.keys.public("id"),
        "PermitTunnel yes\nKbdInteractiveAuthentication no\nPasswordAuthentication yes",
    );
    let before = KernelState::of(leipzig);
    let locked = leipzig.path("locked");
    fs::copy(sites.keys.path("id"), &locked).unwrap();
    let mut lock = Command::new("ssh-keygen");
    lock.args(["-q", "-p", "-P", "", "-N", "secret", "-f"]).arg(&locked);
    assert!(leipzig.output(&mut lock).status.success());
    let known_hosts = leipzig.path("known_hosts");
    let connect = |key: &Path, more: &[&str]| {
        let mut command = tapline();
        command.args(["connect", "-F", "none", "-i"]).arg(key).args(["-o", "IdentityAgent=none"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
        command.args(["-o", "GlobalKnownHostsFile=none", "--address", "10.77.0.2/24", "--state-dir"]);
        command.arg(leipzig.path("state-connect")).args(more).arg("root@192.0.2.1");
        command
    };
    let stranger = sites.keys.path("stranger");
    let new = ["-o", "StrictHostKeyChecking=accept-new"];
    let password = ["-o", "StrictHostKeyChecking=accept-new", "-o", "PubkeyAuthentication=no"];
    for (name, command, question) in [
        ("host key", connect(&sites.keys.path("id"), &["-o", "StrictHostKeyChecking=ask"]), "fingerprint"),
        ("passphrase", connect(&locked, &new), "passphrase"),
        ("password", connect(&stranger, &password), "password"),
        ("password after a key", connect(&stranger, &new), "password"),
    ] {
        let mut typed = Typed::start(leipzig, &name.replace(' ', "-"), &command);
        typed.process.wait_for(question);
        typed.types("\u{3}");
        let status = typed.process.ended_within(Duration::from_secs(20));
        assert!(status.code().is_some(), "{name}: {status}");
        eventually("the device goes", || !leipzig.has_interface("tap0"));
        before.is_back(leipzig);
        calm(&typed.process.log());
    }
    // And with the right answer the link comes up; Ctrl-C ends it too.
    let mut typed = Typed::start(leipzig, "answered", &connect(&locked, &new));
    typed.process.wait_for("passphrase");
    typed.types("secret\r");
    eventually("the link", || has_carrier(leipzig, "tap0"));
    typed.types("\u{3}");
    assert_eq!(typed.process.ended().code(), Some(0));
    before.is_back(leipzig);
    drop(server);
}

#[test]
fn u13_a_local_command_runs_after_each_up_where_it_is_permitted() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    let server = sites.server();
    let said = leipzig.path("said");
    let lines =
        || fs::read_to_string(&said).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let command = format!("echo %T 100%% %r@%h:%p >> {}", said.display());
    let local = format!("LocalCommand={command}");
    let connect = |permit: &str| {
        let options = ["StrictHostKeyChecking=accept-new", permit, &local];
        let mut process =
            leipzig.start("tapline connect", &mut sites.connect("id", &options, "root@192.0.2.1"));
        process.wait_for(": up device=");
        pings_once_up(leipzig);
        process
    };
    let mut process = connect("PermitLocalCommand=no");
    assert_eq!(process.terminate().code(), Some(0));
    assert!(lines().is_empty(), "not permitted");
    let mut process = connect("PermitLocalCommand=yes");
    eventually("the command", || lines() == ["tap0 100% root@192.0.2.1:2222"]);
    assert_eq!(process.terminate().code(), Some(0));

    // In YAML it is its own permission, and runs again after the link was broken.
    fs::remove_file(&said).unwrap();
    let link = |command: &str| {
        format!(
            "links:\n  berlin: {}\n",
            sites.link(&format!(", tunnel-device: 7, local-command: '{command}'"))
        )
    };
    let daemon = Daemon::start(leipzig, &link(&command));
    eventually("the command", || lines() == ["tap7 100% root@192.0.2.1:2222"]);
    server.kill();
    eventually("the carrier goes", || !has_carrier(leipzig, "tap7"));
    let server = sites.server();
    eventually("the command, once more", || lines().len() == 2);
    daemon.stop();
    // One that fails, or does not end, is its own trouble.
    for command in ["exit 3", "kill -9 $$", "exec sleep 1000", "no-such-program"] {
        let daemon = Daemon::start(leipzig, &link(command));
        eventually("the link", || has_carrier(leipzig, "tap7"));
        daemon.stop();
    }
    server.stop();
}

fn pings_once_up(host: &Namespace) {
    eventually("the carrier", || has_carrier(host, "tap0"));
}

#[test]
fn u2_a_dial_into_nothing_ends_and_a_silent_peer_is_noticed_by_default() {
    if !are_met(&["ssh-keygen"]) {
        return;
    }
    let sites = Sites::new();
    let leipzig = &sites.leipzig;
    // Hosts that swallow everything.
    for last in ["98", "99"] {
        leipzig.run(&format!("ip neigh add 192.0.2.{last} lladdr 02:00:00:00:00:{last} dev eth0"));
    }
    let options = ["StrictHostKeyChecking=accept-new", "BatchMode=yes"];
    let mut connect = sites.connect("id", &options, "root@192.0.2.99");
    let log = {
        let mut process = leipzig.start("tapline connect", &mut connect);
        let ended = process.ended_within(Duration::from_secs(30));
        assert!(!ended.success());
        process.log()
    };
    assert!(log.contains("no answer from 192.0.2.99 port 2222 within 10 s"), "{log}");

    let server = sites.server();
    let link = sites.link(", addresses: [10.77.0.2/24]");
    let link = link
        .replace("server-alive-interval: 1, server-alive-count-max: 2, ", "")
        .replace("connect-timeout: 3", "address-family: inet");
    let mut daemon = Daemon::start(leipzig, &format!("links:\n  berlin: {link}\n"));
    eventually("a ping", || leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
    // The path is cut, and both ends' interfaces stay up.
    for host in [leipzig, &sites.berlin] {
        let other = if host.name() == "berlin" { "192.0.2.2" } else { "192.0.2.1" };
        host.run(&format!("ip neigh replace {other} lladdr 02:00:00:00:00:01 dev eth0 nud permanent"));
    }
    eventually("both ends notice", || !has_carrier(leipzig, "tap0") && !has_carrier(&sites.berlin, "tap0"));
    daemon.process.wait_for("no answer from 192.0.2.1 port 2222 within 10 s");
    daemon.stop();
    server.stop();
}
