#![allow(clippy::unwrap_used)]

use super::*;

const ETHERNET: Mode = Mode::Ethernet;
const POINT_TO_POINT: Mode = Mode::PointToPoint;

/// Reserved: tap3 by a link, tap7 by bonn, which has a bridge, and tap8 and tun8 by dresden.
fn config() -> Config {
    let key = |number: u8| {
        format!(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}",
            ["AABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f", "CAfHh0cGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIB"]
                [usize::from(number)]
        )
    };
    let text = format!(
        "server:\n  permit-tunnel: yes\n  accept:\n    bonn: {{public-key: {}, tunnel-device: 7, bridge: br0}}\n    \
         dresden: {{public-key: {}, tunnel-device: 8}}\n\
         links:\n  berlin: {{host: b, tunnel-device: 3}}\nbridges: {{br0: {{}}}}\n",
        key(0),
        key(1)
    );
    Config::from_str("test.yaml", &text).unwrap()
}

fn given(unit: Option<config::Unit>) -> Accept {
    Accept { tunnel_device: unit, ..Accept::default() }
}

fn decide(accept: Option<(&str, &Accept)>, mode: Mode, unit: Unit, is_named: bool) -> Result<Grant, String> {
    let named = BTreeSet::from([5]);
    let asked = Asked { mode, unit, is_named, named: &named };
    Grant::decide(accept, asked, &Reserved::of(&config())).map_err(|refused| refused.0)
}

#[test]
fn t2_without_tunnel_device_a_number_is_given_that_nothing_names() {
    let leipzig = given(None);
    for accept in [None, Some(("leipzig", &leipzig))] {
        assert_eq!(decide(accept, ETHERNET, Unit::Number(9), false), Ok(Grant::New(9)));
        assert_eq!(decide(accept, ETHERNET, Unit::Any, false), Ok(Grant::Any));
        // tun7 and tun3 are not tap7 and tap3.
        assert_eq!(decide(accept, POINT_TO_POINT, Unit::Number(7), false), Ok(Grant::New(7)));
        assert_eq!(decide(accept, POINT_TO_POINT, Unit::Number(3), false), Ok(Grant::New(3)));
        for (mode, unit) in [(ETHERNET, 3), (ETHERNET, 7), (ETHERNET, 8), (POINT_TO_POINT, 8), (ETHERNET, 5)]
        {
            let refused = decide(accept, mode, Unit::Number(unit), false).unwrap_err();
            assert!(refused.contains(&format!("number {unit} is another")), "{refused}");
        }
    }
}

#[test]
fn t2_with_tunnel_device_any_no_number_is_given() {
    let leipzig = given(Some(config::Unit::Any));
    let accept = Some(("leipzig", &leipzig));
    assert_eq!(decide(accept, ETHERNET, Unit::Any, false), Ok(Grant::Any));
    for unit in [0, 3, 5, 7, 9, Unit::MAX] {
        assert!(decide(accept, ETHERNET, Unit::Number(unit), false).is_err(), "{unit}");
    }
}

#[test]
fn t2_a_number_that_is_given_is_the_only_one() {
    let dresden = given(Some(config::Unit::Number(8)));
    let accept = Some(("dresden", &dresden));
    for unit in [Unit::Any, Unit::Number(8)] {
        assert_eq!(decide(accept, ETHERNET, unit, false), Ok(Grant::Named(8)));
    }
    for unit in [0, 3, 7, 9] {
        let refused = decide(accept, ETHERNET, Unit::Number(unit), false).unwrap_err();
        assert!(refused.contains("tunnel-device 8") && refused.contains(&unit.to_string()), "{refused}");
    }
}

#[test]
fn t2_a_line_of_authorized_keys_names_a_device_too_but_not_that_of_another_link() {
    assert_eq!(decide(None, ETHERNET, Unit::Number(5), true), Ok(Grant::Named(5)));
    let any = given(Some(config::Unit::Any));
    assert_eq!(decide(Some(("leipzig", &any)), ETHERNET, Unit::Number(5), true), Ok(Grant::Named(5)));
    for unit in [3, 7, 8] {
        assert!(decide(None, ETHERNET, Unit::Number(unit), true).is_err(), "{unit}");
    }
}

#[test]
fn n13_a_device_of_another_number_does_not_meet_a_wish() {
    for grant in [Grant::New(8), Grant::Named(8)] {
        assert!(grant.is_met_by(ETHERNET, "tap8"));
        for other in ["tap7", "tap9", "tap08", "tun8", "tap", "lpz8", ""] {
            assert!(!grant.is_met_by(ETHERNET, other), "{grant:?} {other:?}");
        }
    }
    assert!(Grant::Any.is_met_by(ETHERNET, "tap7") && Grant::Any.is_met_by(ETHERNET, "lpz0"));
    let called = Grant::Called("lpz0".to_owned());
    assert!(called.is_met_by(ETHERNET, "lpz0") && !called.is_met_by(ETHERNET, "tap0"));
}

#[test]
fn t2_a_peer_with_a_name_of_its_own_gets_no_number() {
    let leipzig = Accept { set_name: Some("lpz0".parse().unwrap()), ..Accept::default() };
    let accept = Some(("leipzig", &leipzig));
    assert_eq!(decide(accept, ETHERNET, Unit::Any, false), Ok(Grant::Called("lpz0".to_owned())));
    for unit in [0, 7, 9] {
        assert!(decide(accept, ETHERNET, Unit::Number(unit), false).is_err(), "{unit}");
    }
}

#[test]
fn t2_the_next_free_number_is_nobody_elses() {
    let there = |number: u32| [0, 2, 6].contains(&number);
    let make = |unit: Unit, is_new: bool| {
        assert!(is_new);
        match unit {
            Unit::Number(unit) if there(unit) => Err(OpenError::Exists { interface: format!("tap{unit}") }),
            unit => Ok(unit),
        }
    };
    for (taken, got) in [(vec![1], 3), (vec![1, 3, 4], 5), (vec![9], 1), (vec![1, 3, 4, 5], 7)] {
        assert_eq!(next_free(&taken.into_iter().collect(), make).unwrap(), Unit::Number(got));
    }
    assert_eq!(next_free(&BTreeSet::new(), make).unwrap(), Unit::Any);
    let broken = next_free(&BTreeSet::from([0]), |_, _| Err::<Unit, _>(OpenError::NoDriver));
    assert!(matches!(broken, Err(OpenError::NoDriver)));
}
