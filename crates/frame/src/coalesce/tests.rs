use proptest::prelude::*;

use super::*;
use crate::Gso;
use crate::guard::IpVersion;
use crate::samples::{ACK, CWR, FIN, PSH, Sample, any_sample, timestamps};
use crate::segment::{Cut, segment};

type Frame = (NetHeader, Vec<u8>);

fn plain(frame: Vec<u8>) -> Frame {
    (NetHeader::default(), frame)
}

fn join(mode: Mode, offloads: Offloads, frames: &[Frame]) -> Vec<Frame> {
    let mut joined = Vec::new();
    let mut coalescer = Coalescer::new(mode, offloads);
    for (header, frame) in frames {
        coalescer.push(header, frame, |header, frame| joined.push((*header, frame.to_vec())));
    }
    coalescer.flush(|header, frame| joined.push((*header, frame.to_vec())));
    coalescer.flush(|_, _| panic!("nothing is left"));
    joined
}

fn cut(mode: Mode, frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut cut = Vec::new();
    for (header, frame) in frames {
        segment(mode, header, frame, Cut::Frames, |_, head, payload| cut.push([head, payload].concat()))
            .unwrap();
    }
    cut
}

/// Two segments that follow each other.
fn pair(version: IpVersion) -> [Sample; 2] {
    let first = Sample::tcp(version, vec![1; 1000]);
    let second = Sample { seq: first.seq + 1000, id: first.id + 1, payload: vec![2; 1000], ..first.clone() };
    [first, second]
}

fn joined_count(samples: &[Sample]) -> usize {
    let frames: Vec<_> = samples.iter().map(|sample| plain(sample.build())).collect();
    let joined = join(samples[0].mode, Offloads::ALL, &frames);
    assert_eq!(
        cut(samples[0].mode, &joined),
        frames.iter().map(|(_, frame)| frame.clone()).collect::<Vec<_>>(),
        "cutting yields what went in"
    );
    joined.len()
}

#[test]
fn two_segments_become_the_super_frame_of_a_kernel() {
    for version in [IpVersion::V4, IpVersion::V6] {
        let [first, second] = pair(version);
        let frames = [plain(first.build()), plain(second.build())];
        let payload = [first.payload.clone(), second.payload].concat();
        let expected = Sample { payload, ..first }.super_frame(1000);
        assert_eq!(join(Mode::Ethernet, Offloads::ALL, &frames), [expected]);
    }
}

#[test]
fn datagrams_are_joined_where_the_device_takes_them() {
    let first = Sample::udp(IpVersion::V6, vec![1; 1000]);
    let second = Sample { payload: vec![2; 400], ..first.clone() };
    let frames = [plain(first.build()), plain(second.build())];
    let expected = Sample { payload: [&[1; 1000][..], &[2; 400]].concat(), ..first }.super_frame(1000);
    assert_eq!(join(Mode::Ethernet, Offloads::ALL, &frames), [expected]);
    let no_uso = Offloads { uso: false, ..Offloads::ALL };
    assert_eq!(join(Mode::Ethernet, no_uso, &frames), frames);
}

#[test]
fn without_offloads_frames_pass_untouched() {
    let frames = pair(IpVersion::V4).map(|sample| plain(sample.build()));
    assert_eq!(join(Mode::Ethernet, Offloads::NONE, &frames), frames);
    let no_checksum = Offloads { checksum: false, ..Offloads::ALL };
    assert_eq!(join(Mode::Ethernet, no_checksum, &frames), frames);
}

#[test]
fn what_differs_is_not_joined() {
    for version in [IpVersion::V4, IpVersion::V6] {
        let [first, second] = pair(version);
        assert_eq!(joined_count(&[first.clone(), second.clone()]), 1);
        let different = [
            Sample { seq: second.seq + 1, ..second.clone() },
            Sample { seq: first.seq, ..second.clone() },
            Sample { ack: second.ack + 1, ..second.clone() },
            Sample { options: timestamps(100), ..second.clone() },
            Sample { options: vec![1; 8], ..second.clone() },
            Sample { tos: 3, ..second.clone() },
            Sample { ttl: 63, ..second.clone() },
            Sample { flags: ACK | FIN, ..second.clone() },
            Sample { flags: ACK | CWR, ..second.clone() },
            Sample { flags: ACK | 0x40, ..second.clone() },
            Sample { flags: ACK | 0x20, ..second.clone() },
            Sample { tags: vec![5], ..second.clone() },
            Sample { payload: vec![2; 1001], ..second.clone() },
            Sample { payload: vec![], ..second.clone() },
            Sample { host: 2, ..second.clone() },
            Sample { ports: (1, 2), ..second.clone() },
        ];
        for other in different {
            assert_eq!(joined_count(&[first.clone(), other.clone()]), 2, "{other:?}");
        }
    }
}

#[test]
fn identification_counts_or_says_nothing() {
    let [first, second] = pair(IpVersion::V4);
    assert_eq!(joined_count(&[first.clone(), Sample { id: first.id + 2, ..second.clone() }]), 2);
    // Constant, with "don't fragment": joined, as RFC 6864 gives it no meaning.
    let constant = [&first, &Sample { id: first.id, ..second.clone() }].map(|sample| plain(sample.build()));
    assert_eq!(join(Mode::Ethernet, Offloads::ALL, &constant).len(), 1);
    // The same without "don't fragment".
    let fragmentable = constant.map(|(header, mut frame)| {
        frame[20] = 0;
        frame[24..26].fill(0);
        let sum = crate::samples::naive_checksum(&frame[14..34], &[]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        (header, frame)
    });
    assert_eq!(join(Mode::Ethernet, Offloads::ALL, &fragmentable), fragmentable);
}

#[test]
fn a_pushed_or_short_segment_is_the_last() {
    let [first, second] = pair(IpVersion::V4);
    let third = Sample { seq: first.seq + 2000, id: first.id + 2, ..first.clone() };
    let pushed = Sample { flags: ACK | PSH, ..second.clone() };
    assert_eq!(joined_count(&[first.clone(), pushed, third.clone()]), 2);
    let short = Sample { payload: vec![2; 999], ..second };
    let third = Sample { seq: first.seq + 1999, ..third };
    assert_eq!(joined_count(&[first, short, third]), 2);
}

#[test]
fn a_wrong_checksum_is_left_for_the_receiver_to_find() {
    for corrupt in [24, 50, 1000] {
        let [mut first, second] = pair(IpVersion::V4).map(|sample| plain(sample.build()));
        first.1[corrupt] ^= 1;
        let frames = [first, second];
        assert_eq!(join(Mode::Ethernet, Offloads::ALL, &frames), frames, "{corrupt}");
    }
}

#[test]
fn partial_checksums_are_as_good() {
    let [first, second] = pair(IpVersion::V6);
    let payload = [first.payload.clone(), second.payload.clone()].concat();
    let expected = Sample { payload, ..first.clone() }.super_frame(1000);
    let frames = [first.partial(), plain(second.build())];
    let swapped = [plain(first.build()), second.partial()];
    for frames in [frames, swapped] {
        assert_eq!(join(Mode::Ethernet, Offloads::ALL, &frames), std::slice::from_ref(&expected));
    }
    let alone = [first.partial()];
    assert_eq!(join(Mode::Ethernet, Offloads::ALL, &alone), alone);
}

#[test]
fn order_within_a_flow_is_kept() {
    let [first, second] = pair(IpVersion::V4);
    let fin = Sample { flags: ACK | FIN, seq: first.seq + 2000, payload: vec![], ..first.clone() };
    let other = Sample { host: 9, ..first.clone() };
    let frames = [&first, &other, &second, &fin].map(|sample| plain(sample.build()));
    let joined = join(Mode::Ethernet, Offloads::ALL, &frames);
    assert_eq!(joined.len(), 3);
    assert_eq!(joined[0].0.gso, Gso::TcpV4);
    assert_eq!(joined[1], frames[3]);
    assert_eq!(joined[2], frames[1]);
}

#[test]
fn a_super_frame_passes_after_what_came_before_it() {
    let [first, second] = pair(IpVersion::V4);
    let frames = [plain(first.build()), second.super_frame(500)];
    assert_eq!(join(Mode::Ethernet, Offloads::ALL, &frames), frames);
}

#[test]
fn more_flows_than_slots_lose_nothing() {
    let frames: Vec<_> = (0..40)
        .flat_map(|round: u16| {
            (0..20_u8).map(move |host| {
                let seq = 1000 * u32::from(round);
                plain(Sample { host, seq, id: round, ..Sample::tcp(IpVersion::V4, vec![host; 1000]) }.build())
            })
        })
        .collect();
    let mut out = cut(Mode::Ethernet, &join(Mode::Ethernet, Offloads::ALL, &frames));
    let mut frames: Vec<_> = frames.into_iter().map(|(_, frame)| frame).collect();
    out.sort();
    frames.sort();
    assert_eq!(out, frames);
}

#[test]
fn a_packet_stays_within_its_length_field() {
    let samples: Vec<_> = (0..100)
        .map(|i: u16| Sample { seq: 1448 * u32::from(i), id: i, ..Sample::tcp(IpVersion::V4, vec![1; 1448]) })
        .collect();
    assert_eq!(joined_count(&samples), 3);
    let samples: Vec<_> =
        (0..100).map(|id| Sample { id, ..Sample::udp(IpVersion::V4, vec![1; 100]) }).collect();
    assert_eq!(joined_count(&samples), 2);
}

proptest! {
    #[test]
    fn joining_undoes_cutting(sample in any_sample(20_000), gso_size in 64_u16..1500) {
        let sample = Sample { flags: sample.flags & (ACK | PSH), ..sample };
        prop_assume!(sample.payload.len() > usize::from(gso_size));
        let (header, frame) = sample.super_frame(gso_size);
        let frames = cut(sample.mode, &[(header, frame.clone())]);
        prop_assume!(frames.len() <= 64 && frames.last().unwrap().len() > usize::from(header.hdr_len) + 8);
        let frames: Vec<_> = frames.into_iter().map(plain).collect();
        prop_assert_eq!(join(sample.mode, Offloads::ALL, &frames), [(header, frame)]);
    }

    #[test]
    fn cutting_undoes_joining(
        samples in prop::collection::vec(any_sample(1500), 1..4),
        gso_size in 64_u16..1500,
        shuffle in any::<u64>(),
    ) {
        let mode = samples[0].mode;
        let mut frames: Vec<_> = samples
            .iter()
            .filter(|sample| sample.mode == mode)
            .flat_map(|sample| cut(mode, &[sample.super_frame(gso_size)]))
            .collect();
        let at = (shuffle % frames.len() as u64) as usize;
        frames.rotate_left(at);
        let plain: Vec<_> = frames.iter().cloned().map(plain).collect();
        let joined = join(mode, Offloads::ALL, &plain);
        for (header, frame) in &joined {
            prop_assert_eq!(header.check(frame, mode, Offloads::ALL), Ok(*header));
        }
        let mut out = cut(mode, &joined);
        out.sort();
        frames.sort();
        prop_assert_eq!(out, frames);
    }
}
