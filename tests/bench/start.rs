//! How long a link takes from nothing to the first answer.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use tapline_tests::{Namespace, Process};

use crate::measures::Figures;
use crate::options::Subject;
use crate::pair::{OVERLAY_BROADCAST, Underlay, Workshop, prepare_taps};
use crate::results::Figure;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 9001;

/// A server that waits, and a client that is not running yet.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) subject: Subject,
    _listener: Process,
    client: Namespace,
    server: Namespace,
}

impl Starting {
    /// Of a subject that suits the measure. What OpenSSH leaves to the administrator is done before: the taps are
    /// there, with their addresses.
    pub(crate) fn new(workshop: &Workshop, subject: Subject) -> Self {
        let [client, server] = workshop.hosts(subject, Underlay::Free);
        let listener = if subject == Subject::Native {
            workshop.run(&server)
        } else {
            prepare_taps(&client, &server);
            workshop.sshd(&server)
        };
        Self { subject, _listener: listener, client, server }
    }

    pub(crate) fn measure(&self, workshop: &Workshop) -> Figures {
        let question = Question::new(&self.client, &self.server);
        let start = Instant::now();
        let mut client = if self.subject == Subject::Native {
            workshop.connect(&self.client)
        } else {
            workshop.ssh(&self.client, "0:0")
        };
        while !question.ask() {
            assert!(start.elapsed() < PATIENCE, "no answer from {} yet", self.subject);
            assert!(client.is_running(), "the client of {} has ended", self.subject);
            thread::sleep(INTERVAL);
        }
        let seconds = start.elapsed().as_secs_f64();
        client.terminate();
        vec![(Figure::less("start", "s"), seconds)]
    }
}

/// Asks and answers by broadcast, which needs no ARP: a request that is lost before the link is up would be repeated only
/// a second later, and what a server remembers of the client's former tap would be believed for longer still.
struct Question {
    client: UdpSocket,
    server: UdpSocket,
}

impl Question {
    fn new(client: &Namespace, server: &Namespace) -> Self {
        // The client hears its own broadcast too, on the port that it is sent to.
        let [client, server] = [(client, 0), (server, PORT)].map(|(host, port)| {
            let socket = host.enter(|| UdpSocket::bind(("0.0.0.0", port))).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.set_broadcast(true).unwrap();
            socket
        });
        Self { client, server }
    }

    /// Asks once more, answers what has been asked before, and returns whether an answer has come.
    fn ask(&self) -> bool {
        let mut byte = [0];
        // Without a link there is no route, or no carrier.
        let _ = self.client.send_to(&byte, (OVERLAY_BROADCAST, PORT));
        while let Ok((_, from)) = self.server.recv_from(&mut byte) {
            let _ = self.server.send_to(&byte, (OVERLAY_BROADCAST, from.port()));
        }
        self.client.recv(&mut byte).is_ok()
    }
}
