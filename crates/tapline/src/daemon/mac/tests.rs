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
fn n4_no_bridge_takes_over_the_address_of_a_tap() {
    let names = ["berlin", "", "a", "a-very-long-name-of-a-link", "0"];
    for end in names.iter().flat_map(|name| [End::Opened(name), End::Accepted(name)]) {
        let tap = of("7a1f", 1, "tap0", end);
        assert_eq!(tap[0], 0xfe);
        // Of a manufacturer's, the kernel's own, and another hypervisor's.
        for other in
            [[0x52, 0x54, 0, 1, 2, 3], [0x02, 0x42, 0xff, 0xff, 0xff, 0xff], [0xfc, 0xff, 0, 0, 0, 0]]
        {
            assert!(other < tap);
        }
    }
}

#[test]
fn n4_a_bridge_is_made_with_an_address_of_its_own() {
    let place = |namespace| Place { boot: "7a1f".to_owned(), namespace };
    let bridge = |namespace, name| derived(&place(namespace), LOCAL, &["bridge", name]);
    assert_eq!(bridge(1, "br0"), bridge(1, "br0"));
    assert_ne!(bridge(1, "br0"), bridge(1, "br1"));
    assert_ne!(bridge(1, "br0"), bridge(2, "br0"));
    assert_eq!(bridge(1, "br0")[0], 2);
    assert_eq!(of_bridge("br0"), of_bridge("br0"));
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
