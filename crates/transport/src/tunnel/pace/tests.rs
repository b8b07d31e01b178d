use super::*;

/// A path of a fixed rate behind a session that always fills its budget, which the kernel takes at once and holds;
/// returns the budget in the end.
fn settle(bytes_per_second: f64, seconds: f64) -> usize {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    let mut waiting = 0.0_f64;
    let step = Duration::from_micros(500);
    for _ in 0..(seconds / step.as_secs_f64()) as usize {
        now += step;
        waiting = (waiting - bytes_per_second * step.as_secs_f64()).max(0.0);
        if pace.is_due(now) {
            pace.observe(now, waiting as usize);
        }
        let room = (2 * pace.budget()).saturating_sub(waiting as usize);
        pace.wrote(room);
        pace.exhausted();
        waiting += room as f64;
    }
    pace.budget()
}

#[test]
fn a_slow_path_gets_two_milliseconds_of_work() {
    // 20 Mbit/s: 5 kB in 2 ms.
    let budget = settle(2.5e6, 2.0);
    assert!((4_500..5_500).contains(&budget), "{budget}");
    // 400 Mbit/s.
    let budget = settle(50e6, 2.0);
    assert!((90_000..110_000).contains(&budget), "{budget}");
    // A modem.
    assert_eq!(settle(7e3, 10.0), LEAST);
}

#[test]
fn a_fast_path_gets_all_there_is() {
    assert_eq!(settle(1.25e9, 1.0), MOST);
}

#[test]
fn the_budget_recovers_when_the_path_does() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    pace.wrote(1 << 20);
    for waiting in (0..100).rev().map(|left| left * 10_000 + 1) {
        now += Duration::from_millis(20);
        pace.exhausted();
        pace.observe(now, waiting);
    }
    assert!(pace.is_slow() && pace.low_water() < MOST_IN_KERNEL);
    for _ in 0..20 {
        pace.exhausted();
        now += Duration::from_millis(20);
        pace.observe(now, 0);
    }
    assert_eq!(pace.budget(), MOST);
    assert_eq!(pace.low_water(), MOST_IN_KERNEL);
}

/// Else the first bulk transfer after months of pings would find the largest budget on a path that may be slow.
#[test]
fn an_idle_link_learns_nothing() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    for _ in 0..1000 {
        pace.wrote(100);
        now += Duration::from_millis(20);
        pace.observe(now, 0);
    }
    assert_eq!(pace.budget(), FIRST);
}

/// Else the acknowledgements of a transfer the other way, which a busy socket holds now and then, made a fast path slow.
#[test]
fn little_traffic_teaches_nothing() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    for _ in 0..1000 {
        pace.wrote(1_000);
        now += Duration::from_millis(20);
        pace.observe(now, 300);
    }
    assert_eq!(pace.budget(), FIRST);
    assert!(!pace.is_slow_for_long());
}

/// A path that was behind for a moment has not shown its rate.
#[test]
fn a_burst_teaches_nothing() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    for _ in 0..100 {
        pace.wrote(10_000);
        now += Duration::from_millis(20);
        pace.exhausted();
        pace.observe(now, 5_000);
        now += Duration::from_millis(20);
        pace.observe(now, 0);
    }
    assert_eq!(pace.budget(), FIRST);
}

/// Else a host that was busy for a moment would have another congestion control for months.
#[test]
fn a_path_is_slow_for_long_only_after_many_looks() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    let mut look = |pace: &mut Pace, bytes: usize| {
        pace.wrote(bytes);
        now += Duration::from_millis(10);
        pace.exhausted();
        pace.observe(now, 1_000);
    };
    for _ in 0..LASTING {
        look(&mut pace, 25_000);
    }
    assert!(pace.is_slow() && !pace.is_slow_for_long());
    for _ in 0..5 {
        look(&mut pace, 25_000);
    }
    assert!(pace.is_slow_for_long());
    for _ in 0..LASTING {
        look(&mut pace, 25_000_000);
    }
    assert!(!pace.is_slow());
    for _ in 0..5 {
        look(&mut pace, 25_000_000);
    }
    assert!(!pace.is_slow_for_long());
}
