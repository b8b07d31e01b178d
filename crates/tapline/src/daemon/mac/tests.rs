use super::*;

fn of(boot: &str, namespace: u64, interface: &str, end: End<'_>) -> [u8; 6] {
    address(&Place { boot: boot.to_owned(), namespace }, interface, end)
}

#[test]
fn the_same_tap_has_the_same_address() {
    let first = of("7a1f", 4_026_531_840, "tap0", End::Opened("berlin"));
    assert_eq!(first, of("7a1f\n", 4_026_531_840, "tap0", End::Opened("berlin")));
    assert_eq!(first[0] & 0b11, 0b10, "locally administered, and no group's");
}

#[test]
fn whatever_differs_makes_another_address() {
    let all = [
        of("7a1f", 1, "tap0", End::Opened("berlin")),
        of("7a1f", 1, "tap0", End::Accepted("berlin")),
        of("7a1f", 1, "tap0", End::Opened("leipzig")),
        of("7a1f", 1, "tap1", End::Opened("berlin")),
        of("7a1f", 2, "tap0", End::Opened("berlin")),
        of("7a1e", 1, "tap0", End::Opened("berlin")),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:02x?}");
}
