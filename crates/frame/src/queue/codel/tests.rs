use super::*;

const MS: Duration = Duration::from_millis(1);

/// Offers a frame every millisecond and returns the milliseconds at which one was due.
fn due(codel: &mut Codel, start: Instant, from: u32, to: u32, delay: Duration) -> Vec<u32> {
    let settings = Settings::default();
    (from..to).filter(|ms| codel.is_due(start + MS * *ms, delay, Backlog::Standing, &settings)).collect()
}

#[test]
fn drops_begin_after_an_interval_and_come_closer_with_the_square_root() {
    let mut codel = Codel::default();
    let due = due(&mut codel, Instant::now(), 0, 500, 6 * MS);
    // 100, then 100 / sqrt(n) later each: 100, 70.7, 57.7, 50, 44.7 ...
    assert_eq!(due[..6], [100, 200, 271, 329, 379, 424]);
}

#[test]
fn a_delay_that_falls_below_the_target_once_starts_all_over() {
    let start = Instant::now();
    let mut codel = Codel::default();
    assert!(due(&mut codel, start, 0, 99, 6 * MS).is_empty());
    assert!(due(&mut codel, start, 99, 100, 4 * MS).is_empty());
    assert_eq!(due(&mut codel, start, 100, 210, 6 * MS), [200]);
}

#[test]
fn a_single_frame_is_never_due() {
    let start = Instant::now();
    let settings = Settings::default();
    let mut codel = Codel::default();
    assert!((0..1000).all(|ms| !codel.is_due(start + MS * ms, 50 * MS, Backlog::Single, &settings)));
}

#[test]
fn dropping_that_ended_lately_resumes_at_its_rate() {
    let start = Instant::now();
    let mut codel = Codel::default();
    let before = due(&mut codel, start, 0, 1000, 6 * MS).len();
    assert!(before > 10);
    assert!(due(&mut codel, start, 1000, 1010, MS).is_empty());
    let resumed = due(&mut codel, start, 1010, 1210, 6 * MS);
    assert_eq!(resumed[0], 1110);
    assert!(resumed.len() >= 4, "{resumed:?}");

    // Long after, it begins gently.
    assert!(due(&mut codel, start, 1210, 1220, MS).is_empty());
    let gentle = due(&mut codel, start, 5000, 5250, 6 * MS);
    assert_eq!(gentle, [5100, 5200]);
}

#[test]
fn an_idle_flow_forgets_its_delay() {
    let start = Instant::now();
    let mut codel = Codel::default();
    assert!(due(&mut codel, start, 0, 90, 6 * MS).is_empty());
    codel.idle();
    assert_eq!(due(&mut codel, start, 90, 200, 6 * MS), [190]);
}

#[test]
fn time_that_stands_still_or_settings_of_zero_do_no_harm() {
    let start = Instant::now();
    let settings = Settings { target: Duration::ZERO, interval: Duration::ZERO, ..Settings::default() };
    let mut codel = Codel::default();
    for _ in 0..10 {
        codel.is_due(start, Duration::MAX, Backlog::Standing, &settings);
    }
    let settings = Settings { interval: Duration::MAX, ..Settings::default() };
    for _ in 0..10 {
        codel.is_due(start, Duration::MAX, Backlog::Standing, &settings);
    }
}

/// A queue that fills within the interval must not first be full.
#[test]
fn one_frame_is_lost_at_once_when_the_queue_fills() {
    let (mut codel, settings, now) = (Codel::default(), Settings::default(), Instant::now());
    assert!(codel.is_due(now, MS, Backlog::Filling, &settings));
    assert!(!codel.is_due(now + MS, MS, Backlog::Filling, &settings));
    assert!(codel.is_due(now + settings.interval, MS, Backlog::Filling, &settings));
}
