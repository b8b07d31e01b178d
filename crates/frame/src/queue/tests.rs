use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Gso;
use crate::guard::IpVersion;
use crate::samples::{Sample, judge};
use crate::segment::{Cut, segment};
use crate::view::Ecn;

const MS: Duration = Duration::from_millis(1);

fn queue(settings: Settings) -> FairQueue {
    FairQueue::new(Mode::Ethernet, settings)
}

fn udp(host: u8, len: usize) -> Vec<u8> {
    Sample { host, ..Sample::udp(IpVersion::V4, vec![host; len]) }.build()
}

fn arp() -> Vec<u8> {
    [&[0xff; 12][..], &[8, 6], &[0; 46]].concat()
}

fn put(queue: &mut FairQueue, now: Instant, frame: &[u8]) {
    assert_eq!(queue.enqueue(now, &NetHeader::default(), frame), Outcome { queued: true, evicted: 0 });
}

/// The last byte of the source MAC, by which the samples' hosts are known.
fn host(frame: &FrameBuf) -> u8 {
    frame.bytes()[11]
}

fn drain(queue: &mut FairQueue, now: Instant) -> Vec<u8> {
    std::iter::from_fn(|| {
        let frame = queue.dequeue(now)?;
        let host = host(&frame);
        queue.recycle(frame);
        Some(host)
    })
    .collect()
}

#[test]
fn flows_take_turns_and_keep_their_order() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for len in [1400, 1401, 1402] {
        put(&mut queue, now, &udp(1, len));
    }
    put(&mut queue, now, &udp(2, 1400));
    let lengths: Vec<_> =
        std::iter::from_fn(|| queue.dequeue(now)).map(|f| (host(&f), f.len() - 42)).collect();
    assert_eq!(lengths, [(1, 1400), (1, 1401), (2, 1400), (1, 1402)]);
    assert!(queue.is_empty());
    assert_eq!((queue.bytes(), queue.len()), (0, 0));
}

#[test]
fn flows_share_bytes_not_frames() {
    let mut queue = queue(Settings { quantum: 300, ..Settings::default() });
    let now = Instant::now();
    let (header, super_frame) = Sample::tcp(IpVersion::V4, vec![1; 15_000]).super_frame(1000);
    for _ in 0..20 {
        queue.enqueue(now, &header, &super_frame);
    }
    for _ in 0..1000 {
        put(&mut queue, now, &udp(2, 258));
    }
    let mut sent = [0; 3];
    for _ in 0..400 {
        let frame = queue.dequeue(now).unwrap();
        sent[usize::from(host(&frame))] += frame.len();
    }
    assert!(sent[1].abs_diff(sent[2]) <= super_frame.len() + 600, "{sent:?}");
}

#[test]
fn a_flow_that_begins_passes_those_that_queue() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for _ in 0..100 {
        put(&mut queue, now, &udp(1, 1400));
        put(&mut queue, now, &udp(2, 1400));
    }
    for _ in 0..10 {
        let frame = queue.dequeue(now).unwrap();
        queue.recycle(frame);
    }
    put(&mut queue, now, &udp(3, 56));
    assert_eq!(host(&queue.dequeue(now).unwrap()), 3);
}

#[test]
fn a_little_at_a_time_does_not_stay_ahead_for_ever() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for _ in 0..1000 {
        put(&mut queue, now, &udp(1, 1400));
    }
    // The first turn of host 1, which counts as a flow that has just begun itself.
    assert!((0..2).all(|_| queue.dequeue(now).is_some()));
    // Hosts 2 and 3 take turns at being one, and have nothing left when their frame is sent.
    let mut sent = [0; 4];
    for round in 0..500 {
        put(&mut queue, now, &udp(if round % 2 == 0 { 2 } else { 3 }, 1400));
        let frame = queue.dequeue(now).unwrap();
        sent[usize::from(host(&frame))] += 1;
    }
    assert!(sent[1] >= 150, "{sent:?}");
}

#[test]
fn control_frames_go_first() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for _ in 0..50 {
        put(&mut queue, now, &udp(1, 1400));
    }
    put(&mut queue, now, &arp());
    assert_eq!(queue.dequeue(now).unwrap().bytes(), arp());
    assert_eq!(queue.stats().control_frames, 1);
}

#[test]
fn a_flood_of_control_frames_takes_a_fifth() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    let (mut control, mut data) = (0, 0);
    for _ in 0..1000 {
        put(&mut queue, now, &udp(1, 1400));
    }
    while data < 900 * 1442 {
        queue.enqueue(now, &NetHeader::default(), &arp());
        let frame = queue.dequeue(now).unwrap();
        *if frame.bytes()[12] == 8 && frame.bytes()[13] == 6 { &mut control } else { &mut data } +=
            frame.len();
        queue.recycle(frame);
    }
    assert!(control >= data / 8, "{control} {data}");
}

#[test]
fn control_frames_beyond_their_class_are_data() {
    let mut queue = queue(Settings { control_bytes: 120, ..Settings::default() });
    let now = Instant::now();
    for _ in 0..5 {
        put(&mut queue, now, &arp());
    }
    assert_eq!((queue.stats().control_frames, queue.stats().control_demoted), (2, 3));
    assert_eq!(drain(&mut queue, now).len(), 5);
}

#[test]
fn control_frames_alone_need_no_credit() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for _ in 0..10 {
        for _ in 0..100 {
            queue.enqueue(now, &NetHeader::default(), &arp());
        }
        assert_eq!(drain(&mut queue, now).len(), 100);
    }
}

#[test]
fn the_fattest_flow_pays_for_an_overflow() {
    let mut queue = queue(Settings { limit_bytes: 100_000, ..Settings::default() });
    let now = Instant::now();
    for _ in 0..10 {
        put(&mut queue, now, &udp(1, 1400));
    }
    let mut evicted = 0;
    for _ in 0..200 {
        evicted += queue.enqueue(now, &NetHeader::default(), &udp(2, 1400)).evicted;
        assert!(queue.bytes() <= 100_000);
    }
    assert!(evicted > 100);
    assert_eq!(queue.stats().dropped_overflow, evicted as u64);
    let left = drain(&mut queue, now);
    assert_eq!(left.iter().filter(|host| **host == 1).count(), 10);
    // One more at once, as the flow still fills the queue.
    assert_eq!(queue.stats().dropped_codel, 1);
    assert_eq!(left.len(), 210 - evicted - 1);
}

#[test]
fn small_frames_cannot_take_more_memory_than_allowed() {
    let settings = Settings { limit_memory: 1 << 20, ..Settings::default() };
    let mut queue = queue(settings);
    let now = Instant::now();
    for round in 0..4 {
        for _ in 0..2000 {
            queue.enqueue(now, &NetHeader::default(), &udp(1, if round % 2 == 0 { 22 } else { 20_000 }));
            queue.enqueue(now, &NetHeader::default(), &arp());
            assert!(queue.memory() <= (1 << 20) + (68 << 10), "{}", queue.memory());
        }
        drain(&mut queue, now);
    }
}

#[test]
fn unfit_frames_are_refused() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for len in [0, 1, 13, 66_000, 70_000] {
        let outcome = queue.enqueue(now, &NetHeader::default(), &vec![0; len]);
        assert_eq!(outcome, Outcome { queued: false, evicted: 0 });
    }
    assert_eq!(queue.stats().dropped_unfit, 5);
    assert!(queue.is_empty());
}

#[test]
fn packets_that_allow_it_are_marked_instead_of_dropped() {
    for (tos, marks) in [(0x02, true), (0x00, false)] {
        let mut queue = queue(Settings::default());
        let now = Instant::now();
        let frame = Sample { tos, ..Sample::tcp(IpVersion::V4, vec![1; 1400]) }.build();
        for _ in 0..300 {
            put(&mut queue, now, &frame);
        }
        let mut marked = 0;
        for ms in 0..250 {
            let Some(frame) = queue.dequeue(now + 10 * MS + MS * ms) else { break };
            judge(Mode::Ethernet, frame.bytes());
            let ip = Layout::parse(Mode::Ethernet, frame.bytes()).ip.unwrap();
            marked += u64::from(ip.ecn(frame.bytes()) == Ecn::Ce);
        }
        let stats = queue.stats();
        assert_eq!(stats.marked, marked);
        assert_eq!((stats.marked > 0, stats.dropped_codel > 0), (marks, !marks), "{stats:?}");
    }
}

#[test]
fn one_segment_of_a_super_frame_signals_congestion() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    let sample = Sample::tcp(IpVersion::V6, (0..20_000_u32).map(|i| i as u8).collect());
    let (header, frame) = sample.super_frame(1000);
    for _ in 0..50 {
        queue.enqueue(now, &header, &frame);
    }
    let (mut sent, mut dropped) = (0, 0);
    for ms in 0..40 {
        let Some(frame) = queue.dequeue(now + 10 * MS + 10 * MS * ms) else { break };
        assert_eq!(frame.header.gso, Gso::TcpV6);
        let short = header.gso_size as usize * 20 - (frame.len() - usize::from(header.hdr_len));
        assert!(short <= 1000, "at most one segment at a time");
        dropped += short / 1000;
        let count = segment(Mode::Ethernet, &frame.header, frame.bytes(), Cut::Frames, |_, head, payload| {
            judge(Mode::Ethernet, &[head, payload].concat());
        });
        sent += count.unwrap();
    }
    assert!(dropped > 3);
    assert_eq!(sent + dropped, 40 * 20);
    assert_eq!(queue.stats().dropped_codel, dropped as u64);
}

#[test]
fn control_frames_are_not_lost_when_codel_leaves_no_data() {
    let mut queue =
        queue(Settings { target: Duration::ZERO, interval: Duration::ZERO, ..Settings::default() });
    let now = Instant::now();
    // Uses up the credit.
    for _ in 0..400 {
        put(&mut queue, now, &udp(1, 100));
        queue.enqueue(now, &NetHeader::default(), &arp());
    }
    for ms in 1..2000 {
        let before = queue.len();
        if queue.dequeue(now + MS * ms).is_none() {
            assert_eq!(before, 0);
        }
    }
    assert!(queue.is_empty());
}

#[test]
fn clearing_leaves_nothing() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    for host in 0..200 {
        put(&mut queue, now, &udp(host, 500));
        put(&mut queue, now, &arp());
    }
    queue.clear();
    assert!(queue.is_empty());
    assert_eq!((queue.bytes(), queue.stats().dropped_clear), (0, 400));
    assert_eq!(queue.dequeue(now).map(|frame| frame.len()), None);
    put(&mut queue, now, &udp(1, 500));
    assert_eq!(drain(&mut queue, now), [1]);
}

#[test]
fn a_steady_stream_needs_no_new_buffers() {
    let mut queue = queue(Settings::default());
    let now = Instant::now();
    let mut places = std::collections::HashSet::new();
    for _ in 0..1000 {
        for host in 0..4 {
            put(&mut queue, now, &udp(host, 1400));
        }
        while let Some(frame) = queue.dequeue(now) {
            places.insert(frame.bytes().as_ptr());
            queue.recycle(frame);
        }
    }
    assert!(places.len() <= 4);
    assert_eq!(queue.memory(), 4 * 2048);
}

#[derive(Debug, Clone)]
enum Step {
    Put { host: u8, len: usize },
    PutControl,
    PutSuperFrame { host: u8, len: usize },
    Take,
    Wait(u32),
    Clear,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u8, 0..3000_usize).prop_map(|(host, len)| Step::Put { host, len }),
        1 => Just(Step::PutControl),
        2 => (0..6_u8, 1..9000_usize).prop_map(|(host, len)| Step::PutSuperFrame { host, len }),
        6 => Just(Step::Take),
        2 => (0..50_u32).prop_map(Step::Wait),
        1 => Just(Step::Clear).boxed(),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_uncounted_and_bounds_hold(
        steps in prop::collection::vec(any_step(), 0..300),
        limit_bytes in 5_000..60_000_usize,
        limit_memory in 150_000..400_000_usize,
    ) {
        let mut queue = queue(Settings { limit_bytes, limit_memory, flows: 4, ..Settings::default() });
        let mut now = Instant::now();
        let mut seq = 0;
        let mut last = std::collections::HashMap::new();
        for step in steps {
            match step {
                Step::Put { host, len } => {
                    seq += 1;
                    let sample = Sample { host, seq, ..Sample::tcp(IpVersion::V4, vec![0; len]) };
                    queue.enqueue(now, &NetHeader::default(), &sample.build());
                }
                Step::PutControl => {
                    queue.enqueue(now, &NetHeader::default(), &arp());
                }
                Step::PutSuperFrame { host, len } => {
                    seq += 1;
                    let sample = Sample { host, seq, ..Sample::tcp(IpVersion::V4, vec![0; len]) };
                    let (header, frame) = sample.super_frame(1000);
                    queue.enqueue(now, &header, &frame);
                    seq += len as u32;
                }
                Step::Take => {
                    if let Some(frame) = queue.dequeue(now) {
                        if frame.bytes()[12..14] == [8, 0] {
                            let seq = crate::view::read_u32(frame.bytes(), 38).unwrap();
                            let before = last.insert(host(&frame), seq);
                            prop_assert!(before.is_none_or(|before| before < seq), "order within a flow");
                        }
                        queue.recycle(frame);
                    }
                }
                Step::Wait(ms) => now += MS * ms,
                Step::Clear => queue.clear(),
            }
            prop_assert!(queue.bytes() <= limit_bytes.max(64 * 1024));
            prop_assert!(queue.memory() <= limit_memory + 68 * 1024);
            let stats = *queue.stats();
            let out = stats.dequeued_frames + stats.dropped_overflow + stats.dropped_clear;
            let waiting = queue.len() as u64;
            // CoDel counts segments, of which a super-frame may lose several and go on.
            prop_assert!(stats.enqueued_frames >= out + waiting);
            prop_assert!(stats.enqueued_frames <= out + waiting + stats.dropped_codel);
        }
        let waiting = queue.len();
        let dropped = queue.stats().dropped_codel;
        let mut left = 0;
        while queue.dequeue(now).is_some() {
            left += 1;
        }
        prop_assert!(left <= waiting && waiting - left <= (queue.stats().dropped_codel - dropped) as usize);
        prop_assert_eq!((queue.bytes(), queue.len()), (0, 0));
    }
}
