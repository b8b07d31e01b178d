use proptest::prelude::*;

use super::*;

fn up(now: Instant) -> LinkLife {
    let mut life = LinkLife::default();
    assert_eq!(life.handle(LinkEvent::Start, now, 0.5), LinkAction::Connect);
    assert_eq!(life.handle(LinkEvent::Established, now, 0.5), LinkAction::Wait);
    life
}

fn waited(action: LinkAction, now: Instant) -> Duration {
    match action {
        LinkAction::SetTimer(until) => until - now,
        other => panic!("expected a timer, got {other:?}"),
    }
}

#[test]
fn waits_grow_to_half_a_minute_and_no_further() {
    let mut now = Instant::now();
    let mut life = up(now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let wait = waited(life.handle(LinkEvent::Lost(Severity::Passing), now, 0.5), now);
        waits.push(wait.as_millis());
        now += wait;
        assert_eq!(life.handle(LinkEvent::Timer, now, 0.5), LinkAction::Connect);
    }
    assert_eq!(&waits[..7], [500, 1000, 2000, 4000, 8000, 16000, 30000]);
    assert!(waits[7..].iter().all(|&wait| wait == 30000));
}

#[test]
fn a_link_that_was_stable_starts_over() {
    let mut now = Instant::now();
    let mut life = up(now);
    for _ in 0..5 {
        now += waited(life.handle(LinkEvent::Lost(Severity::Passing), now, 0.5), now);
        life.handle(LinkEvent::Timer, now, 0.5);
    }
    life.handle(LinkEvent::Established, now, 0.5);
    now += STABLE;
    assert_eq!(waited(life.handle(LinkEvent::Lost(Severity::Passing), now, 0.5), now), FIRST_WAIT);
}

#[test]
fn a_refusal_waits_long_at_once() {
    let now = Instant::now();
    let mut life = LinkLife::default();
    life.handle(LinkEvent::Start, now, 0.5);
    assert_eq!(waited(life.handle(LinkEvent::Lost(Severity::Standing), now, 0.5), now), STANDING_WAIT);
}

#[test]
fn stop_ends_what_is_under_way_and_late_news_change_nothing() {
    let now = Instant::now();
    let mut life = up(now);
    assert_eq!(life.handle(LinkEvent::Stop, now, 0.5), LinkAction::Disconnect);
    for late in [LinkEvent::Established, LinkEvent::Lost(Severity::Passing), LinkEvent::Timer] {
        assert_eq!(life.handle(late, now, 0.5), LinkAction::Wait);
        assert_eq!(life.state(), State::Down);
    }
}

#[test]
fn an_early_timer_is_set_again() {
    let now = Instant::now();
    let mut life = up(now);
    let wait = waited(life.handle(LinkEvent::Lost(Severity::Passing), now, 0.5), now);
    assert_eq!(life.handle(LinkEvent::Timer, now, 0.5), LinkAction::SetTimer(now + wait));
}

fn event() -> impl Strategy<Value = LinkEvent> {
    prop_oneof![
        Just(LinkEvent::Start),
        Just(LinkEvent::Established),
        Just(LinkEvent::Lost(Severity::Passing)),
        Just(LinkEvent::Lost(Severity::Standing)),
        Just(LinkEvent::Timer),
        Just(LinkEvent::Stop),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a wanted link always has an attempt, a tunnel or a timer, and waits are bounded.
    #[test]
    fn never_stuck(events in prop::collection::vec((event(), 0u64..100_000, 0.0f64..=1.0), 1..200)) {
        let mut now = Instant::now();
        let mut life = LinkLife::default();
        let mut wanted = false;
        let mut timer = None;
        for (event, millis, jitter) in events {
            now += Duration::from_millis(millis);
            let before = life.state();
            match life.handle(event, now, jitter) {
                LinkAction::SetTimer(until) => {
                    prop_assert!(until <= now + STANDING_WAIT.mul_f64(1.25));
                    timer = Some(until);
                }
                LinkAction::Connect => prop_assert_ne!(before, State::Connecting),
                LinkAction::Disconnect => prop_assert_eq!(life.state(), State::Down),
                LinkAction::Wait => {}
            }
            match event {
                LinkEvent::Start => wanted = true,
                LinkEvent::Stop => wanted = false,
                _ => {}
            }
            match life.state() {
                State::Down => prop_assert!(!wanted),
                State::Waiting { until } => {
                    prop_assert!(wanted);
                    prop_assert_eq!(timer, Some(until));
                }
                State::Connecting | State::Up { .. } => prop_assert!(wanted),
            }
        }
    }
}
