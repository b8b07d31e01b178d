//! Servers that are none.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tapline_tests::{Namespace, are_met};

use crate::kernel_state::KernelState;
use crate::sites::{Sites, fails, says};

/// Something that listens where an SSH server should.
struct Impostor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Impostor {
    /// On 192.0.2.1 port 2222. Connections stay open as long as what `answer` returns.
    fn start<T: 'static>(host: &Namespace, answer: impl Fn(TcpStream) -> T + Send + 'static) -> Self {
        let listener = host.enter(|| TcpListener::bind("192.0.2.1:2222").unwrap());
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        held.push(answer(stream));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// What `tapline connect` says of a server that does this.
fn complaint<T: 'static>(answer: impl Fn(TcpStream) -> T + Send + 'static) -> String {
    let sites = Sites::new();
    let _impostor = Impostor::start(&sites.berlin, answer);
    complaint_of(&sites)
}

fn complaint_of(sites: &Sites) -> String {
    let before = KernelState::of(&sites.leipzig);
    let options = ["StrictHostKeyChecking=accept-new", "ConnectTimeout=2"];
    let line = fails(&sites.leipzig, 255, &mut sites.connect("id", &options, "root@192.0.2.1"));
    before.is_back(&sites.leipzig);
    line
}

#[test]
fn a_web_server_is_told_from_an_ssh_server() {
    if !are_met(&["setsid"]) {
        return;
    }
    let answer = b"HTTP/1.1 400 Bad\x1b[31m Request\r\nServer: example\r\n\r\n";
    let waits = complaint(|mut stream| {
        let _ = stream.write_all(answer);
        stream
    });
    let hangs_up = complaint(|mut stream| {
        let _ = stream.write_all(answer);
        // Hears the client out before it goes, or the kernel sends a reset.
        let _ = stream.shutdown(Shutdown::Write);
        stream
    });
    for line in [waits, hangs_up] {
        says(&line, &["192.0.2.1", "speaks no SSH", "HTTP/1.1 400 Bad", "check the port"]);
        assert!(!line.contains('\x1b'), "{line}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_on() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = complaint(|stream| stream);
    says(&line, &["192.0.2.1", "within 2 s", "check that the port is an SSH server's"]);
}

#[test]
fn a_server_that_hangs_up_at_once_is_reported() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = complaint(drop);
    says(&line, &["192.0.2.1", "closed the connection"]);
}

#[test]
fn a_server_that_hangs_up_in_the_handshake_is_reported() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = complaint(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-Impostor_1.0\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        stream
    });
    says(&line, &["192.0.2.1", "closed the connection", "its log says why"]);
}

#[test]
fn a_server_whose_packets_are_noise_is_reported() {
    if !are_met(&["setsid"]) {
        return;
    }
    let line = complaint(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-Impostor_1.0\r\n");
        let _ = stream.write_all(&[0x5a; 4096]);
        stream
    });
    says(&line, &["192.0.2.1", "handshake"]);
}

#[test]
fn a_port_without_a_server_is_reported_with_every_address_tried() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    sites.berlin.run("ip address add 192.0.2.3/24 dev eth0");
    let line = complaint_of(&sites);
    says(&line, &["192.0.2.1 port 2222", "Connection refused", "check that an SSH server runs there"]);

    // A name with three addresses, in both families.
    let names = sites.leipzig.write(
        "hosts",
        "192.0.2.1 berlin.example.org\n192.0.2.3 berlin.example.org\n::1 berlin.example.org\n",
    );
    let connect = sites.connect("id", &["ConnectTimeout=2"], "root@berlin.example.org");
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""])
        .arg(names)
        .arg(connect.get_program())
        .args(connect.get_args());
    let before = KernelState::of(&sites.leipzig);
    let line = fails(&sites.leipzig, 255, &mut command);
    before.is_back(&sites.leipzig);
    says(&line, &["berlin.example.org port 2222", "192.0.2.1: ", "192.0.2.3: ", "::1: "]);
    assert_eq!(line.matches("Connection refused").count(), 3, "{line}");
}

#[test]
fn a_network_that_is_not_reachable_is_reported() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.leipzig);
    let line = fails(&sites.leipzig, 255, &mut sites.connect("id", &[], "root@198.51.100.7"));
    before.is_back(&sites.leipzig);
    says(&line, &["198.51.100.7", "Network is unreachable"]);
}
