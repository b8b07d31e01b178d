#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        max_startups: MaxStartups { start: 10, rate: 30, full: 100 },
        per_source_max_startups: usize::MAX,
        per_source_penalties: Some(Penalties::default()),
        max_connections: 1000,
    }
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().unwrap().into()
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
    gate.authenticated(&mut first);
    gate.authenticated(&mut first);
    assert_eq!(gate.startups(), 1);
    let second = gate.arrive(now, v4(1), || 99).unwrap();
    for ticket in [first, second, other] {
        gate.departed(now, ticket, Conduct::Good);
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
        gate.departed(now, ticket, Conduct::AuthFailed);
    }
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, Conduct::AuthFailed);
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
        gate.departed(then, ticket, Conduct::AuthFailed);
    }
}

#[test]
fn penalties_end_at_the_maximum() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    let tickets: Vec<_> = (0..10).map(|_| gate.arrive(now, v4(1), || 99).unwrap()).collect();
    for ticket in tickets {
        gate.departed(now, ticket, Conduct::Crash);
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
        gate.authenticated(&mut ticket);
        gate.departed(now, ticket, Conduct::AuthFailed);
    }
    assert!(gate.arrive(now, v4(1), || 99).is_ok());
}

#[test]
fn penalties_can_be_switched_off() {
    let now = Instant::now();
    let mut gate = Gate::new(limits());
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, Conduct::Crash);
    assert!(gate.arrive(now, v4(1), || 99).is_err());
    gate.set_limits(Limits { per_source_penalties: None, ..limits() });
    let ticket = gate.arrive(now, v4(1), || 99).unwrap();
    gate.departed(now, ticket, Conduct::Crash);
    assert!(gate.arrive(now, v4(1), || 99).is_ok());
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
        };
        let mut gate = Gate::new(limits);
        let mut now = Instant::now();
        let mut held: Vec<Ticket> = Vec::new();
        for step in steps {
            match step {
                Step::Arrive { source, percent } => match gate.arrive(now, v4(source), || percent) {
                    Ok(ticket) => held.push(ticket),
                    Err(Refused::Penalty { left, .. }) => {
                        prop_assert!(!left.is_zero() && left <= penalties.max);
                        let mut later = Gate { penalties: std::mem::take(&mut gate.penalties), ..Gate::new(limits) };
                        prop_assert!(later.penalties.in_force(now + left - Duration::from_nanos(1), Source::of(v4(source))).is_some());
                        prop_assert!(later.penalties.in_force(now + left, Source::of(v4(source))).is_none());
                        // What ended by then is gone; start from what is left.
                        now += left;
                        gate.penalties = later.penalties;
                    }
                    Err(_) => {}
                },
                Step::Authenticate { which } if !held.is_empty() => {
                    let at = which % held.len();
                    gate.authenticated(&mut held[at]);
                }
                Step::Depart { which, conduct } if !held.is_empty() => {
                    let ticket = held.swap_remove(which % held.len());
                    gate.departed(now, ticket, conduct);
                }
                Step::Wait { millis } => now += Duration::from_millis(millis),
                Step::Authenticate { .. } | Step::Depart { .. } => {}
            }
            let starting = held.iter().filter(|ticket| !ticket.authenticated).count();
            prop_assert_eq!(gate.startups(), starting);
            prop_assert_eq!(gate.connections, held.len());
            prop_assert_eq!(gate.startups_of.values().sum::<usize>(), starting);
            prop_assert!(starting <= limits.max_startups.full);
            prop_assert!(held.len() <= limits.max_connections);
            prop_assert!(gate.startups_of.values().all(|&count| (1..=3).contains(&count)));
            prop_assert!(gate.penalties.of.len() <= penalties.max_sources);
            prop_assert_eq!(gate.penalties.of.len(), gate.penalties.by_end.len());
        }
    }
}
