use super::*;

#[test]
fn a_peer_cannot_forge_lines() {
    assert_eq!(printable("root\nAccepted"), "root\u{fffd}Accepted");
    assert_eq!(printable("\u{1b}[31mred"), "\u{fffd}[31mred");
    assert_eq!(printable("ünïcode ok"), "ünïcode ok");
    assert_eq!(printable(&"x".repeat(1000)).chars().count(), 101);
}

#[test]
fn the_burst_passes_and_the_rest_is_counted() {
    let limiter = Limiter::new(2, Duration::from_secs(10));
    let start = Instant::now();
    assert_eq!(limiter.passes(start), Some(0));
    assert_eq!(limiter.passes(start), Some(0));
    for second in 1..10 {
        assert_eq!(limiter.passes(start + Duration::from_secs(second)), None);
    }
    assert_eq!(limiter.passes(start + Duration::from_secs(10)), Some(9));
    assert_eq!(limiter.passes(start + Duration::from_secs(10)), Some(0));
}
