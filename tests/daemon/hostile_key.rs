//! One authorised key that does its worst, and strangers: another key's link does not notice.
//!
//! `id` is the key of the hostile host leipzig; `stranger` that of dresden, which only wants its link.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use tapline_tests::{Keys, Namespace, Process, Ssh, are_met, eventually, veth};

use crate::kernel_state::has_carrier;
use crate::sites::{Daemon, Sites, run};

struct Scene {
    sites: Sites,
    /// 198.51.100.2, with 198.51.100.1 on berlin.
    dresden: Namespace,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { sites: Sites::new(), dresden: Namespace::new("dresden") };
        veth((&scene.dresden, "eth0", "198.51.100.2/24"), (&scene.sites.berlin, "eth2", "198.51.100.1/24"));
        scene
    }

    /// Berlin's server, which may open so many files; `server` are further keys of its section.
    fn server(&self, files: u32, server: &str) -> Daemon {
        let configuration = format!(
            "{}    dresden: {{public-key: {}, addresses: [10.78.0.1/24]}}\n",
            self.sites.server_section("addresses: [10.77.0.1/24]"),
            self.sites.keys.public("stranger"),
        )
        .replace("listen: [192.0.2.1:2222]", "listen: [0.0.0.0:2222]")
        .replace("  permit-tunnel:", &format!("{server}  permit-tunnel:"));
        let program = run(&self.sites.berlin, &configuration);
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile=64:{files}")).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut daemon = Daemon::begin_with(&self.sites.berlin, &mut command);
        daemon.becomes_ready();
        daemon
    }

    /// Logs in and asks for nothing.
    fn idle(&self) -> Process {
        Ssh::new(&self.sites.leipzig, &self.sites.keys.path("id")).option("Port=2222").start("root@192.0.2.1")
    }

    fn hostile(&self, words: &str) -> Process {
        Ssh::new(&self.sites.leipzig, &self.sites.keys.path("id"))
            .option("Port=2222")
            .option("Tunnel=ethernet")
            .start(words)
    }

    /// Dresden's link comes up and carries.
    fn others_link(&self) -> Process {
        let ssh = Ssh::new(&self.dresden, &self.sites.keys.path("stranger"))
            .option("Port=2222")
            .option("Tunnel=ethernet")
            .start("-w 0:any root@198.51.100.1");
        eventually("dresden's link", || self.dresden.has_interface("tap0"));
        self.dresden.run("ip address add 10.78.0.2/24 dev tap0");
        self.dresden.run("ip link set tap0 up");
        self.pings();
        ssh
    }

    fn pings(&self) {
        eventually("a ping of dresden's", || self.dresden.succeeds("ping -c1 -W1 10.78.0.1"));
    }
}

fn open_files(process: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap().count()
}

/// In the log of a server, the lines that say this of an address.
fn lines(server: &Daemon, words: &str, address: &str) -> usize {
    server.process.log().lines().filter(|line| line.contains(words) && line.contains(address)).count()
}

#[test]
fn t3_hand_overs_of_one_key_make_no_other_wait() {
    if !are_met(&["ssh", "prlimit"]) {
        return;
    }
    let scene = Scene::new();
    let mut server = scene.server(1024, "");
    // Each has the tunnel, stops to answer and to read, and is followed by the next; and all that are refused ask again
    // and again as long as they live.
    let mut crowd = Vec::new();
    for number in 0..9 {
        let native = format!("-w any:any a{number}@192.0.2.1");
        let holder = scene.hostile(&native);
        crowd.push(holder);
        crowd.push(scene.hostile(&native));
        if let Some(process) = crowd.get(2 * number) {
            process.signal(Signal::SIGSTOP);
        }
    }
    let other = scene.others_link();
    for process in &crowd {
        process.signal(Signal::SIGSTOP);
    }
    scene.pings();
    // Another key of the same kind comes and goes while the hostile one's requests wait.
    drop(other);
    let _other = scene.others_link();
    assert!(server.process.is_running());
    drop(crowd);
    scene.pings();
    server.stop();
}

#[test]
fn t4_idle_log_ins_of_one_key_are_bounded_and_end() {
    if !are_met(&["ssh", "prlimit"]) {
        return;
    }
    let scene = Scene::new();
    let server = scene.server(256, "");
    let memory = server.process.resident();
    let limit = fs::read_to_string(format!("/proc/{}/limits", server.process.pid())).unwrap();
    assert!(limit.lines().any(|line| line.starts_with("Max open files") && line.contains("256 ")), "{limit}");
    let before_them = scene.others_link();
    let mut idle: Vec<Process> = Vec::new();
    for _ in 0..40 {
        idle.push(scene.idle());
    }
    eventually("every one of them has tried", || {
        lines(&server, "Accepted publickey", "192.0.2.2") + lines(&server, "drop connection", "192.0.2.2")
            >= 30
    });
    let files = open_files(&server.process);
    assert!(files < 200, "{files} open files");
    scene.pings();
    drop(before_them);
    let _again = scene.others_link();
    // What has no tunnel goes by itself.
    eventually("all idle sessions end", || idle.iter_mut().all(|ssh| !ssh.is_running()));
    let grown = server.process.resident().saturating_sub(memory);
    assert!(grown < 64 << 10, "{grown} KiB more");
    scene.pings();
    server.stop();
}

#[test]
fn t4_connections_that_do_not_log_in_keep_nobody_out() {
    if !are_met(&["ssh", "prlimit"]) {
        return;
    }
    let scene = Scene::new();
    let mut server = scene.server(512, "");
    for host in 10..30 {
        scene.sites.leipzig.run(&format!("ip address add 192.0.2.{host}/24 dev eth0"));
    }
    let known = scene.others_link();
    // From one address: ten of them stay.
    let connect = |from: &str| {
        let local = SockaddrIn::from(SocketAddrV4::new(from.parse().unwrap(), 0));
        let server = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 2222));
        scene.sites.leipzig.enter(|| {
            let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
            bind(socket.as_raw_fd(), &local).unwrap();
            socket::connect(socket.as_raw_fd(), &server).unwrap();
            let mut stream = TcpStream::from(socket);
            let _ = stream.write_all(b"SSH-2.0-nothing\r\n");
            stream
        })
    };
    let mut held: Vec<TcpStream> = (0..100).map(|_| connect("192.0.2.2")).collect();
    eventually("the rest is dropped", || lines(&server, "past", "192.0.2.2") > 0);
    // A key that has never been here logs in from another address all the same.
    let fresh = Ssh::new(&scene.dresden, &scene.sites.keys.path("id"))
        .option("Port=2222")
        .option("Tunnel=ethernet")
        .start("-w any:any root@198.51.100.1");
    eventually("a key that was not here before", || has_carrier(&scene.sites.berlin, "tap1"));
    drop(fresh);
    // And from as many addresses as one likes: the hosts whose keys are known have a reserve.
    for host in 10..30 {
        held.extend((0..10).map(|_| connect(&format!("192.0.2.{host}"))));
    }
    eventually("all rooms are full", || lines(&server, "past MaxStartups", "192.0.2.") > 0);
    assert!(open_files(&server.process) < 512);
    scene.pings();
    drop(known);
    let _again = scene.others_link();
    drop(held);
    assert!(server.process.is_running());
    server.stop();
}

/// Attempts with a key that nobody knows, from this address of leipzig's.
fn fail_from(scene: &Scene, address: &str, attempts: usize) -> Process {
    let mut last = None;
    for _ in 0..attempts {
        let mut ssh = Ssh::new(&scene.sites.leipzig, &scene.sites.keys.path("unknown"))
            .option("Port=2222")
            .start(&format!("-b {address} root@192.0.2.1"));
        ssh.ended();
        last = Some(ssh);
    }
    last.unwrap()
}

#[test]
fn t9_penalties_are_as_wide_as_configured_and_spare_the_exempt() {
    if !are_met(&["ssh", "prlimit"]) {
        return;
    }
    for (options, neighbour_waits, culprit_waits) in [
        ("", false, true),
        ("  per-source-net-block-size: \"24\"\n", true, true),
        (
            "  per-source-net-block-size: \"24:64\"\n  per-source-penalty-exempt-list: [192.0.2.3]\n",
            false,
            true,
        ),
        ("  per-source-penalty-exempt-list: [192.0.2.0/24]\n", false, false),
        ("  per-source-net-block-size: \"31:128\"\n", true, true),
    ] {
        let mut scene = Scene::new();
        scene.sites.keys = Keys::new(&["host", "id", "stranger", "unknown"]);
        scene.sites.leipzig.run("ip address add 192.0.2.3/24 dev eth0");
        let mut server = {
            let server = scene.server(1024, options);
            // The harness switches them off.
            let file = scene.sites.berlin.path("tapline.yaml");
            let with = fs::read_to_string(&file)
                .unwrap()
                .replace("per-source-penalties: false", "per-source-penalties: true");
            fs::write(file, with).unwrap();
            server.process.signal(Signal::SIGHUP);
            server
        };
        server.becomes_ready();
        // Ssh says "Not allowed at this time" of what the server sends before its version.
        let mut kept_out = false;
        for _ in 0..8 {
            let ssh = fail_from(&scene, "192.0.2.2", 1);
            kept_out |= ssh.has_said("Not allowed at this time");
        }
        assert_eq!(kept_out, culprit_waits, "{options}");
        let good = Ssh::new(&scene.sites.leipzig, &scene.sites.keys.path("id"))
            .option("Port=2222")
            .option("Tunnel=ethernet")
            .start("-b 192.0.2.3 -w any:any root@192.0.2.1");
        eventually("an answer for the neighbour", || {
            good.has_said("Not allowed at this time") || has_carrier_of(&scene.sites.berlin)
        });
        assert_eq!(good.has_said("Not allowed at this time"), neighbour_waits, "{options}: {}", good.log());
        server.stop();
    }
}

fn has_carrier_of(host: &Namespace) -> bool {
    host.has_interface("tap0") && has_carrier(host, "tap0")
}

#[test]
fn t12_the_log_has_room_for_every_source() {
    if !are_met(&["ssh", "prlimit"]) {
        return;
    }
    let scene = Scene::new();
    let mut server = scene.server(1024, "");
    // Each says that it speaks no SSH, from one address.
    scene.sites.leipzig.enter(|| {
        for _ in 0..200 {
            if let Ok(mut stream) = TcpStream::connect("192.0.2.1:2222") {
                let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
            }
        }
    });
    scene.dresden.enter(|| {
        let mut stream = TcpStream::connect("198.51.100.1:2222").unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    });
    eventually("the other source is in the log", || {
        lines(&server, "Bad protocol version", "198.51.100.2") == 1
    });
    server.process.wait_for("more lines of the last 10s left out, about connections from 192.0.2.2");
    let loud = lines(&server, "Bad protocol version", "192.0.2.2");
    assert!(loud <= 60, "{loud} lines");
    assert!(server.process.is_running());
    server.stop();
}
