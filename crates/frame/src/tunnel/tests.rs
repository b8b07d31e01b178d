use proptest::prelude::*;

use super::*;

fn frame_of(mode: Mode, data: &[u8]) -> Result<&[u8], DecodeError> {
    decode(mode, data).map(|datagram| datagram.frame)
}

fn ipv4(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x45;
    packet
}

fn ipv6(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x60;
    packet
}

#[test]
fn ethernet_frames_travel_bare() {
    let frame = [0xab; 60];
    let mut out = Vec::new();
    assert_eq!(encode(Mode::Ethernet, &frame, &mut out), Ok(60));
    assert_eq!(out, frame);
    assert_eq!(frame_of(Mode::Ethernet, &out), Ok(frame.as_slice()));
}

#[test]
fn packets_follow_their_address_family() {
    for (packet, family) in [(ipv4(20), [0, 0, 0, 2]), (ipv6(40), [0, 0, 0, 24])] {
        let mut out = Vec::new();
        assert_eq!(encode(Mode::PointToPoint, &packet, &mut out), Ok(packet.len() + 4));
        assert_eq!(out[..4], family);
        assert_eq!(out[4..], packet);
        assert_eq!(decode(Mode::PointToPoint, &out), Ok(Datagram { frame: &packet, odd_family: None }));
    }
}

#[test]
fn nothing_that_silences_an_openssh_server_is_sent() {
    for len in [0, 1, 13] {
        let refused = prefix(Mode::Ethernet, &vec![0; len]);
        assert_eq!(refused, Err(Unfit::TooShort { what: "Ethernet frame", len, min: 14 }));
    }
    assert_eq!(prefix(Mode::PointToPoint, &[]), Err(Unfit::TooShort { what: "IP packet", len: 0, min: 20 }));
    for len in [1, 3, 4, 19] {
        assert!(prefix(Mode::PointToPoint, &ipv4(len)).is_err(), "{len}");
    }
    assert!(prefix(Mode::PointToPoint, &ipv6(39)).is_err());
    assert_eq!(prefix(Mode::PointToPoint, &[0; 60]), Err(Unfit::IpVersion(0)));
}

#[test]
fn the_longest_datagrams_are_those_openssh_accepts() {
    assert!(prefix(Mode::Ethernet, &vec![0; 32764]).is_ok());
    assert_eq!(prefix(Mode::Ethernet, &vec![0; 32765]), Err(Unfit::TooLong { len: 32765, max: 32764 }));
    assert!(prefix(Mode::PointToPoint, &ipv6(32760)).is_ok());
    assert_eq!(prefix(Mode::PointToPoint, &ipv6(32761)), Err(Unfit::TooLong { len: 32761, max: 32760 }));
}

#[test]
fn a_refused_frame_leaves_the_buffer_alone() {
    let mut out = vec![1, 2, 3];
    assert!(encode(Mode::Ethernet, &[0; 13], &mut out).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn hostile_datagrams_are_refused_by_kind() {
    assert!(matches!(decode(Mode::Ethernet, &[0; 13]), Err(DecodeError::Unfit(Unfit::TooShort { .. }))));
    assert!(matches!(
        decode(Mode::Ethernet, &vec![0; 70000]),
        Err(DecodeError::Unfit(Unfit::TooLong { .. }))
    ));
    let l3 = |data: &[u8]| frame_of(Mode::PointToPoint, data).map(<[u8]>::len);
    assert_eq!(l3(&[0, 0, 0]), Err(DecodeError::NoFamily(3)));
    assert!(matches!(l3(&[0, 0, 0, 2]), Err(DecodeError::Unfit(Unfit::TooShort { .. }))));
    assert!(matches!(l3(&[0, 0, 0, 24, 0x50]), Err(DecodeError::Unfit(Unfit::IpVersion(5)))));
}

#[test]
fn n15_the_version_of_the_packet_decides_whatever_the_address_family_says() {
    let odd = |family: u32, packet: &[u8]| {
        let data = [&family.to_be_bytes(), packet].concat();
        let datagram = decode(Mode::PointToPoint, &data).unwrap();
        assert_eq!(datagram.frame, packet, "{family}");
        datagram.odd_family
    };
    // AF_INET6 of Linux, FreeBSD and macOS, of a little-endian host, and nothing at all.
    for family in [10, 28, 30, 0x0a00_0000, 0x86dd, 0, u32::MAX] {
        assert_eq!(odd(family, &ipv6(60)), Some(family));
        assert_eq!(odd(family, &ipv4(60)), Some(family));
    }
    assert_eq!(odd(2, &ipv6(60)), Some(2));
    assert_eq!(odd(24, &ipv4(60)), Some(24));
    assert_eq!(odd(24, &ipv6(60)), None);
    assert_eq!(odd(2, &ipv4(60)), None);
    for packet in [&[0x50; 60][..], &[0; 60], &ipv6(39), &ipv4(19), &[]] {
        assert!(decode(Mode::PointToPoint, &[&[0, 0, 0, 10], packet].concat()).is_err());
    }
}

#[test]
fn open_messages_are_openssh_s() {
    let open = Open { mode: Mode::Ethernet, unit: None };
    assert_eq!(open.encode(), [0, 0, 0, 2, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(Open::decode(&open.encode()), Ok(open));
    let open = Open { mode: Mode::PointToPoint, unit: Some(7) };
    assert_eq!(open.encode(), [0, 0, 0, 1, 0, 0, 0, 7]);
    assert_eq!(Open::decode(&open.encode()), Ok(open));

    assert_eq!(Open::decode(&[0; 7]), Err(OpenError::Length(7)));
    assert_eq!(Open::decode(&[0; 9]), Err(OpenError::Length(9)));
    assert_eq!(Open::decode(&[0, 0, 0, 3, 0, 0, 0, 0]), Err(OpenError::Mode(3)));
    assert_eq!(Open::decode(&[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xfe]), Err(OpenError::Unit(0x7fff_fffe)));
    assert_eq!(OpenError::Mode(3).to_string(), "Unsupported tunnel device mode.");
}

proptest! {
    #[test]
    fn what_is_sent_is_what_arrives(
        ethernet: bool,
        first in 0x40_u8..0x70,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        let mut frame = vec![first];
        frame.extend(body);
        let mut out = Vec::new();
        if encode(mode, &frame, &mut out).is_ok() {
            prop_assert_eq!(decode(mode, &out), Ok(Datagram { frame: &frame, odd_family: None }));
        } else {
            prop_assert!(out.is_empty());
        }
    }

    #[test]
    fn decoding_is_total(ethernet: bool, data in prop::collection::vec(any::<u8>(), 0..100)) {
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        if let Ok(frame) = frame_of(mode, &data) {
            prop_assert!(crate::guard::check(mode, frame).is_ok());
        }
        let _ = Open::decode(&data);
    }
}
