use proptest::prelude::*;

use super::*;

#[test]
fn names_follow_the_kernel() {
    for good in ["lo", "br-lab", "eth0.100", "a", "fifteen-letters", "wlp3s0@x"] {
        assert_eq!(good.parse::<InterfaceName>().unwrap().as_str(), good);
    }
    for bad in ["", ".", "..", "a/b", "a b", "eth0:1", "tap%d", "sixteen-letters-", "a\u{0}", "a\nb"] {
        assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let error = "a/b".parse::<InterfaceName>().unwrap_err().to_string();
    assert_eq!(error, "interface name `a/b` contains '/'; leave out spaces, `/`, `:` and `%`");
}

#[test]
fn a_mac_address_is_six_pairs() {
    assert_eq!("02:00:5E:00:53:01".parse::<MacAddress>().unwrap().to_string(), "02:00:5e:00:53:01");
    for bad in [
        "",
        "02:00:5e:00:53",
        "02:00:5e:00:53:01:02",
        "02:00:5e:00:53:1",
        "02:00:5e:00:53:+1",
        "é2:00:5e:00:53:01",
    ] {
        assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_errs(text in ".*") {
        let _ = text.parse::<MacAddress>();
        if let Ok(name) = text.parse::<InterfaceName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn mac_addresses_round_trip(octets: [u8; 6]) {
        let address = MacAddress(octets);
        prop_assert_eq!(address.to_string().parse::<MacAddress>().unwrap(), address);
    }
}
