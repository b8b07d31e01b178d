use super::*;

const BOUNDS: Bounds =
    Bounds { least: 100_000, most: 10_000_000, gain: 200, ahead: Duration::from_millis(1) };

/// A path that carries `rate` bytes a second, or as much as the limit allows in a round trip; returns the limit in the end.
fn settle(flight: &mut Flight, now: &mut Instant, rate: f64, round_trip: Duration, time: Duration) -> u32 {
    let end = *now + time;
    let step = Duration::from_millis(1);
    while *now < end {
        *now += step;
        let window_rate = f64::from(flight.limit()) / round_trip.as_secs_f64();
        flight.arrived((rate.min(window_rate) * step.as_secs_f64()) as u32);
        flight.observe(*now, round_trip);
    }
    flight.limit()
}

#[test]
fn grows_to_twice_what_a_long_path_holds() {
    let (mut flight, mut now) = (Flight::new(BOUNDS), Instant::now());
    // 20 MB/s for 100 ms are 2 MB; least and a millisecond ahead come on top.
    let limit = settle(&mut flight, &mut now, 20e6, Duration::from_millis(100), Duration::from_secs(3));
    assert!((3_900_000..4_400_000).contains(&limit), "{limit}");
}

#[test]
fn a_path_that_holds_nothing_gets_the_least_and_what_is_ahead() {
    let (mut flight, mut now) = (Flight::new(BOUNDS), Instant::now());
    let limit = settle(&mut flight, &mut now, 50e6, Duration::from_micros(20), Duration::from_secs(1));
    assert!((145_000..160_000).contains(&limit), "{limit}");
}

#[test]
fn stays_within_its_bounds() {
    let (mut flight, mut now) = (Flight::new(BOUNDS), Instant::now());
    assert_eq!(flight.limit(), BOUNDS.least);
    let limit = settle(&mut flight, &mut now, 1e9, Duration::from_millis(300), Duration::from_secs(10));
    assert_eq!(limit, BOUNDS.most);
    flight.arrived(u32::MAX);
    flight.observe(now + Duration::from_secs(1), Duration::MAX);
    assert_eq!(flight.limit(), BOUNDS.most);
}

/// A pause must not cost the next transfer its speed, and a path that has become short is noticed all the same.
#[test]
fn shrinks_slowly() {
    let (mut flight, mut now) = (Flight::new(BOUNDS), Instant::now());
    let round_trip = Duration::from_millis(100);
    let before = settle(&mut flight, &mut now, 20e6, round_trip, Duration::from_secs(3));
    let after_a_pause = settle(&mut flight, &mut now, 0.0, round_trip, Duration::from_millis(200));
    assert!(after_a_pause > before / 10 * 7, "{before} {after_a_pause}");
    let long_after = settle(&mut flight, &mut now, 0.0, round_trip, Duration::from_secs(10));
    assert!(long_after < BOUNDS.least * 11 / 10, "{long_after}");
}
