use super::*;

#[test]
fn n12_waits_grow_to_ten_seconds_and_end_with_what_was_waited_for() {
    let now = Instant::now();
    let mut retry = Retry::default();
    assert_eq!(retry.at, None);
    for seconds in [1, 2, 4, 8, 10, 10, 10] {
        retry.waits(true, now);
        assert_eq!(retry.at, Some(now + Duration::from_secs(seconds)));
    }
    let soon = now + Duration::from_millis(50);
    retry.hurry(soon);
    assert_eq!(retry.at, Some(soon));
    retry.hurry(now + Duration::from_secs(60));
    assert_eq!(retry.at, Some(soon), "a later sign puts nothing off");
    retry.waits(true, now);
    assert_eq!(retry.at, Some(now + FIRST));
    retry.waits(false, now);
    assert_eq!(retry, Retry::default());
}
