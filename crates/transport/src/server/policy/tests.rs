#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use tapline_frame::Offloads;

use super::*;

fn wanted(dialect: Dialect, mode: Mode, unit: Unit) -> Wanted {
    Wanted { dialect, mode, unit, mtu: None, takes: Offloads::NONE, bundle: None }
}

fn refusal(answer: OpenAnswer) -> (u32, String, Option<String>) {
    match answer {
        OpenAnswer::Refuse { reason, description, debug } => (reason, description, debug),
        other => panic!("{other:?}"),
    }
}

#[test]
fn permit_tunnel_is_about_the_mode() {
    let table = [
        (PermitTunnel::No, false, false),
        (PermitTunnel::PointToPoint, true, false),
        (PermitTunnel::Ethernet, false, true),
        (PermitTunnel::Yes, true, true),
    ];
    for (permit, point_to_point, ethernet) in table {
        for (mode, allowed) in [(Mode::PointToPoint, point_to_point), (Mode::Ethernet, ethernet)] {
            let decided = decide(permit, TunnelGrant::Free, &wanted(Dialect::Stock, mode, Unit::Any));
            assert_eq!(decided.is_ok(), allowed, "{permit:?} {mode:?}");
        }
    }
}

#[test]
fn the_keys_tunnel_option_is_honoured_as_in_openssh() {
    let decide = |grant, unit| {
        decide(PermitTunnel::Yes, grant, &wanted(Dialect::Stock, Mode::Ethernet, unit))
            .map_err(|r| r.answer())
    };
    let seven = TunnelGrant::Forced(Unit::Number(7));
    assert_eq!(decide(seven, Unit::Any).unwrap(), (Unit::Number(7), true));
    assert_eq!(decide(seven, Unit::Number(7)).unwrap(), (Unit::Number(7), true));
    assert_eq!(decide(TunnelGrant::Free, Unit::Number(3)).unwrap(), (Unit::Number(3), false));
    assert_eq!(decide(TunnelGrant::Forced(Unit::Any), Unit::Any).unwrap(), (Unit::Any, false));
    for (grant, unit) in [(seven, Unit::Number(8)), (TunnelGrant::Forced(Unit::Any), Unit::Number(0))] {
        let (reason, description, debug) = refusal(decide(grant, unit).unwrap_err());
        assert_eq!((reason, description.as_str()), (2, "open failed"));
        assert_eq!(debug.as_deref(), Some("Failed to open the tunnel device."));
    }
}

#[test]
fn a_restricted_key_is_rejected_in_openssh_words() {
    let refused =
        decide(PermitTunnel::Yes, TunnelGrant::No, &wanted(Dialect::Stock, Mode::Ethernet, Unit::Any));
    let (reason, description, debug) = refusal(refused.unwrap_err().answer());
    assert_eq!((reason, description.as_str()), (2, "open failed"));
    assert_eq!(debug.as_deref(), Some("Server has rejected tunnel device forwarding"));
}

#[test]
fn native_refusals_say_why_in_the_failure_itself() {
    let refused =
        decide(PermitTunnel::No, TunnelGrant::Free, &wanted(Dialect::Native, Mode::Ethernet, Unit::Any));
    let (reason, description, debug) = refusal(refused.unwrap_err().answer());
    assert_eq!((reason, debug), (1, None));
    assert!(description.contains("rejected tunnel"), "{description}");
    assert!(description.contains("permit-tunnel"), "{description}");
}

#[test]
fn a_mode_nobody_knows_is_refused_in_openssh_words() {
    let refused = parse(Some(stock::CHANNEL_TYPE), &[0, 0, 0, 9, 0, 0, 0, 0]).unwrap_err();
    let (reason, description, debug) = refusal(refused.answer());
    assert_eq!((reason, description.as_str()), (2, "open failed"));
    assert_eq!(debug.as_deref(), Some("Unsupported tunnel device mode."));
}

#[test]
fn another_version_is_refused_by_name() {
    let mut payload = Vec::new();
    records::Open { mode: Mode::Ethernet, unit: None, features: Offloads::NONE, bundle: None, mtu: None }
        .encode(&mut payload);
    *payload.get_mut(3).unwrap() = 2;
    let (reason, description, _) =
        refusal(parse(Some(records::CHANNEL_TYPE), &payload).unwrap_err().answer());
    assert_eq!(
        (reason, description.as_str()),
        (2, "tapline channel version 2 is not supported; this side speaks 1")
    );
}

#[test]
fn other_channels_are_told_what_is_served_here() {
    for kind in [None, Some("x@example.org"), Some("")] {
        let (reason, description, debug) = refusal(parse(kind, &[]).unwrap_err().answer());
        assert_eq!((reason, debug), (1, None));
        assert!(description.contains("ssh -N -w"), "{description}");
    }
}

proptest! {
    #[test]
    fn any_payload_gets_an_answer_that_ssh_can_carry(
        kind in prop::option::of(prop::sample::select(vec![stock::CHANNEL_TYPE, records::CHANNEL_TYPE, "session"])),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        if let Err(refused) = parse(kind, &payload) {
            let (reason, description, _) = refusal(refused.answer());
            prop_assert!((1..=4).contains(&reason));
            prop_assert!(description.len() < 200 && !description.chars().any(char::is_control));
        }
    }
}
