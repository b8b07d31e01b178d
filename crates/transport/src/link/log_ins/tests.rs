use super::*;

/// `srclimit.c` of OpenSSH 10 at its defaults.
#[derive(Default)]
struct Server {
    expiry: u64,
    active: bool,
    connections: Vec<(Duration, bool)>,
}

impl Server {
    /// Whether a connection is let in at all.
    fn admits(&mut self, at: Duration) -> bool {
        if self.expiry <= at.as_secs() {
            (self.expiry, self.active) = (0, false);
        }
        self.connections.push((at, !self.active));
        !self.active
    }

    fn penalise(&mut self, at: Duration, seconds: u64) {
        let now = at.as_secs();
        self.expiry = (self.expiry.max(now) + seconds).min(now + 600);
        self.active |= self.expiry - now > 15;
    }
}

/// One link: when it asks next, and whether it was refused the last time.
#[derive(Clone, Copy)]
struct Link {
    next: Duration,
    refused: bool,
    up: Option<Duration>,
    good: bool,
}

const STEP: Duration = Duration::from_millis(100);
const LOG_IN: Duration = Duration::from_millis(300);

/// Runs links against the server; `key_is_there` says from when to when keys that are good are taken.
fn run(links: &mut [Link], seconds: u64, key_is_there: impl Fn(Duration) -> bool) -> (Server, LogIns) {
    let start = Instant::now();
    let (mut server, mut log_ins) = (Server::default(), LogIns::default());
    let mut under_way: Vec<(usize, Duration)> = Vec::new();
    let mut at = Duration::ZERO;
    while at < Duration::from_secs(seconds) {
        let ended: Vec<_> = under_way.extract_if(.., |(_, begun)| *begun + LOG_IN <= at).collect();
        for (number, _) in ended {
            if links[number].good && key_is_there(at) {
                log_ins.ended(start + at, Outcome::LoggedIn);
                links[number].up = Some(at);
                for link in links.iter_mut().filter(|link| link.refused && link.up.is_none()) {
                    link.next = link.next.min(at + Duration::from_secs(1));
                }
            } else {
                log_ins.ended(start + at, Outcome::Held(REFUSED));
                server.penalise(at, 5);
                links[number].refused = true;
                links[number].next = at + Duration::from_secs(45);
            }
        }
        for (number, link) in links.iter_mut().enumerate() {
            let busy = under_way.iter().any(|(other, _)| *other == number);
            if link.up.is_none() && !busy && link.next <= at {
                match log_ins.ask(start + at, link.refused) {
                    Turn::Now => {
                        assert!(server.admits(at), "penalised at {at:?}");
                        under_way.push((number, at));
                    }
                    Turn::Later(_) => {}
                }
            }
        }
        at += STEP;
    }
    (server, log_ins)
}

fn links(good: usize, bad: usize) -> Vec<Link> {
    let link = |good| Link { next: Duration::ZERO, refused: false, up: None, good };
    std::iter::repeat_n(link(true), good).chain(std::iter::repeat_n(link(false), bad)).collect()
}

#[test]
fn n8_twenty_links_whose_key_is_away_are_never_penalised_and_leave_room_for_a_person() {
    let returns = Duration::from_secs(180);
    let mut twenty = links(20, 0);
    let (mut server, _) = run(&mut twenty, 300, |at| at > returns);
    for link in &twenty {
        let up = link.up.expect("up again");
        assert!(up - returns < Duration::from_secs(60), "after {:?}", up - returns);
    }
    // After the first minute and before the key is back, somebody may err at any time.
    let mut person = 0;
    let knocks: Vec<Duration> = server.connections.iter().map(|(at, _)| *at).collect();
    for second in 60..180 {
        let at = Duration::from_secs(second);
        let mut seen = Server::default();
        for knock in knocks.iter().filter(|knock| **knock + LOG_IN <= at) {
            seen.admits(*knock + LOG_IN);
            seen.penalise(*knock + LOG_IN, 5);
        }
        assert!(seen.admits(at));
        seen.penalise(at, 5);
        person += u32::from(!seen.active);
    }
    assert_eq!(person, 120, "a person who errs once is let in the next time");
    assert!(server.admits(Duration::from_secs(400)));
}

#[test]
fn n8_good_links_are_not_held_up_by_bad_ones_nor_by_their_number() {
    for (good, bad) in [(1, 0), (20, 0), (10, 1), (10, 10), (1, 19), (64, 3)] {
        let mut all = links(good, bad);
        run(&mut all, 400, |_| true);
        let latest = all.iter().filter(|link| link.good).map(|link| link.up.expect("up")).max();
        let seconds = latest.map_or(0, |at| at.as_secs());
        let most = if bad == 0 { LOG_IN.as_secs() + 10 } else { 30 + 5 * bad as u64 };
        assert!(seconds <= most, "{good} good and {bad} bad: {seconds} s");
    }
}

#[test]
fn n8_a_single_link_is_at_once_heard_and_again_later() {
    let now = Instant::now();
    let mut log_ins = LogIns::default();
    assert_eq!(log_ins.ask(now, false), Turn::Now);
    log_ins.ended(now, Outcome::Held(REFUSED));
    assert_eq!(log_ins.ask(now + Duration::from_secs(45), true), Turn::Now);
    log_ins.ended(now + Duration::from_secs(45), Outcome::NoMatter);
    assert_eq!(log_ins.ask(now + Duration::from_secs(45), true), Turn::Now);
}

#[test]
fn n8_a_door_that_is_shut_is_not_knocked_at_by_everybody() {
    let now = Instant::now();
    let mut log_ins = LogIns::default();
    assert_eq!(log_ins.ask(now, false), Turn::Now);
    log_ins.ended(now, Outcome::ShutOut);
    let Turn::Later(at) = log_ins.ask(now, false) else { panic!("knocks at once") };
    assert!(at >= now + Duration::from_secs(5));
    assert_eq!(log_ins.ask(at, false), Turn::Now);
    assert!(matches!(log_ins.ask(at, false), Turn::Later(_)));
    log_ins.ended(at, Outcome::LoggedIn);
    assert_eq!(log_ins.ask(at + Duration::from_secs(10), false), Turn::Now);
}
