#![allow(clippy::unwrap_used)]

use super::*;

const SIZE: NetBlockSize = NetBlockSize { ipv4: 32, ipv6: 64 };

fn source(text: &str) -> Source {
    Source::host(text.parse().unwrap())
}

#[test]
fn t9_a_block_is_as_wide_as_it_is_configured() {
    let size = |ipv4, ipv6| NetBlockSize { ipv4, ipv6 };
    for (size, one, other, same) in [
        (SIZE, "192.0.2.1:1", "192.0.2.1:2", true),
        (SIZE, "192.0.2.1:1", "192.0.2.2:1", false),
        (SIZE, "[::ffff:192.0.2.1]:1", "192.0.2.1:2", true),
        (SIZE, "[2001:db8::1]:1", "[2001:db8::ffff:0:0:2]:1", true),
        (SIZE, "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false),
        (size(24, 64), "192.0.2.1:1", "192.0.2.255:1", true),
        (size(24, 64), "192.0.2.1:1", "192.0.3.1:1", false),
        (size(0, 0), "192.0.2.1:1", "198.51.100.1:1", true),
        (size(0, 0), "[2001:db8::1]:1", "[fd00::1]:1", true),
        (size(32, 128), "[2001:db8::1]:1", "[2001:db8::2]:1", false),
        (size(32, 48), "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", true),
        (size(99, 255), "192.0.2.1:1", "192.0.2.1:1", true),
    ] {
        assert_eq!(source(one).block(size) == source(other).block(size), same, "{size:?} {one} {other}");
    }
}

#[test]
fn t9_link_local_addresses_count_one_by_one_and_per_interface() {
    for (one, other, same) in [
        ("[fe80::1%2]:1", "[fe80::1%2]:2", true),
        ("[fe80::1%2]:1", "[fe80::2%2]:1", false),
        ("[fe80::1%2]:1", "[fe80::1%3]:1", false),
        // What is no link-local address has no interface.
        ("[2001:db8::1%2]:1", "[2001:db8::1%3]:1", true),
    ] {
        assert_eq!(source(one).block(SIZE) == source(other).block(SIZE), same, "{one} {other}");
    }
}

#[test]
fn t9_sources_are_written_as_people_know_them() {
    assert_eq!(source("192.0.2.1:1").to_string(), "192.0.2.1");
    assert_eq!(source("[2001:db8::1]:1").block(SIZE).to_string(), "2001:db8::/64");
    assert_eq!(source("[fe80::1%1]:1").block(SIZE).to_string(), "fe80::1%lo");
    assert_eq!(source("[fe80::1%999999]:1").to_string(), "fe80::1%999999");
}
