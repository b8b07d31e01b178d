use super::*;

#[test]
fn n11_a_tunnel_is_opened_again_with_a_bound() {
    let mut again = Reopenings::default();
    assert!(again.is_first());
    let at_once = Duration::from_millis(1);
    let waits: Vec<_> = std::iter::from_fn(|| again.next(at_once)).map(|wait| wait.as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    assert!(!again.is_first());
    assert_eq!(again.next(at_once), None);
    // One that lasted starts over.
    assert_eq!(again.next(STABLE), Some(FIRST_WAIT));
    assert_eq!(again.next(STABLE), Some(FIRST_WAIT));
    assert_eq!(again.next(at_once), Some(2 * FIRST_WAIT));
}
