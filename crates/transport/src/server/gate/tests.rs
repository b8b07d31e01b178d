#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        max_startups: MaxStartups { start: 10, rate: 30, full: 100 },
        per_source_max_startups: usize::MAX,
        per_source_penalties: Some(Penalties::default()),
        per_source_penalty_exempt_list: Vec::new(),
        per_source_net_block_size: NetBlockSize::default(),
        max_connections: 1000,
    }
}

fn v4(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 4711))
}

fn v6(text: &str) -> SocketAddr {
    format!("[{text}]:4711").parse().unwrap()
}

const fn id(number: u64) -> SessionId {
    SessionId(number)
}

#[test]
fn drops_grow_from_the_rate_to_certainty() {
    let startups = MaxStartups { start: 10, rate: 30, full: 100 };
    assert!(!startups.drops(9, || 0));
    assert!(startups.drops(10, || 29));
    assert!(!startups.drops(10, || 30));
    // Half way between start and full: 30 + 35 per cent.
    assert!(startups.drops(55, || 64));
    assert!(!startups.drops(55, || 65));
    assert!(startups.drops(100, || 99));
}

#[test]
fn a_full_rate_and_a_start_beyond_full_drop_from_there_on() {
    assert!(MaxStartups { start: 3, rate: 100, full: 100 }.drops(3, || 99));
    let reversed = MaxStartups { start: 5, rate: 30, full: 2 };
    assert!(!reversed.drops(4, || 0));
    assert!(reversed.drops(5, || 99));
}

#[test]
fn an_authenticated_connection_starts_up_no_more() {
    let now = Instant::now();
    let mut gate = Gate::new(Limits { per_source_max_startups: 1, ..limits() });
    let mut first = gate.arrive(now, v4(1), || 99).unwrap();
    assert_eq!(gate.arrive(now, v4(1), || 99).unwrap_err(), Refused::SourceStartups);
    let other = gate.arrive(now, v4(2), || 99).unwrap();
    assert_eq!(gate.authenticated(&mut first, id(1), "key"), Admission::Welcome);
    gate.authenticated(&mut first, id(1), "key");
    assert_eq!(gate.startups(), 1);
    let second = gate.arrive(now, v4(1), || 99).unwrap();
    for ticket in [first, second, other] {
        gate.departed(now, ticket, id(1), Conduct::Good);
    }
    assert_eq!((gate.startups(), gate.connections), (0, 0));
    assert!(gate.startups_of.is_empty());
}

#[test]
fn one_slash_64_is_one_source() {
    let now = Instant::now();
    let mut gate = Gate::new(Limits { per_source_max_startups: 1, ..limits() });
    let _ticket = gate.arrive(now, v6("2001:db8::1"), || 99).unwrap();
    assert_eq!(gate.arrive(now, v6("2001:db8::ffff:0:0:2"), || 99).unwrap_err(), Refused::SourceStartups);
    assert!(gate.arrive(now, v6("2001:db8:0:1::1"), || 99).is_ok());
    let _ticket = gate.arrive(now, v6("::ffff:192.0.2.1"), || 99).unwrap();
    assert_eq!(gate.arrive(now, v4(1), || 99).unwrap_err(), Refused::SourceStartups);
}

#[test]
fn penalties_add_up_and_bite_at_the_minimum() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    for _ in 0..2 {
        let ticket = gate.arrive(now, v4(1), || 99).unwrap();
        gate.departed(now, ticket, id(1), Conduct::AuthFailed);
    }
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, id(1), Conduct::AuthFailed);
    let refused = gate.arrive(now, v4(1), || 99).unwrap_err();
    assert_eq!(refused, Refused::Penalty { reason: "failed authentication", left: 15 * SECOND });
    assert!(gate.arrive(now, v4(2), || 99).is_ok());
    assert!(gate.arrive(now + 14 * SECOND, v4(1), || 99).is_err());
    assert!(gate.arrive(now + 15 * SECOND, v4(1), || 99).is_ok());
}

#[test]
fn a_penalty_is_forgotten_when_it_is_over() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    for attempt in 0..10 {
        let then = now + attempt * 6 * SECOND;
        let ticket = gate.arrive(then, v4(1), || 99).unwrap();
        gate.departed(then, ticket, id(1), Conduct::AuthFailed);
    }
}

#[test]
fn penalties_end_at_the_maximum() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    let tickets: Vec<_> = (0..10).map(|_| gate.arrive(now, v4(1), || 99).unwrap()).collect();
    for ticket in tickets {
        gate.departed(now, ticket, id(1), Conduct::Crash);
    }
    assert!(matches!(
        gate.arrive(now, v4(1), || 99),
        Err(Refused::Penalty { left, .. }) if left == 600 * SECOND
    ));
    assert!(gate.arrive(now + 600 * SECOND, v4(1), || 99).is_ok());
}

#[test]
fn whoever_authenticated_gets_no_penalty() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    for _ in 0..100 {
        let mut ticket = gate.arrive(now, v4(1), || 99).unwrap();
        gate.authenticated(&mut ticket, id(1), "key");
        gate.departed(now, ticket, id(1), Conduct::AuthFailed);
    }
    assert!(gate.arrive(now, v4(1), || 99).is_ok());
}

#[test]
fn penalties_can_be_switched_off() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, id(1), Conduct::Crash);
    assert!(gate.arrive(now, v4(1), || 99).is_err());
    gate.set_limits(Limits { per_source_penalties: None, ..limits() });
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, id(1), Conduct::Crash);
    assert!(gate.arrive(now, v4(1), || 99).is_ok());
}

#[test]
fn t9_the_exempt_are_never_kept_out() {
    let now = Instant::now();
    let list = ["192.0.2.0/25", "2001:db8::7/128"].map(|net| net.parse().unwrap()).to_vec();
    let mut gate = Gate::new(Limits { per_source_penalty_exempt_list: list, ..limits() });
    for (address, is_exempt) in [
        (v4(1), true),
        (v6("::ffff:192.0.2.1"), true),
        (v4(200), false),
        (v6("2001:db8::7"), true),
        (v6("2001:db8:1::7"), false),
    ] {
        let ticket = gate.arrive(now, address, || 99).unwrap();
        gate.departed(now, ticket, id(1), Conduct::Crash);
        assert_eq!(gate.arrive(now, address, || 99).is_ok(), is_exempt, "{address}");
    }
    // What it does counts for its neighbours as little.
    let ticket = gate.arrive(now, v6("2001:db8::7"), || 99).unwrap();
    gate.departed(now, ticket, id(1), Conduct::Crash);
    assert!(gate.arrive(now, v6("2001:db8::8"), || 99).is_ok());
}

#[test]
fn t9_a_penalty_is_as_wide_as_it_is_configured() {
    let now = Instant::now();
    for (ipv4, ipv6, culprit, neighbour, is_kept_out) in [
        (32, 64, v6("2001:db8::1"), v6("2001:db8::2"), true),
        (32, 128, v6("2001:db8::1"), v6("2001:db8::2"), false),
        (32, 64, v6("fe80::1%2"), v6("fe80::2%2"), false),
        (32, 64, v6("fe80::1%2"), v6("fe80::1%3"), false),
        (24, 64, v4(1), v4(2), true),
        (32, 64, v4(1), v4(2), false),
    ] {
        let per_source_net_block_size = NetBlockSize { ipv4, ipv6 };
        let mut gate = Gate::new(Limits { per_source_net_block_size, ..limits() });
        let ticket = gate.arrive(now, culprit, || 99).unwrap();
        gate.departed(now, ticket, id(1), Conduct::Crash);
        assert!(gate.arrive(now, culprit, || 99).is_err());
        assert_eq!(gate.arrive(now, neighbour, || 99).is_err(), is_kept_out, "{ipv4}:{ipv6} {neighbour}");
    }
}

#[test]
fn t9_a_host_with_a_good_key_does_not_wait_for_its_neighbours_penalty() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    let good = v6("2001:db8::1");
    let mut ticket = gate.arrive(now, good, || 99).unwrap();
    gate.authenticated(&mut ticket, id(1), "key");
    gate.departed(now, ticket, id(1), Conduct::Good);
    let ticket = gate.arrive(now, v6("2001:db8::2"), || 99).unwrap();
    gate.departed(now, ticket, id(2), Conduct::Crash);
    assert!(gate.arrive(now, v6("2001:db8::3"), || 99).is_err());
    // For its own it does.
    let ticket = gate.arrive(now, good, || 99).unwrap();
    gate.departed(now, ticket, id(3), Conduct::Crash);
    assert!(gate.arrive(now, good, || 99).is_err());
}

#[test]
fn t4_sources_that_have_nothing_under_way_are_let_in_until_all_rooms_are_full() {
    let now = Instant::now();
    let mut gate = Gate::new(Limits { per_source_max_startups: 10, ..limits() });
    let mut held: Vec<_> = (0..10).map(|_| gate.arrive(now, v4(1), || 0).unwrap()).collect();
    // The dice are against everybody.
    assert!(gate.arrive(now, v4(1), || 0).is_err());
    held.push(gate.arrive(now, v4(2), || 0).unwrap());
    assert_eq!(gate.arrive(now, v4(2), || 0).unwrap_err(), Refused::Startups);
    for last in 3..=91 {
        held.push(gate.arrive(now, v4(last), || 0).unwrap());
    }
    assert_eq!(gate.startups(), 100);
    assert_eq!(gate.arrive(now, v4(200), || 99).unwrap_err(), Refused::Startups);
}

#[test]
fn t4_a_host_with_a_good_key_has_a_reserve() {
    let now = Instant::now();
    let mut gate = Gate::new(Limits { per_source_max_startups: 10, ..limits() });
    let mut ticket = gate.arrive(now, v4(250), || 99).unwrap();
    gate.authenticated(&mut ticket, id(1), "key");
    let mut held = vec![ticket];
    for last in 0..100 {
        held.push(gate.arrive(now, v4(last), || 0).unwrap());
    }
    assert_eq!(gate.arrive(now, v4(200), || 99).unwrap_err(), Refused::Startups);
    for _ in 0..10 {
        held.push(gate.arrive(now, v4(250), || 0).unwrap());
    }
    assert_eq!(gate.arrive(now, v4(250), || 0).unwrap_err(), Refused::SourceStartups);
}

#[test]
fn t4_what_there_may_be_follows_the_descriptors() {
    let options = Options::new(Vec::new());
    for (descriptors, connections) in [(0, 1), (64, 1), (256, 24), (1024, 120), (1 << 20, 1024)] {
        let limits = Limits::new(&options, descriptors);
        assert_eq!(limits.max_connections, connections, "{descriptors}");
        let rooms = Rooms::of(&limits);
        assert!(rooms.sessions >= 1 && rooms.startups >= 1 && rooms.sessions_per_key >= 1, "{rooms:?}");
        if connections > 1 {
            let all = rooms.startups + rooms.known_startups + rooms.sessions;
            assert_eq!(all, connections, "{rooms:?}");
        }
    }
}

#[test]
fn t4_idle_log_ins_of_one_key_leave_room_for_others() {
    let now = Instant::now();
    let limits = Limits::new(&Options::new(Vec::new()), 1024);
    let mut gate = Gate::new(limits);
    let mut held = HashMap::new();
    for number in 1..=500 {
        let session = id(number);
        let mut ticket = gate.arrive(now, v4(1), || 99).unwrap();
        match gate.authenticated(&mut ticket, session, "hostile") {
            Admission::Welcome => {}
            Admission::Instead(other) => {
                gate.departed(now, held.remove(&other).unwrap(), other, Conduct::Good)
            }
            Admission::Refused(why) => panic!("{why}"),
        }
        held.insert(session, ticket);
    }
    assert!(held.len() <= 25, "{}", held.len());
    let mut ticket = gate.arrive(now, v4(2), || 99).unwrap();
    assert_eq!(gate.authenticated(&mut ticket, id(501), "other"), Admission::Welcome);
    held.insert(id(501), ticket);
}

fn held_source(gate: &Gate, address: SocketAddr) -> Source {
    let host = Source::host(address);
    if gate.known.contains(host) { host } else { host.block(NetBlockSize::default()) }
}

#[derive(Debug, Clone)]
enum Step {
    Arrive { source: u8, percent: u8 },
    Authenticate { which: usize },
    Depart { which: usize, conduct: Conduct },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let conduct = prop::sample::select(vec![
        Conduct::Good,
        Conduct::NoAttempt,
        Conduct::AuthFailed,
        Conduct::InvalidUser,
        Conduct::GraceExceeded,
        Conduct::Crash,
    ]);
    prop_oneof![
        4 => (0u8..12, 0u8..100).prop_map(|(source, percent)| Step::Arrive { source, percent }),
        1 => any::<usize>().prop_map(|which| Step::Authenticate { which }),
        3 => (any::<usize>(), conduct).prop_map(|(which, conduct)| Step::Depart { which, conduct }),
        1 => (0u64..60_000).prop_map(|millis| Step::Wait { millis }),
    ]
}

proptest! {
    #[test]
    fn limits_hold_whatever_happens(steps in prop::collection::vec(step(), 0..400)) {
        let penalties = Penalties { max_sources: 5, ..Penalties::default() };
        let limits = Limits {
            max_startups: MaxStartups { start: 4, rate: 30, full: 12 },
            per_source_max_startups: 3,
            per_source_penalties: Some(penalties),
            max_connections: 20,
            ..limits()
        };
        let mut gate = Gate::new(limits.clone());
        let mut numbers = 0;
        let mut now = Instant::now();
        let mut held: Vec<(SessionId, Ticket)> = Vec::new();
        for step in steps {
            match step {
                Step::Arrive { source, percent } => match gate.arrive(now, v4(source), || percent) {
                    Ok(ticket) => {
                        numbers += 1;
                        held.push((id(numbers), ticket));
                    }
                    Err(Refused::Penalty { left, .. }) => {
                        prop_assert!(!left.is_zero() && left <= penalties.max);
                        let source = held_source(&gate, v4(source));
                        let almost = now + left - Duration::from_nanos(1);
                        prop_assert!(gate.penalties.in_force(almost, source).is_some());
                        prop_assert!(gate.penalties.in_force(now + left, source).is_none());
                        // What ended by then is gone; start from what is left.
                        now += left;
                    }
                    Err(_) => {}
                },
                Step::Authenticate { which } if !held.is_empty() => {
                    let at = which % held.len();
                    let (session, ticket) = &mut held[at];
                    gate.authenticated(ticket, *session, "key");
                }
                Step::Depart { which, conduct } if !held.is_empty() => {
                    let (session, ticket) = held.swap_remove(which % held.len());
                    gate.departed(now, ticket, session, conduct);
                }
                Step::Wait { millis } => now += Duration::from_millis(millis),
                Step::Authenticate { .. } | Step::Depart { .. } => {}
            }
            let starting = held.iter().filter(|(_, ticket)| ticket.key.is_none()).count();
            prop_assert_eq!(gate.startups(), starting);
            prop_assert_eq!(gate.connections, held.len());
            prop_assert_eq!(gate.startups_of.values().sum::<usize>(), starting);
            prop_assert!(gate.startups <= limits.max_startups.full);
            prop_assert!(held.len() <= limits.max_connections);
            prop_assert!(gate.startups_of.values().all(|&count| (1..=3).contains(&count)));
            prop_assert!(gate.penalties.of.len() <= penalties.max_sources);
            prop_assert_eq!(gate.penalties.of.len(), gate.penalties.by_end.len());
        }
    }
}
