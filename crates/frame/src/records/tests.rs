use proptest::prelude::*;

use super::*;
use crate::{Gso, Offloads};

fn records(message: &[u8]) -> Vec<Result<Record<'_>, RecordError>> {
    decode(Mode::Ethernet, message).collect()
}

#[test]
fn a_plain_frame_costs_four_bytes() {
    let frame = [0x5a; 60];
    let mut out = Vec::new();
    encode_frame(Mode::Ethernet, &NetHeader::default(), &frame, &mut out).unwrap();
    assert_eq!(out[..4], [2, 0, 0, 60]);
    assert_eq!(out[4..], frame);
    assert_eq!(frame_record_len(&NetHeader::default(), 60), out.len());
    assert_eq!(records(&out), [Ok(Record::Frame { header: NetHeader::default(), bytes: &frame })]);
}

#[test]
fn a_super_frame_carries_its_net_header() {
    let header = NetHeader {
        needs_csum: true,
        gso: Gso::TcpV4,
        hdr_len: 54,
        gso_size: 1448,
        csum_start: 34,
        csum_offset: 16,
        ..NetHeader::default()
    };
    let frame = vec![7; 60_000];
    let mut out = Vec::new();
    encode_frame(Mode::Ethernet, &header, &frame, &mut out).unwrap();
    // 60010 = 0x00ea6a, then flags, gso type and four little-endian numbers.
    assert_eq!(out[..14], [1, 0, 0xea, 0x6a, 1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0]);
    assert_eq!(frame_record_len(&header, frame.len()), out.len());
    assert_eq!(records(&out), [Ok(Record::Frame { header, bytes: &frame })]);
}

#[test]
fn a_voucher_for_a_checksum_does_not_travel() {
    let header = NetHeader { data_valid: true, ..NetHeader::default() };
    let mut out = Vec::new();
    encode_frame(Mode::Ethernet, &header, &[0; 14], &mut out).unwrap();
    assert_eq!(records(&out), [Ok(Record::Frame { header: NetHeader::default(), bytes: &[0; 14] })]);
}

#[test]
fn hello_comes_first() {
    let hello =
        Hello { version: 1, features: Offloads::ALL, bundled: false, device: "tap3", mtu: Some(1500) };
    let mut out = Vec::new();
    encode_hello(&hello, &mut out);
    let expected = [
        &[0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 12][..],
        b"vnet,tso,uso",
        &[0, 0, 0, 4],
        b"tap3",
        &[0, 0, 5, 0xdc],
    ]
    .concat();
    assert_eq!(out, expected);
    assert_eq!(records(&out), [Ok(Record::Hello(hello))]);
}

#[test]
fn ping_and_pong() {
    let mut out = encode_ping(*b"12345678").to_vec();
    out.extend(encode_pong(*b"abcdefgh"));
    assert_eq!(out[..4], [3, 0, 0, 8]);
    assert_eq!(out[12..16], [4, 0, 0, 8]);
    assert_eq!(records(&out), [Ok(Record::Ping(*b"12345678")), Ok(Record::Pong(*b"abcdefgh"))]);
    assert_eq!(records(&[3, 0, 0, 1, 9]), [Err(RecordError::PingLength(1))]);
}

#[test]
fn unknown_kinds_are_skipped_from_0x80_on_and_fatal_below() {
    let mut out = vec![0x80, 0, 0, 2, 1, 2, 0xff, 0, 0, 0];
    out.extend(encode_ping([0; 8]));
    assert_eq!(records(&out), [Ok(Record::Ping([0; 8]))]);
    let mut out = vec![0x05, 0, 0, 0];
    out.extend(encode_ping([0; 8]));
    assert_eq!(records(&out), [Err(RecordError::UnknownKind(5))]);
}

#[test]
fn a_bad_frame_is_lost_alone() {
    let mut out = vec![2, 0, 0, 1, 0];
    out.extend([1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([1, 0, 0, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(encode_ping([1; 8]));
    let got = records(&out);
    assert!(matches!(got[0], Err(RecordError::Unfit(Unfit::TooShort { len: 1, .. }))));
    assert_eq!(got[1], Err(RecordError::NoNetHeader(9)));
    assert_eq!(got[2], Err(RecordError::NetHeader(NetHeaderError::UnknownFlags(0x80))));
    assert_eq!(got[3], Ok(Record::Ping([1; 8])));
    assert_eq!(got.len(), 4);
}

#[test]
fn frames_no_tunnel_carries_are_not_sent() {
    let mut out = Vec::new();
    for len in [0, 1, 13, 70_000] {
        assert!(encode_frame(Mode::Ethernet, &NetHeader::default(), &vec![0; len], &mut out).is_err());
    }
    assert!(encode_frame(Mode::PointToPoint, &NetHeader::default(), &[0; 60], &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn a_record_never_spans_messages() {
    let mut out = Vec::new();
    encode_frame(Mode::Ethernet, &NetHeader::default(), &[3; 100], &mut out).unwrap();
    for cut in 1..out.len() {
        assert_eq!(records(&out[..cut]), [Err(RecordError::Truncated(cut))]);
    }
    assert!(records(&[]).is_empty());
}

#[test]
fn open_message_golden_bytes() {
    let open = Open {
        mode: Mode::Ethernet,
        unit: None,
        features: Offloads { uso: false, ..Offloads::ALL },
        bundle: None,
        mtu: Some(1500),
    };
    let mut out = Vec::new();
    open.encode(&mut out);
    let expected =
        [&[0, 0, 0, 1, 0, 0, 0, 2, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 8][..], b"vnet,tso", &[0, 0, 5, 0xdc]]
            .concat();
    assert_eq!(out, expected);
    assert_eq!(Open::decode(&out), Ok(open));
}

#[test]
fn a_later_version_is_refused_by_name_whatever_follows() {
    let refused = Open::decode(&[0, 0, 0, 2, 0xde, 0xad]).unwrap_err();
    assert_eq!(refused.to_string(), "tapline channel version 2 is not supported; this side speaks 1");
    assert_eq!(records(&[0, 0, 0, 4, 0, 0, 0, 2]), [Err(MalformedHello::Version(2).into())]);
}

#[test]
fn open_messages_are_checked_field_by_field() {
    let message = |mode: u32, unit: u32, features: &[u8], mtu: u32| {
        let mut out = Vec::new();
        for field in [1, mode, unit, features.len() as u32] {
            out.extend(field.to_be_bytes());
        }
        out.extend(features);
        out.extend(mtu.to_be_bytes());
        out
    };
    let good = message(1, 3, b"tso,later,vnet", 0);
    let open = Open::decode(&good).unwrap();
    assert_eq!(open.features, Offloads { uso: false, ..Offloads::ALL });
    assert_eq!((open.mode, open.unit, open.mtu), (Mode::PointToPoint, Some(3), None));
    for cut in 0..good.len() {
        assert_eq!(Open::decode(&good[..cut]), Err(OpenError::Truncated));
    }
    assert_eq!(Open::decode(&[&good[..], b"x"].concat()), Err(OpenError::Trailing(1)));
    assert_eq!(Open::decode(&message(3, 0, b"", 0)), Err(OpenError::Mode(3)));
    assert_eq!(Open::decode(&message(1, 0x7fff_fffe, b"", 0)), Err(OpenError::Unit(0x7fff_fffe)));
    assert_eq!(Open::decode(&message(1, 0, b"vnet,", 0)), Err(OpenError::Features));
    assert_eq!(Open::decode(&message(1, 0, b"vn et", 0)), Err(OpenError::Features));
    assert_eq!(Open::decode(&message(1, 0, &[b'a'; 1025], 0)), Err(OpenError::Features));
    assert_eq!(Open::decode(&message(1, 0, b"", 67)), Err(OpenError::Mtu(67)));
    assert_eq!(Open::decode(&message(1, 0, b"", 65536)), Err(OpenError::Mtu(65536)));
    // Segmentation without the header that describes it means nothing.
    assert_eq!(Open::decode(&message(1, 0, b"tso", 0)).unwrap().features, Offloads::NONE);
}

#[test]
fn a_device_name_is_fit_to_be_shown() {
    for device in ["", "tap 1", "sixteen-letters-", "tap\u{1b}[2J", "täp"] {
        let mut out = Vec::new();
        encode_hello(
            &Hello { version: 1, features: Offloads::NONE, bundled: false, device, mtu: None },
            &mut out,
        );
        assert_eq!(records(&out), [Err(MalformedHello::Device.into())], "{device}");
    }
}

fn any_header() -> impl Strategy<Value = NetHeader> {
    let gso = prop_oneof![Just(Gso::None), Just(Gso::TcpV4), Just(Gso::TcpV6), Just(Gso::UdpL4)];
    (any::<(bool, bool, u16, u16, u16, u16)>(), gso).prop_map(
        |((needs_csum, gso_ecn, hdr_len, gso_size, csum_start, csum_offset), gso)| NetHeader {
            needs_csum,
            data_valid: false,
            gso,
            gso_ecn,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    )
}

proptest! {
    #[test]
    fn frames_survive_the_trip(
        frames in prop::collection::vec((any_header(), prop::collection::vec(any::<u8>(), 14..100)), 0..20),
    ) {
        let mut out = Vec::new();
        let mut expected_len = 0;
        for (header, frame) in &frames {
            encode_frame(Mode::Ethernet, header, frame, &mut out).unwrap();
            expected_len += frame_record_len(header, frame.len());
        }
        prop_assert_eq!(out.len(), expected_len);
        let got = records(&out);
        prop_assert_eq!(got.len(), frames.len());
        for (record, (header, frame)) in got.iter().zip(&frames) {
            let header = if header.is_plain() { NetHeader::default() } else { *header };
            prop_assert_eq!(record, &Ok(Record::Frame { header, bytes: frame.as_slice() }));
        }
    }

    #[test]
    fn decoding_is_total_and_ends(ethernet: bool, message in prop::collection::vec(any::<u8>(), 0..300)) {
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        let mut fatal = false;
        for record in decode(mode, &message).take(message.len() + 1) {
            prop_assert!(!fatal, "nothing follows a fatal error");
            fatal = record.is_err_and(|e| e.is_fatal());
        }
        let _ = Open::decode(&message);
    }
}
