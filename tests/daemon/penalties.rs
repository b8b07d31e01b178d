//! Many links to one server that holds refused log-ins against their address.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tapline_tests::{Sshd, are_met, eventually, sshd, wait_until};

use crate::sites::{Daemon, Sites};

/// In front of a server without it: `PerSourcePenalties authfail:5s min:15s max:600s` of OpenSSH 10, for one source.
#[derive(Default)]
struct Penalties {
    /// When what is held against the source runs off, and whether it is shut out until then.
    account: Mutex<(Option<Instant>, bool)>,
    refused: AtomicU32,
    shut_out: AtomicU32,
}

impl Penalties {
    fn admits(&self) -> bool {
        let mut account = self.account.lock().unwrap();
        if account.0.is_none_or(|expiry| expiry <= Instant::now()) {
            *account = (None, false);
        }
        !account.1
    }

    fn penalise(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
        let now = Instant::now();
        let mut account = self.account.lock().unwrap();
        let expiry = account.0.map_or(now, |expiry| expiry.max(now)) + Duration::from_secs(5);
        let expiry = expiry.min(now + Duration::from_secs(600));
        let active = account.1 || expiry - now > Duration::from_secs(15);
        *account = (Some(expiry), active);
    }

    /// Serves until the test ends.
    fn serve(self: &Arc<Self>, listener: TcpListener, server: &Arc<Sshd>) {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !self.admits() {
                self.shut_out.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"Not allowed at this time\r\n");
                continue;
            }
            let (penalties, server) = (Arc::clone(self), Arc::clone(server));
            thread::spawn(move || {
                let Ok(onward) = TcpStream::connect("192.0.2.1:22") else { return };
                let port = onward.local_addr().unwrap().port();
                let there = copy(&stream, &onward);
                let _ = copy(&onward, &stream).join();
                let _ = there.join();
                if !accepted(&server, port) {
                    penalties.penalise();
                }
            });
        }
    }
}

fn accepted(server: &Sshd, port: u16) -> bool {
    let log = server.log();
    log.lines().any(|line| line.contains("Accepted publickey") && line.contains(&format!("port {port} ")))
}

fn copy(from: &TcpStream, to: &TcpStream) -> thread::JoinHandle<()> {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    })
}

#[test]
fn n8_twenty_links_to_one_server_are_never_penalised() {
    if !are_met(&["sshd"]) {
        return;
    }
    let sites = Sites::new();
    // The key is not there yet.
    let server =
        sshd(&sites.berlin, &sites.keys, &sites.keys.public("stranger"), "PermitTunnel yes\nMaxStartups 100");
    let server = Arc::new(server);
    let penalties = Arc::new(Penalties::default());
    let listener = sites.berlin.enter(|| TcpListener::bind("192.0.2.1:2222").unwrap());
    let proxy = (Arc::clone(&penalties), Arc::clone(&server));
    sites.berlin.enter(move || thread::spawn(move || proxy.0.serve(listener, &proxy.1)));

    let link = sites.link("");
    let links: Vec<_> = (0..20).map(|number| format!("  link{number}: {link}\n")).collect();
    let daemon = Daemon::start(&sites.leipzig, &format!("links:\n{}", links.concat()));
    let refused = || penalties.refused.load(Ordering::SeqCst);
    let shut_out = || penalties.shut_out.load(Ordering::SeqCst);
    eventually("several refusals", || refused() >= 6);
    assert_eq!(shut_out(), 0);

    sites.berlin.write("authorized_keys", &format!("{}\n", sites.keys.public("id")));
    wait_until("all links are up", Duration::from_secs(60), || daemon.process.count(": up device=") == 20);
    assert_eq!(shut_out(), 0, "{} refusals", refused());
    daemon.stop();
}
