use super::*;

/// A socket of a fixed rate behind a session that always fills its budget; returns the budget in the end.
fn settle(bytes_per_second: f64, seconds: f64) -> usize {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    let mut unsent = 0.0_f64;
    let step = Duration::from_micros(500);
    for _ in 0..(seconds / step.as_secs_f64()) as usize {
        now += step;
        unsent = (unsent - bytes_per_second * step.as_secs_f64()).max(0.0);
        pace.observe(now, unsent as usize);
        let room = pace.budget().saturating_sub(unsent as usize);
        pace.wrote(room);
        pace.exhausted();
        unsent += room as f64;
    }
    pace.budget()
}

#[test]
fn a_slow_socket_gets_two_milliseconds_of_work() {
    // 20 Mbit/s: 5 kB in 2 ms, less than the least.
    assert_eq!(settle(2.5e6, 2.0), LEAST);
    // 400 Mbit/s.
    let budget = settle(50e6, 2.0);
    assert!((90_000..110_000).contains(&budget), "{budget}");
}

#[test]
fn a_fast_socket_gets_all_there_is() {
    assert_eq!(settle(1.25e9, 1.0), MOST);
}

#[test]
fn the_budget_recovers_when_the_path_does() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    pace.wrote(1 << 20);
    for unsent in (0..100).rev().map(|left| left * 10_000 + 1) {
        now += Duration::from_millis(20);
        pace.observe(now, unsent);
    }
    assert!(pace.is_slow());
    for _ in 0..20 {
        pace.exhausted();
        pace.observe(now, 0);
    }
    assert_eq!(pace.budget(), MOST);
}

/// Else the first bulk transfer after months of pings would find the largest budget on a path that may be slow.
#[test]
fn an_idle_link_learns_nothing() {
    let mut pace = Pace::default();
    let now = Instant::now();
    for _ in 0..1000 {
        pace.wrote(100);
        pace.observe(now, 0);
    }
    assert_eq!(pace.budget(), FIRST);
}
