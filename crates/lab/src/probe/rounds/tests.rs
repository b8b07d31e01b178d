use std::time::{Duration, Instant};

use super::{INTERVAL, Pace, REMEMBERED, Rounds, Step};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn requests_follow_the_interval_until_the_deadline() {
    let start = Instant::now();
    let mut rounds = Rounds::new(start, start + SECOND, Pace::Eager);
    let mut now = start;
    let mut sent = Vec::new();
    loop {
        match rounds.step(now) {
            Step::Send(sequence) => sent.push((sequence, now - start)),
            Step::Wait(wait) => now += wait,
            Step::Over => break,
        }
    }
    assert_eq!(sent, (0..5).map(|n| (n + 1, INTERVAL * u32::from(n))).collect::<Vec<_>>());
    assert_eq!(now, start + SECOND);
}

#[test]
fn an_answer_makes_the_next_request_due() {
    let start = Instant::now();
    let mut rounds = Rounds::new(start, start + SECOND, Pace::Eager);
    assert_eq!(rounds.step(start), Step::Send(1));
    assert!(matches!(rounds.step(start), Step::Wait(_)));
    rounds.answered(start, 1);
    assert_eq!(rounds.step(start), Step::Send(2));
    rounds.answered(start, 1);
    assert!(matches!(rounds.step(start), Step::Wait(_)), "a second answer to the first");
}

#[test]
fn u7_each_round_has_one_request_however_many_answer() {
    let start = Instant::now();
    for hosts in [1, 2, 8, 64, 1000] {
        let mut rounds = Rounds::new(start, start + SECOND, Pace::Steady);
        let (mut now, mut sent) = (start, 0);
        loop {
            match rounds.step(now) {
                Step::Send(sequence) => {
                    sent += 1;
                    // All answer at once, and those to the request before once more.
                    for _ in 0..hosts {
                        rounds.answered(now, sequence);
                        rounds.answered(now, sequence.saturating_sub(1));
                    }
                }
                Step::Wait(wait) => now += wait,
                Step::Over => break,
            }
        }
        assert_eq!(sent, 5, "{hosts} hosts");
    }
}

#[test]
fn nothing_is_sent_after_the_deadline() {
    let start = Instant::now();
    assert_eq!(Rounds::new(start, start, Pace::Eager).step(start), Step::Over);
}

#[test]
fn round_trips_of_known_requests_only() {
    let start = Instant::now();
    let mut rounds = Rounds::new(start, start + SECOND * 100, Pace::Eager);
    assert_eq!(rounds.round_trip(start, 1), None);
    let mut now = start;
    for _ in 0..=REMEMBERED {
        assert!(matches!(rounds.step(now), Step::Send(_)));
        now += INTERVAL;
    }
    assert_eq!(rounds.round_trip(now, 1), None, "the oldest is forgotten, so that memory stays bounded");
    assert_eq!(rounds.round_trip(now, 2), Some(INTERVAL * u32::try_from(REMEMBERED).unwrap()));
}
