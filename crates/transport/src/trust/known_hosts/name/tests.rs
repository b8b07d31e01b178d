use proptest::prelude::*;

use super::{Names, canonical, canonical_pattern};
use crate::trust::known_hosts::Host;

#[test]
fn s6_an_address_has_one_form() {
    for (written, expected) in [
        ("fd51:0::2", "fd51::2"),
        ("FD51:0000:0:0:0:0:0:0002", "fd51::2"),
        ("fd51::0.0.0.2", "fd51::2"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.513", "192.0.2.1"),
        ("0xc0.0.2.1", "192.0.2.1"),
        ("0300.0.2.01", "192.0.2.1"),
        ("3221225985", "192.0.2.1"),
        ("127.1", "127.0.0.1"),
        ("FE80:0::1%Nowhere0", "fe80::1%nowhere0"),
        ("fe80::1%1", "fe80::1%lo"),
        ("Berlin.Example.ORG", "berlin.example.org"),
        ("berlin.example.org.", "berlin.example.org."),
        ("192.0.2.256", "192.0.2.256"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("08", "08"),
        ("+1", "+1"),
        ("fe80::1%", "fe80::1%"),
        ("", ""),
    ] {
        assert_eq!(canonical(written), expected, "{written}");
    }
}

#[test]
fn s6_patterns_take_the_form_of_what_they_are_compared_with() {
    for (written, expected) in [
        ("fd51:0::2", "fd51::2"),
        ("!FD51:0::2", "!fd51::2"),
        ("[fd51:0::2]:2222", "[fd51::2]:2222"),
        ("![FD51:0::2]:2222", "![fd51::2]:2222"),
        ("[fd51:0::2]:22", "fd51::2"),
        ("[berlin.example.org]:22", "berlin.example.org"),
        ("[Berlin.example.org]:2200", "[berlin.example.org]:2200"),
        ("[fd51:0::2]", "fd51::2"),
        ("fd51:0:*", "fd51:0:*"),
        ("[fd51:0:*]:22*", "[fd51:0:*]:22*"),
        ("192.0.2.*", "192.0.2.*"),
        ("[", "["),
        ("!", "!"),
    ] {
        assert_eq!(canonical_pattern(written), expected, "{written}");
    }
}

#[test]
fn s6_all_names_of_a_host() {
    let names = |name, port, alias| Names::of(&Host { name, port, alias });
    let mapped = names("::ffff:192.0.2.1", 2222, None);
    assert_eq!(mapped.own, ["[192.0.2.1]:2222", "[::ffff:192.0.2.1]:2222"]);
    assert_eq!(mapped.plain, ["192.0.2.1", "::ffff:192.0.2.1"]);
    let scoped = names("fe80:0::1%nowhere0", 22, None);
    assert_eq!(scoped.own, ["fe80::1%nowhere0", "fe80:0::1%nowhere0"]);
    assert_eq!(scoped.revocable, ["fe80::1%nowhere0", "fe80:0::1%nowhere0", "fe80::1"]);
    let name = names("Berlin.example.org.", 22, None);
    assert_eq!(name.own, ["berlin.example.org."]);
    assert_eq!(name.revocable, ["berlin.example.org.", "berlin.example.org"]);
    let alias = names("fd51:0::2", 2222, Some("Lab"));
    assert_eq!(alias.own, ["lab", "Lab"]);
}

proptest! {
    #[test]
    fn one_form_is_final(name in "[0-9a-fA-FxX:.%!\\[\\]]{0,40}") {
        let once = canonical_pattern(&name);
        prop_assert_eq!(canonical_pattern(&once), once);
    }

    #[test]
    fn every_spelling_of_an_address_is_one(bits: u128) {
        let address = std::net::Ipv6Addr::from_bits(bits);
        let long = address.segments().map(|segment| format!("{segment:04X}")).join(":");
        prop_assert_eq!(canonical(&long), canonical(&address.to_string()));
    }
}
