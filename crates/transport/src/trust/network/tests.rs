use std::net::IpAddr;

use proptest::prelude::*;

use super::{AddressPatterns, NetworkError, list_contains};

fn allow(list: &str, peer: &str) -> bool {
    AddressPatterns::parse(list).unwrap().allow(peer.parse().unwrap())
}

#[test]
fn networks_addresses_and_wildcards() {
    assert!(allow("192.0.2.0/24", "192.0.2.200"));
    assert!(!allow("192.0.2.0/24", "198.51.100.1"));
    assert!(allow("192.0.2.1", "192.0.2.1"));
    assert!(allow("192.0.2.*", "192.0.2.1"));
    assert!(allow("192.0.?.1", "192.0.2.1"));
    assert!(allow("2001:db8::/32", "2001:db8:1::1"));
    assert!(!allow("2001:db8::/32", "2001:db9::1"));
    assert!(allow("2001:DB8:0::1", "2001:db8::1"));
    assert!(allow("0.0.0.0/0", "192.0.2.1"));
    assert!(!allow("0.0.0.0/0", "2001:db8::1"));
    assert!(allow("::/0", "2001:db8::1"));
}

#[test]
fn negation_wins() {
    assert!(!allow("!192.0.2.7,192.0.2.0/24", "192.0.2.7"));
    assert!(!allow("192.0.2.0/24,!192.0.2.7", "192.0.2.7"));
    assert!(!allow("*,!192.0.2.*", "192.0.2.7"));
    assert!(!allow("!192.0.2.7", "192.0.2.8"), "a negation alone allows nobody");
}

#[test]
fn a_mapped_address_is_its_ipv4_address() {
    assert!(allow("192.0.2.0/24", "::ffff:192.0.2.1"));
    assert_eq!(list_contains("192.0.2.0/24", "::ffff:192.0.2.1".parse().unwrap()), Ok(true));
}

#[test]
fn names_are_not_looked_up() {
    assert!(!allow("localhost", "127.0.0.1"));
}

#[test]
fn damaged_lists_are_refused() {
    for (list, error) in [
        ("", NetworkError::Empty),
        ("192.0.2.1,", NetworkError::Empty),
        ("!", NetworkError::Empty),
        ("192.0.2.1/24", NetworkError::Prefix("192.0.2.1/24".into())),
        ("192.0.2.0/33", NetworkError::Prefix("192.0.2.0/33".into())),
        ("2001:db8::/129", NetworkError::Prefix("2001:db8::/129".into())),
        ("192.0.2.0/", NetworkError::Prefix("192.0.2.0/".into())),
    ] {
        assert_eq!(AddressPatterns::parse(list), Err(error), "{list}");
    }
    let peer = "192.0.2.1".parse().unwrap();
    assert_eq!(list_contains("192.0.2.*", peer), Err(NetworkError::Address("192.0.2.*".into())));
    assert_eq!(list_contains("192.0.2.0/24,nonsense", peer), Err(NetworkError::Address("nonsense".into())));
}

proptest! {
    #[test]
    fn a_network_has_exactly_the_addresses_with_its_prefix(base: u32, other: u32, length in 0u32..=32) {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        let network = format!("{}/{length}", IpAddr::from((base & mask).to_be_bytes()));
        let peer = IpAddr::from(other.to_be_bytes());
        prop_assert_eq!(list_contains(&network, peer), Ok(base & mask == other & mask));
    }

    #[test]
    fn nothing_panics(list in ".{0,40}", peer: u128) {
        let peer = IpAddr::from(peer.to_be_bytes());
        if let Ok(patterns) = AddressPatterns::parse(&list) {
            patterns.allow(peer);
        }
        let _ = list_contains(&list, peer);
    }
}
