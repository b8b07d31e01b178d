use proptest::prelude::*;

use super::*;
use crate::guard::IpVersion;
use crate::samples::{FIN, Sample, any_sample, judge};
use crate::{Mode, Offloads};

fn check(header: NetHeader, frame: &[u8]) -> Result<NetHeader, Refusal> {
    header.check(frame, Mode::Ethernet, Offloads::ALL)
}

fn super_frame() -> (NetHeader, Vec<u8>) {
    Sample::tcp(IpVersion::V4, vec![5; 4000]).super_frame(1448)
}

#[test]
fn golden_bytes() {
    let (header, _) = Sample { flags: 0x90, ..Sample::tcp(IpVersion::V4, vec![5; 4000]) }.super_frame(1448);
    assert_eq!(header.encode(), [1, 0x81, 66, 0, 0xa8, 5, 34, 0, 16, 0]);
    assert_eq!(NetHeader::decode(&header.encode()), Ok(header));
    assert_eq!(NetHeader::decode(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(NetHeaderError::UnknownFlags(4)));
    // UDP fragmentation offload, which kernels no longer do.
    assert_eq!(NetHeader::decode(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), Err(NetHeaderError::UnknownGso(3)));
}

#[test]
fn an_ordinary_frame_passes_whatever_else_its_header_says() {
    let header = NetHeader {
        data_valid: true,
        gso_ecn: true,
        hdr_len: 9,
        gso_size: 9,
        csum_start: 9,
        csum_offset: 9,
        ..NetHeader::default()
    };
    assert_eq!(check(header, &[0; 14]), Ok(NetHeader::default()));
    assert!(matches!(check(header, &[0; 13]), Err(Refusal::Unfit(_))));
}

#[test]
fn what_a_kernel_makes_passes_unchanged() {
    let (header, frame) = super_frame();
    assert_eq!(check(header, &frame), Ok(header));
    let (header, frame) = Sample::udp(IpVersion::V6, vec![5; 4000]).super_frame(1000);
    assert_eq!(check(header, &frame), Ok(header));
}

#[test]
fn the_header_length_and_ecn_are_recomputed() {
    let (header, frame) = super_frame();
    let lying = NetHeader { hdr_len: 9, gso_ecn: true, data_valid: true, ..header };
    assert_eq!(check(lying, &frame), Ok(header));
}

#[test]
fn only_what_was_offered() {
    let (header, frame) = super_frame();
    let offered = |offloads| header.check(&frame, Mode::Ethernet, offloads);
    assert_eq!(offered(Offloads::NONE), Err(Refusal::ChecksumNotOffered));
    let no_tso = Offloads { tso: false, ..Offloads::ALL };
    assert_eq!(offered(no_tso), Err(Refusal::GsoNotOffered(Gso::TcpV4)));
    let (header, frame) = Sample::udp(IpVersion::V4, vec![5; 4000]).super_frame(1000);
    let no_uso = Offloads { uso: false, ..Offloads::ALL };
    assert_eq!(header.check(&frame, Mode::Ethernet, no_uso), Err(Refusal::GsoNotOffered(Gso::UdpL4)));
}

#[test]
fn a_checksum_starts_where_the_transport_header_does() {
    let (header, frame) = super_frame();
    for (start, offset) in [(33, 16), (34, 6), (34, 17), (0, 0), (65535, 65535), (54, 16)] {
        let header = NetHeader { csum_start: start, csum_offset: offset, ..header };
        assert_eq!(check(header, &frame), Err(Refusal::ChecksumPlace { start, offset }));
        let plain = NetHeader { gso: Gso::None, ..header };
        assert_eq!(check(plain, &frame), Err(Refusal::ChecksumPlace { start, offset }));
    }
}

#[test]
fn a_checksum_of_another_protocol_stays_inside_its_packet() {
    let (header, mut frame) = Sample::udp(IpVersion::V4, vec![5; 100]).partial();
    // GRE, with something inside.
    frame[23] = 47;
    for (start, offset, good) in
        [(34, 0, true), (60, 16, true), (140, 0, true), (33, 0, false), (141, 0, false)]
    {
        let header = NetHeader { csum_start: start, csum_offset: offset, ..header };
        assert_eq!(check(header, &frame).is_ok(), good, "{start} {offset}");
    }
}

#[test]
fn the_type_matches_the_packet() {
    let (header, frame) = super_frame();
    for gso in [Gso::TcpV6, Gso::UdpL4] {
        assert_eq!(check(NetHeader { gso, ..header }, &frame), Err(Refusal::GsoProtocol { gso }));
    }
    let arp = [&[0xff; 12][..], &[8, 6], &[0; 100]].concat();
    assert_eq!(check(header, &arp), Err(Refusal::GsoProtocol { gso: Gso::TcpV4 }));
    let unfinished = NetHeader { needs_csum: false, ..header };
    assert_eq!(check(unfinished, &frame), Err(Refusal::GsoWithoutChecksum));
}

#[test]
fn headers_that_cannot_be_repeated_are_refused() {
    let (header, frame) = super_frame();
    let mut fragment = frame.clone();
    fragment[20] = 0x20;
    assert_eq!(check(header, &fragment), Err(Refusal::NotSegmentable));
    for flags in [0x12, 0x14] {
        let mut with_flags = frame.clone();
        with_flags[34 + 13] = flags;
        assert_eq!(check(header, &with_flags), Err(Refusal::NotSegmentable));
    }
    let extended = Sample { extensions: vec![60], ..Sample::tcp(IpVersion::V6, vec![5; 4000]) };
    let (header, mut frame) = extended.super_frame(1448);
    assert_eq!(check(header, &frame), Ok(header));
    // A mobility header, which no kernel repeats.
    frame[20] = 135;
    assert_eq!(check(header, &frame), Err(Refusal::NotSegmentable));
    let tagged = Sample { tags: vec![1, 2, 3], ..Sample::tcp(IpVersion::V4, vec![5; 4000]) };
    let (header, frame) = tagged.super_frame(1448);
    assert_eq!(check(header, &frame), Err(Refusal::NotSegmentable));
}

#[test]
fn lengths_reach_exactly_to_the_end() {
    let (header, mut frame) = super_frame();
    frame.push(0);
    assert_eq!(check(header, &frame), Err(Refusal::GsoLength(frame.len())));
    frame.truncate(frame.len() - 2);
    assert_eq!(check(header, &frame), Err(Refusal::MalformedIp));
    let (header, mut frame) = Sample::udp(IpVersion::V4, vec![5; 4000]).super_frame(1000);
    frame[39] ^= 1;
    assert_eq!(check(header, &frame), Err(Refusal::GsoLength(frame.len())));
}

#[test]
fn the_number_of_segments_is_bounded() {
    let (header, frame) = Sample::tcp(IpVersion::V6, vec![5; 60_000]).super_frame(0);
    for (gso_size, good) in [(0, false), (1, false), (8, false), (58, false), (59, true), (1440, true)] {
        let result = check(NetHeader { gso_size, ..header }, &frame);
        assert_eq!(result.is_ok(), good, "{gso_size}: {result:?}");
    }
}

#[test]
fn a_super_frame_of_one_segment_is_an_ordinary_frame() {
    let sample = Sample { flags: FIN | 0x10, ..Sample::tcp(IpVersion::V4, vec![5; 1000]) };
    let (header, frame) = sample.super_frame(1000);
    let checked = check(header, &frame).unwrap();
    assert_eq!(checked, NetHeader { gso: Gso::None, gso_size: 0, hdr_len: 0, ..header });
}

#[test]
fn completing_outside_the_frame_is_refused() {
    let mut frame = [0; 60];
    for (csum_start, csum_offset) in [(61, 0), (60, 0), (59, 0), (58, 1), (0, 59), (65535, 65535)] {
        let header = NetHeader { needs_csum: true, csum_start, csum_offset, ..NetHeader::default() };
        assert!(complete_checksum(&mut frame, &header).is_err(), "{csum_start} {csum_offset}");
        assert_eq!(frame, [0; 60]);
    }
}

proptest! {
    #[test]
    fn a_completed_checksum_is_right(sample in any_sample(300)) {
        let (header, mut frame) = sample.partial();
        prop_assert!(header.check(&frame, sample.mode, Offloads::ALL).is_ok());
        complete_checksum(&mut frame, &header).unwrap();
        judge(sample.mode, &frame);
        prop_assert_eq!(frame, sample.build());
    }

    #[test]
    fn what_passes_is_sane(
        sample in any_sample(3000),
        bytes: [u8; 10],
        keep in prop::collection::vec(any::<bool>(), 10),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ethernet: bool,
    ) {
        let (header, mut frame) = sample.super_frame(500);
        let mut wire = header.encode();
        for ((place, byte), keep) in wire.iter_mut().zip(bytes).zip(keep) {
            if !keep {
                *place = byte;
            }
        }
        for (at, value) in flips {
            let at = at.index(frame.len().min(100));
            frame[at] = value;
        }
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        if let Ok(checked) = NetHeader::decode(&wire).map_or(Ok(NetHeader::default()), |h| h.check(&frame, mode, Offloads::ALL)) {
            prop_assert!(!checked.data_valid);
            if checked.needs_csum {
                let field = usize::from(checked.csum_start) + usize::from(checked.csum_offset);
                prop_assert!(field + 2 <= frame.len());
            }
            if checked.gso != Gso::None {
                prop_assert!(checked.needs_csum);
                prop_assert!(usize::from(checked.hdr_len) < frame.len());
                let payload = frame.len() - usize::from(checked.hdr_len);
                let segments = payload.div_ceil(usize::from(checked.gso_size));
                prop_assert!((2..=1024).contains(&segments));
                // Checking is idempotent.
                prop_assert_eq!(checked.check(&frame, mode, Offloads::ALL), Ok(checked));
            }
        }
    }
}
