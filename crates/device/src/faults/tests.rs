use super::*;
use crate::memory::{MemoryDevice, pair_with};

const FRAMES: usize = 10_000;
const FRAME: [u8; 60] = [0x5a; 60];

#[derive(Default)]
struct Collected(Vec<Vec<u8>>);

impl FrameSink for Collected {
    fn push(&mut self, _: &NetHeader, frame: &[u8]) -> bool {
        self.0.push(frame.to_vec());
        true
    }
}

fn faulty_pair(faults: Faults, seed: u64) -> (FaultyDevice<MemoryDevice>, MemoryDevice) {
    let (left, right) = pair_with(Mode::Ethernet, Offloads::default(), 2 * FRAMES);
    (FaultyDevice::new(left, faults, seed), right)
}

fn frame() -> FrameRef<'static> {
    FrameRef { header: NetHeader::default(), bytes: &FRAME }
}

/// What arrives when many equal frames are written (first) or read (second) through the faults.
fn both_ways(faults: Faults, seed: u64) -> [Vec<Vec<u8>>; 2] {
    let (mut faulty, mut plain) = faulty_pair(faults, seed);
    let written = faulty.write_batch(&vec![frame(); FRAMES]).unwrap();
    assert_eq!(written, Written { written: FRAMES, dropped: 0 });
    plain.write_batch(&vec![frame(); FRAMES]).unwrap();
    let (mut out, mut back) = (Collected::default(), Collected::default());
    plain.read_batch(&mut out).unwrap();
    assert_eq!(faulty.read_batch(&mut back).unwrap(), back.0.len());
    [out.0, back.0]
}

#[test]
fn without_faults_nothing_changes() {
    for frames in both_ways(Faults::default(), 1) {
        assert_eq!(frames, vec![FRAME.to_vec(); FRAMES]);
    }
}

#[test]
fn faults_come_as_often_as_asked() {
    for frames in both_ways(Faults { lost: 100, ..Faults::default() }, 2) {
        assert!((8_700..9_300).contains(&frames.len()), "{}", frames.len());
    }
    for frames in both_ways(Faults { doubled: 100, ..Faults::default() }, 3) {
        assert!((10_700..11_300).contains(&frames.len()), "{}", frames.len());
    }
    for frames in both_ways(Faults { damaged: 100, ..Faults::default() }, 4) {
        assert_eq!(frames.len(), FRAMES);
        let bits = |frame: &Vec<u8>| frame.iter().map(|byte| (byte ^ 0x5a).count_ones()).sum::<u32>();
        assert!(frames.iter().all(|frame| bits(frame) <= 1));
        let damaged = frames.iter().filter(|frame| bits(frame) == 1).count();
        assert!((700..1_300).contains(&damaged), "{damaged}");
    }
}

#[test]
fn a_seed_says_it_all() {
    let faults = Faults { lost: 50, doubled: 50, damaged: 50, ..Faults::default() };
    assert_eq!(both_ways(faults, 5), both_ways(faults, 5));
    assert_ne!(both_ways(faults, 5), both_ways(faults, 6));
}

#[test]
fn an_empty_frame_can_be_damaged_too() {
    let faults = Faults { damaged: 1000, ..Faults::default() };
    let (mut faulty, _plain) = faulty_pair(faults, 7);
    let empty = FrameRef { header: NetHeader::default(), bytes: &[] };
    assert_eq!(faulty.write_batch(&[empty]).unwrap().dropped, 1);
}
