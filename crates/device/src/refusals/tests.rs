use std::task::{Context, Waker};

use super::*;
use crate::faults::{Faults, FaultyDevice, Invalid};
use crate::memory::{MemoryDevice, pair};
use crate::{Device, FrameSink, Written};

const SEGMENT: u16 = 1000;

/// A super-frame from one host to another with `payload` bytes in segments of [`SEGMENT`], its checksum undone.
fn super_frame(gso: Gso, payload: usize) -> (NetHeader, Vec<u8>) {
    let is_v6 = gso == Gso::TcpV6;
    let transport_len = if gso == Gso::UdpL4 { 8 } else { 20 };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(if is_v6 { [0x86, 0xdd] } else { [8, 0] });
    let length = u16::try_from(transport_len + payload).unwrap();
    let protocol = if gso == Gso::UdpL4 { 17 } else { 6 };
    if is_v6 {
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([0xfd; 32]);
    } else {
        frame.extend([0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    }
    let start = frame.len();
    frame.extend([0x13, 0x88, 0x13, 0x89]);
    if gso == Gso::UdpL4 {
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
    } else {
        frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    }
    let header = NetHeader {
        needs_csum: true,
        gso,
        hdr_len: u16::try_from(frame.len()).unwrap(),
        gso_size: SEGMENT,
        csum_start: u16::try_from(start).unwrap(),
        csum_offset: if gso == Gso::UdpL4 { 6 } else { 16 },
        ..NetHeader::default()
    };
    frame.extend((0..payload).map(|at| at.to_le_bytes()[0]));
    (header, frame)
}

/// A frame of one segment whose checksum is undone.
fn partial() -> (NetHeader, Vec<u8>) {
    let (header, frame) = super_frame(Gso::TcpV4, 500);
    (NetHeader { gso: Gso::None, gso_size: 0, hdr_len: 0, ..header }, frame)
}

fn refusing(invalid: Invalid) -> (FaultyDevice<MemoryDevice>, MemoryDevice) {
    let (left, right) = pair(Mode::Ethernet);
    (FaultyDevice::new(left, Faults { invalid, ..Faults::default() }, 1), right)
}

#[derive(Default)]
struct Collected(Vec<(NetHeader, Vec<u8>)>);

impl FrameSink for Collected {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.0.push((*header, frame.to_vec()));
        true
    }
}

fn read(device: &mut MemoryDevice) -> Vec<(NetHeader, Vec<u8>)> {
    let mut all = Collected::default();
    if device.poll_readable(&mut Context::from_waker(Waker::noop())).is_ready() {
        device.read_batch(&mut all).unwrap();
    }
    all.0
}

/// What arrives of one frame.
fn through(
    faulty: &mut FaultyDevice<MemoryDevice>,
    other: &mut MemoryDevice,
    (header, bytes): &(NetHeader, Vec<u8>),
) -> Vec<(NetHeader, Vec<u8>)> {
    let written = faulty.write_batch(&[FrameRef { header: *header, bytes }]).unwrap();
    assert_eq!(written, Written { written: 1, dropped: 0 });
    read(other)
}

fn is_cut(frames: &[(NetHeader, Vec<u8>)], of: &(NetHeader, Vec<u8>)) -> bool {
    let head = usize::from(of.0.hdr_len);
    let payload: Vec<u8> = frames.iter().flat_map(|(_, frame)| frame[head..].to_vec()).collect();
    assert_eq!(payload, of.1[head..], "the payload is all there, in order");
    let are_plain = frames.iter().all(|(header, _)| header.is_plain());
    assert!(are_plain || frames == std::slice::from_ref(of), "whole or in ordinary frames");
    are_plain
}

#[test]
fn n3_every_kind_that_is_refused_is_cut_at_once_and_asked_for_once() {
    for gso in [Gso::TcpV4, Gso::TcpV6, Gso::UdpL4] {
        for payload in [8_000, 8_300, 8_999, 2_001, 60_000] {
            let frame = super_frame(gso, payload);
            let (mut faulty, mut other) = refusing(Invalid::All);
            for _ in 0..3 {
                assert!(is_cut(&through(&mut faulty, &mut other, &frame), &frame), "{gso:?} of {payload}");
            }
            assert_eq!(faulty.refused(), 1, "{gso:?} of {payload}");
        }
    }
}

#[test]
fn n3_udp_alone_is_refused_and_tcp_stays_whole() {
    let (mut faulty, mut other) = refusing(Invalid::Udp);
    let (udp, v4, v6) =
        (super_frame(Gso::UdpL4, 8_000), super_frame(Gso::TcpV4, 8_000), super_frame(Gso::TcpV6, 8_000));
    for _ in 0..2 {
        assert!(is_cut(&through(&mut faulty, &mut other, &udp), &udp));
        assert!(!is_cut(&through(&mut faulty, &mut other, &v4), &v4));
        assert!(!is_cut(&through(&mut faulty, &mut other, &v6), &v6));
    }
    assert_eq!(faulty.refused(), 1);
    assert_eq!(faulty.offloads(), Offloads { uso: false, ..Offloads::ALL });
}

#[test]
fn n3_short_tails_are_cut_and_others_stay_whole() {
    let (mut faulty, mut other) = refusing(Invalid::ShorterTail(100));
    let (short, even) = (super_frame(Gso::TcpV4, 8_040), super_frame(Gso::TcpV4, 8_000));
    for _ in 0..2 {
        assert!(is_cut(&through(&mut faulty, &mut other, &short), &short));
        assert!(!is_cut(&through(&mut faulty, &mut other, &even), &even));
    }
    assert_eq!(faulty.refused(), 1);
}

#[test]
fn n3_the_check_of_linux_6_6_costs_tcp_no_more_than_what_it_refuses() {
    let (mut faulty, mut other) = refusing(Invalid::ShortRest);
    // With 54 bytes of headers, 960 of payload make a frame of 14 bytes beyond whole segments.
    let (refused, taken) = (super_frame(Gso::TcpV4, 8_960), super_frame(Gso::TcpV4, 8_500));
    for _ in 0..2 {
        assert!(is_cut(&through(&mut faulty, &mut other, &refused), &refused));
        assert!(!is_cut(&through(&mut faulty, &mut other, &taken), &taken));
        // UDP's 42 bytes of headers are within the check whenever all segments are full.
        let udp = super_frame(Gso::UdpL4, 9_000);
        assert!(is_cut(&through(&mut faulty, &mut other, &udp), &udp));
    }
    assert_eq!(faulty.refused(), 2);
    assert_eq!(faulty.offloads(), Offloads { uso: false, ..Offloads::ALL });
}

#[test]
fn n3_partial_checksums_are_finished_here() {
    let (mut faulty, mut other) = refusing(Invalid::Undone);
    for _ in 0..2 {
        let frames = through(&mut faulty, &mut other, &partial());
        let [(header, frame)] = frames.as_slice() else { panic!("{frames:?}") };
        assert!(header.is_plain());
        assert_ne!(*frame, partial().1, "summed");
    }
    assert_eq!(faulty.refused(), 1);
    assert!(!faulty.offloads().checksum);
}

#[test]
fn n3_a_bad_frame_says_nothing_about_its_kind() {
    let refusals = Refusals::default();
    let (header, bytes) = super_frame(Gso::TcpV4, 8_000);
    let frame = FrameRef { header, bytes: &bytes };
    let invalid = || Err(io::Error::from_raw_os_error(libc::EINVAL));
    let written = refusals.write("tap0", Mode::Ethernet, &frame, |_, _, _| invalid()).unwrap();
    assert!(!written, "neither whole nor in pieces");
    assert_eq!(refusals.leave(Offloads::ALL), Offloads::ALL);
    let mut asked = 0;
    let taken = refusals.write("tap0", Mode::Ethernet, &frame, |header, _, _| {
        asked += 1;
        assert!(!header.is_plain());
        Ok(())
    });
    assert!(taken.unwrap() && asked == 1);
}

#[test]
fn n3_other_errors_cut_nothing() {
    let refusals = Refusals::default();
    let (header, bytes) = super_frame(Gso::TcpV4, 8_000);
    let frame = FrameRef { header, bytes: &bytes };
    for (errno, dropped) in
        [(libc::EIO, true), (libc::ENOMEM, true), (libc::EBADFD, false), (libc::ENODEV, false)]
    {
        let mut writes = 0;
        let result = refusals.write("tap0", Mode::Ethernet, &frame, |_, _, _| {
            writes += 1;
            Err(io::Error::from_raw_os_error(errno))
        });
        assert_eq!(writes, 1, "{errno}");
        assert_eq!(matches!(result, Ok(false)), dropped, "{errno}");
        assert_eq!(result.is_err(), !dropped, "{errno}");
    }
}
