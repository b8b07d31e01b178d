//! The queue in front of a modelled bottleneck, with TCP's additive increase and multiplicative decrease behind it, in
//! simulated time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use super::*;
use crate::guard::IpVersion;
use crate::samples::Sample;
use crate::view::{Ecn, read_u32};

const PAYLOAD: usize = 1448;
const PING: u8 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The bottleneck can take a frame.
    LinkFree,
    /// An acknowledgement of segment `seq` is back at its sender.
    Ack {
        flow: u8,
        seq: u32,
        ce: bool,
    },
    Ping,
    /// An unresponsive sender's turn.
    Flood,
}

/// A sender that halves its window once per round trip in which it learns of a loss or a mark.
#[derive(Debug)]
struct Sender {
    template: Vec<u8>,
    window: f64,
    threshold: f64,
    next: u32,
    acked: u32,
    recovered: u32,
    delivered: usize,
}

struct Path {
    bits_per_second: u64,
    round_trip: Duration,
    ecn: bool,
    /// Packets per second of a sender that heeds nothing.
    flood: u64,
}

#[derive(Debug)]
struct Seen {
    /// Payload bytes of each flow in the second half.
    delivered: Vec<usize>,
    /// Delays in the queue of the pings and of the bulk flows, sorted.
    ping: Vec<Duration>,
    bulk: Vec<Duration>,
    stats: Stats,
    idle: Duration,
}

fn run(path: &Path, flows: u8, seconds: u64, settings: Settings) -> Seen {
    let mut queue = FairQueue::new(Mode::Ethernet, settings);
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let half = start + Duration::from_secs(seconds / 2);
    let mut senders: HashMap<u8, Sender> = (0..flows).map(|flow| (flow, sender(flow, path.ecn))).collect();
    let ping = Sample { host: PING, ..Sample::udp(IpVersion::V4, vec![0; 56]) }.build();
    let flood = Sample { host: 201, ..Sample::udp(IpVersion::V4, vec![0; 1000]) }.build();
    let mut events = BinaryHeap::from([Reverse((start, Event::Ping))]);
    if path.flood > 0 {
        events.push(Reverse((start, Event::Flood)));
    }
    let mut free_since = Some(start);
    let mut seen = Seen {
        delivered: vec![0; usize::from(flows)],
        ping: Vec::new(),
        bulk: Vec::new(),
        stats: Stats::default(),
        idle: Duration::ZERO,
    };
    for (flow, sender) in &mut senders {
        send(&mut queue, start, *flow, sender);
    }

    while let Some(Reverse((now, event))) = events.pop() {
        if now > end {
            break;
        }
        match event {
            Event::LinkFree => free_since = Some(now),
            Event::Ack { flow, seq, ce } => {
                let sender = senders.get_mut(&flow).unwrap();
                sender.acknowledge(seq, ce);
                send(&mut queue, now, flow, sender);
            }
            Event::Ping => {
                queue.enqueue(now, &NetHeader::default(), &ping);
                events.push(Reverse((now + Duration::from_millis(10), Event::Ping)));
            }
            Event::Flood => {
                queue.enqueue(now, &NetHeader::default(), &flood);
                events.push(Reverse((now + Duration::from_secs(1) / path.flood as u32, Event::Flood)));
            }
        }
        let Some(since) = free_since else { continue };
        let Some(frame) = queue.dequeue(now) else { continue };
        if now >= half {
            seen.idle += now - since.max(half);
        }
        let bits = 8 * frame.len() as u64;
        let sent = now + Duration::from_nanos(bits * 1_000_000_000 / path.bits_per_second);
        free_since = None;
        events.push(Reverse((sent, Event::LinkFree)));
        let flow = frame.bytes()[11];
        let delay = now - frame.queued_at();
        if let Some(sender) = senders.get_mut(&flow) {
            let seq = read_u32(frame.bytes(), 38).unwrap();
            let layout = Layout::parse(Mode::Ethernet, frame.bytes());
            let ce = layout.ip.unwrap().ecn(frame.bytes()) == Ecn::Ce;
            events.push(Reverse((sent + path.round_trip, Event::Ack { flow, seq, ce })));
            if now >= half {
                sender.delivered += PAYLOAD;
                seen.bulk.push(delay);
            }
        } else if flow == PING && now >= half {
            seen.ping.push(delay);
        }
        queue.recycle(frame);
    }
    for (flow, sender) in senders {
        seen.delivered[usize::from(flow)] = sender.delivered;
    }
    seen.ping.sort();
    seen.bulk.sort();
    seen.stats = *queue.stats();
    seen
}

fn sender(flow: u8, ecn: bool) -> Sender {
    let tos = if ecn { 2 } else { 0 };
    let ports = (50_000 + u16::from(flow), 5201);
    let sample = Sample { host: flow, ports, tos, ..Sample::tcp(IpVersion::V4, vec![0; PAYLOAD]) };
    Sender {
        template: sample.build(),
        window: 10.0,
        threshold: f64::MAX,
        next: 0,
        acked: 0,
        recovered: 0,
        delivered: 0,
    }
}

/// Fills the sender's window. The sequence number counts segments.
fn send(queue: &mut FairQueue, now: Instant, flow: u8, sender: &mut Sender) {
    while f64::from(sender.next - sender.acked) < sender.window {
        let mut frame = sender.template.clone();
        frame[38..42].copy_from_slice(&sender.next.to_be_bytes());
        assert_eq!(frame[11], flow);
        queue.enqueue(now, &NetHeader::default(), &frame);
        sender.next += 1;
    }
}

impl Sender {
    fn acknowledge(&mut self, seq: u32, ce: bool) {
        let lost = seq > self.acked;
        self.acked = seq + 1;
        if (lost || ce) && seq >= self.recovered {
            self.window = (self.window / 2.0).max(2.0);
            self.threshold = self.window;
            self.recovered = self.next;
        } else if self.window < self.threshold {
            self.window += 1.0;
        } else {
            self.window += 1.0 / self.window;
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn jain(shares: &[usize]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}

const SLOW: Path =
    Path { bits_per_second: 20_000_000, round_trip: Duration::from_millis(40), ecn: false, flood: 0 };

#[test]
fn a_bulk_flow_keeps_the_link_busy_and_the_queue_short() {
    let seen = run(&SLOW, 1, 40, Settings::default());
    let busy = 1.0 - seen.idle.as_secs_f64() / 20.0;
    assert!(busy > 0.85, "{busy}");
    assert!(percentile(&seen.bulk, 50) < Duration::from_millis(10), "{:?}", percentile(&seen.bulk, 50));
    assert!(seen.stats.dropped_codel > 0);
    assert_eq!((seen.stats.dropped_overflow, seen.stats.marked), (0, 0));
}

#[test]
fn a_ping_waits_for_little_more_than_one_frame() {
    for flows in [1, 4, 16] {
        let seen = run(&SLOW, flows, 20, Settings::default());
        // One frame of 1514 bytes takes 0.6 ms.
        let worst = percentile(&seen.ping, 99);
        assert!(worst < Duration::from_micros(1300), "{flows} flows: {worst:?}");
        assert!(seen.ping.len() > 990);
    }
}

#[test]
fn four_bulk_flows_share_evenly() {
    let seen = run(&SLOW, 4, 40, Settings::default());
    assert!(jain(&seen.delivered) > 0.98, "{:?}", seen.delivered);
    let total: usize = seen.delivered.iter().sum();
    // Payload; headers take another 4 %.
    assert!(total as f64 * 8.0 / 20.0 > 0.85 * 20e6, "{total}");
}

#[test]
fn marks_do_what_drops_do() {
    let seen = run(&Path { ecn: true, ..SLOW }, 4, 40, Settings::default());
    assert!(seen.stats.marked > 0);
    assert_eq!(seen.stats.dropped_codel, 0);
    assert!(jain(&seen.delivered) > 0.98, "{:?}", seen.delivered);
    assert!(percentile(&seen.bulk, 50) < Duration::from_millis(20));
    assert!(percentile(&seen.ping, 99) < Duration::from_micros(1300));
}

#[test]
fn a_flood_takes_its_share_and_no_more() {
    // 40 Mbit/s into 20, beside three flows that behave.
    let seen = run(&Path { flood: 5000, ..SLOW }, 3, 40, Settings::default());
    for delivered in &seen.delivered {
        let share = *delivered as f64 * 8.0 / 20.0 / 20e6;
        assert!(share > 0.18, "{:?}", seen.delivered);
    }
    assert!(percentile(&seen.ping, 99) < Duration::from_micros(1300));
}

#[test]
fn a_fast_link_is_filled() {
    let path = Path { bits_per_second: 1_000_000_000, round_trip: Duration::from_millis(1), ..SLOW };
    let seen = run(&path, 4, 4, Settings::default());
    let busy = 1.0 - seen.idle.as_secs_f64() / 2.0;
    assert!(busy > 0.95, "{busy}");
    assert!(percentile(&seen.ping, 99) < Duration::from_micros(100), "{:?}", percentile(&seen.ping, 99));
}
