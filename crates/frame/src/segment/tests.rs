use proptest::prelude::*;

use super::*;
use crate::guard::IpVersion;
use crate::samples::{ACK, CWR, FIN, PSH, Sample, any_sample, judge};
use crate::view::read_u16;

fn pieces(mode: Mode, header: &NetHeader, frame: &[u8], cut: Cut) -> Vec<(NetHeader, Vec<u8>)> {
    let mut pieces = Vec::new();
    let count = segment(mode, header, frame, cut, |header, head, payload| {
        pieces.push((*header, [head, payload].concat()));
    });
    assert_eq!(count, Ok(pieces.len()));
    pieces
}

#[test]
fn tcp_over_ipv4_as_a_kernel_would() {
    let sample = Sample { flags: ACK | PSH | FIN | CWR, ..Sample::tcp(IpVersion::V4, (0..250).collect()) };
    let (header, frame) = sample.super_frame(100);
    let frames = pieces(Mode::Ethernet, &header, &frame, Cut::Frames);
    let expected = [
        Sample { payload: (0..100).collect(), flags: ACK | CWR, ..sample.clone() },
        Sample { payload: (100..200).collect(), flags: ACK, seq: 1_000_100, id: 101, ..sample.clone() },
        Sample { payload: (200..250).collect(), flags: ACK | PSH | FIN, seq: 1_000_200, id: 102, ..sample },
    ];
    assert_eq!(frames.len(), 3);
    for ((header, frame), expected) in frames.iter().zip(expected) {
        assert_eq!(*header, NetHeader::default());
        assert_eq!(*frame, expected.build());
    }
}

#[test]
fn udp_over_ipv6_behind_tags_and_extension_headers() {
    let sample = Sample {
        tags: vec![100, 200],
        extensions: vec![0, 43, 60],
        ..Sample::udp(IpVersion::V6, (0..250).collect())
    };
    let (header, frame) = sample.super_frame(100);
    let frames = pieces(Mode::Ethernet, &header, &frame, Cut::Frames);
    let expected = [
        Sample { payload: (0..100).collect(), ..sample.clone() },
        Sample { payload: (100..200).collect(), ..sample.clone() },
        Sample { payload: (200..250).collect(), ..sample },
    ];
    assert_eq!(frames.len(), 3);
    for ((_, frame), expected) in frames.iter().zip(expected) {
        assert_eq!(*frame, expected.build());
    }
}

#[test]
fn numbers_wrap_around() {
    let sample = Sample { id: 0xffff, seq: 0xffff_fffe, ..Sample::tcp(IpVersion::V4, vec![1; 20]) };
    let (header, frame) = sample.super_frame(10);
    let frames = pieces(Mode::Ethernet, &header, &frame, Cut::Frames);
    let second = Sample { id: 0, seq: 8, payload: vec![1; 10], ..sample };
    assert_eq!(frames[1].1, second.build());
}

#[test]
fn an_ordinary_frame_is_one_piece() {
    let sample = Sample::tcp(IpVersion::V4, vec![1; 20]);
    let frame = sample.build();
    let whole = pieces(Mode::Ethernet, &NetHeader::default(), &frame, Cut::Frames);
    assert_eq!(whole, [(NetHeader::default(), frame)]);

    let (header, frame) = sample.partial();
    assert_eq!(
        pieces(Mode::Ethernet, &header, &frame, Cut::Frames),
        [(NetHeader::default(), sample.build())]
    );
    let cut = Cut::SuperFrames { max_len: 10 };
    assert_eq!(pieces(Mode::Ethernet, &header, &frame, cut), [(header, frame)]);
}

#[test]
fn shorter_super_frames_hold_whole_segments() {
    let sample = Sample { flags: ACK | PSH | CWR, ..Sample::tcp(IpVersion::V6, vec![7; 10_000]) };
    let (header, frame) = sample.super_frame(1000);
    let cut = pieces(Mode::Ethernet, &header, &frame, Cut::SuperFrames { max_len: 3_100 });
    let lengths: Vec<_> = cut.iter().map(|(_, frame)| frame.len() - usize::from(header.hdr_len)).collect();
    assert_eq!(lengths, [3000, 3000, 3000, 1000]);
    assert_eq!(cut[0].0, header);
    assert_eq!(cut[1].0, NetHeader { gso_ecn: false, ..header });
    assert_eq!(cut[3].0.gso, Gso::None);
    assert!(cut[3].0.needs_csum);
    // Too short for anything, one segment goes nevertheless.
    assert_eq!(pieces(Mode::Ethernet, &header, &frame, Cut::SuperFrames { max_len: 0 }).len(), 10);
}

#[test]
fn endless_headers_are_not_repeated() {
    let sample = Sample { extensions: vec![60; 7], ..Sample::tcp(IpVersion::V6, vec![7; 3000]) };
    let (header, mut frame) = sample.super_frame(1000);
    // The first extension header grows by 512 bytes.
    let start = 14 + 40;
    frame[start + 1] = 64;
    frame.splice(start + 8..start + 8, vec![0; 512]);
    let len = u16::try_from(frame.len() - start).unwrap().to_be_bytes();
    frame[18..20].copy_from_slice(&len);
    let header = NetHeader { csum_start: header.csum_start + 512, ..header };
    let refused = segment(Mode::Ethernet, &header, &frame, Cut::Frames, |_, _, _| panic!("called"));
    assert!(matches!(refused, Err(SegmentError::Headers(_))), "{refused:?}");
}

#[test]
fn a_lying_header_never_reaches_the_sink() {
    let (header, frame) = Sample::tcp(IpVersion::V4, vec![1; 3000]).super_frame(1000);
    let lying = NetHeader { csum_start: 1, ..header };
    let refused = segment(Mode::Ethernet, &lying, &frame, Cut::Frames, |_, _, _| panic!("called"));
    assert!(matches!(refused, Err(SegmentError::Refusal(_))));
}

proptest! {
    #[test]
    fn every_segment_is_a_good_frame(sample in any_sample(5000), gso_size in 64_u16..1500) {
        let (header, frame) = sample.super_frame(gso_size);
        let mut payload = Vec::new();
        for (index, (header, frame)) in pieces(sample.mode, &header, &frame, Cut::Frames).iter().enumerate() {
            prop_assert_eq!(*header, NetHeader::default());
            let segment = judge(sample.mode, frame);
            prop_assert!(segment.len() <= usize::from(gso_size));
            payload.extend(segment);
            if sample.version == IpVersion::V4 {
                let ip = Layout::parse(sample.mode, frame).ip.unwrap();
                prop_assert_eq!(read_u16(frame, ip.start + 4), Some(sample.id.wrapping_add(index as u16)));
            }
        }
        prop_assert_eq!(payload, sample.payload);
    }

    #[test]
    fn cutting_twice_is_cutting_once(sample in any_sample(5000), gso_size in 64_u16..1500, max_len in 0_usize..6000) {
        let (header, frame) = sample.super_frame(gso_size);
        let once = pieces(sample.mode, &header, &frame, Cut::Frames);
        let mut twice = Vec::new();
        for (header, piece) in pieces(sample.mode, &header, &frame, Cut::SuperFrames { max_len }) {
            prop_assert!(piece.len() <= max_len.max(usize::from(gso_size) + 300));
            twice.extend(pieces(sample.mode, &header, &piece, Cut::Frames));
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn without_its_first_segment_the_others_are_the_same(sample in any_sample(5000), gso_size in 64_u16..1500) {
        // CWR moves on with the headers, so that its news is not lost.
        let sample = Sample { flags: sample.flags & !CWR, ..sample };
        let (mut header, mut frame) = sample.super_frame(gso_size);
        let before = pieces(sample.mode, &header, &frame, Cut::Frames);
        let dropped = drop_first(sample.mode, &mut header, &mut frame);
        prop_assert_eq!(dropped.is_some(), before.len() > 1);
        if let Some(start) = dropped {
            prop_assert_eq!(&pieces(sample.mode, &header, &frame[start..], Cut::Frames)[..], &before[1..]);
        }
    }

    #[test]
    fn hostile_headers_do_no_harm(
        sample in any_sample(1000),
        bytes: [u8; 10],
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ethernet: bool,
    ) {
        let (header, mut frame) = sample.super_frame(100);
        for (at, value) in flips {
            let at = at.index(frame.len().min(100));
            frame[at] = value;
        }
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        let mut total = 0;
        for header in [Ok(header), NetHeader::decode(&bytes)].into_iter().flatten() {
            let _ = segment(mode, &header, &frame, Cut::Frames, |_, head, payload| {
                total += head.len() + payload.len();
            });
        }
        // 1024 segments of at most 512 bytes of headers.
        prop_assert!(total < 2 * (1024 * 512 + frame.len()));
    }
}
