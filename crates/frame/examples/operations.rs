//! Does one operation of the hot path many times, for `tests/bench/instructions.sh` to count its instructions.
//!
//! ```text
//! operations                 lists them, a line each: the name, and the frames that one run handles
//! operations NAME COUNT      runs one COUNT times
//! ```

#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use tapline_frame::coalesce::Coalescer;
use tapline_frame::queue::{FairQueue, Settings};
use tapline_frame::segment::{Cut, segment};
use tapline_frame::{Gso, Mode, NetHeader, Offloads, checksum, records};

const MODE: Mode = Mode::Ethernet;
/// TCP's payload with timestamps in a packet of 1500 bytes.
const MSS: u16 = 1448;
/// As many as a kernel puts into a super-frame.
const SEGMENTS: usize = 45;
/// Frames handled at a time.
const BATCH: usize = 64;
/// Source and destination.
const ADDRESSES: [u8; 8] = [192, 0, 2, 1, 198, 51, 100, 2];

/// One operation, ready to be run again and again.
type Run = Box<dyn FnMut()>;

struct Operation {
    name: &'static str,
    /// Frames that one run handles.
    frames: usize,
    prepare: fn() -> Run,
}

const OPERATIONS: [Operation; 10] = [
    Operation { name: "encode-super", frames: 1, prepare: || encode(super_frame(), 1) },
    Operation { name: "encode-64", frames: BATCH, prepare: || encode(small_frame(), BATCH) },
    Operation { name: "decode-super", frames: 1, prepare: || decode(super_frame(), 1) },
    Operation { name: "decode-64", frames: BATCH, prepare: || decode(small_frame(), BATCH) },
    Operation { name: "check-super", frames: 1, prepare: || check(super_frame()) },
    Operation { name: "check-64", frames: 1, prepare: || check(small_frame()) },
    Operation { name: "segment", frames: SEGMENTS, prepare: segmentation },
    Operation { name: "coalesce", frames: SEGMENTS, prepare: coalescing },
    Operation { name: "queue-super", frames: BATCH, prepare: || queueing(super_frame()) },
    Operation { name: "queue-64", frames: BATCH, prepare: || queueing(small_frame()) },
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            for Operation { name, frames, .. } in &OPERATIONS {
                println!("{name} {frames}");
            }
            ExitCode::SUCCESS
        }
        [name, count] => match (OPERATIONS.iter().find(|operation| operation.name == *name), count.parse()) {
            (Some(operation), Ok(count)) => {
                repeat(count, (operation.prepare)());
                ExitCode::SUCCESS
            }
            _ => wrong_usage(),
        },
        _ => wrong_usage(),
    }
}

fn repeat(count: u32, mut run: Run) {
    for _ in 0..count {
        run();
    }
}

fn wrong_usage() -> ExitCode {
    eprintln!("usage: operations [NAME COUNT]");
    ExitCode::from(2)
}

/// `count` records in one message.
fn encode((header, frame): (NetHeader, Vec<u8>), count: usize) -> Run {
    let mut message = Vec::new();
    Box::new(move || {
        message.clear();
        for _ in 0..count {
            let fits = records::encode_frame(MODE, black_box(&header), black_box(&frame), &mut message);
            fits.expect("a frame that is sent every day");
        }
        black_box(&message);
    })
}

/// One message of `count` records.
fn decode((header, frame): (NetHeader, Vec<u8>), count: usize) -> Run {
    let mut message = Vec::new();
    for _ in 0..count {
        records::encode_frame(MODE, &header, &frame, &mut message).expect("a frame that is sent every day");
    }
    Box::new(move || {
        for record in records::decode(MODE, black_box(&message)) {
            let _ = black_box(record);
        }
    })
}

fn check((header, frame): (NetHeader, Vec<u8>)) -> Run {
    Box::new(move || {
        let checked = black_box(&header).check(black_box(&frame), MODE, Offloads::ALL);
        black_box(checked).expect("a frame that comes every day");
    })
}

fn segmentation() -> Run {
    let (header, frame) = super_frame();
    Box::new(move || {
        let pieces = segment(MODE, &header, black_box(&frame), Cut::Frames, |header, head, payload| {
            black_box((header, head, payload));
        });
        assert_eq!(pieces, Ok(SEGMENTS));
    })
}

fn coalescing() -> Run {
    let (header, frame) = super_frame();
    let mut segments = Vec::new();
    let cut = segment(MODE, &header, &frame, Cut::Frames, |header, head, payload| {
        segments.push((*header, [head, payload].concat()));
    });
    cut.expect("a frame that comes every day");
    let mut coalescer = Coalescer::new(MODE, Offloads::ALL);
    Box::new(move || {
        let mut joined = 0;
        let mut out = |header: &NetHeader, frame: &[u8]| {
            black_box((header, frame));
            joined += 1;
        };
        for (header, frame) in &segments {
            coalescer.push(header, black_box(frame), &mut out);
        }
        coalescer.flush(&mut out);
        assert_eq!(joined, 1);
    })
}

/// A batch in, and out again.
fn queueing((header, frame): (NetHeader, Vec<u8>)) -> Run {
    let now = Instant::now();
    let mut queue = FairQueue::new(
        MODE,
        Settings { limit_bytes: 64 << 20, limit_memory: 64 << 20, ..Settings::default() },
    );
    Box::new(move || {
        for _ in 0..BATCH {
            queue.enqueue(now, &header, black_box(&frame));
        }
        let mut sent = 0;
        while let Some(frame) = queue.dequeue(now) {
            queue.recycle(black_box(frame));
            sent += 1;
        }
        assert_eq!(sent, BATCH);
    })
}

/// A TCP super-frame as a kernel hands it over.
fn super_frame() -> (NetHeader, Vec<u8>) {
    let header = NetHeader {
        needs_csum: true,
        gso: Gso::TcpV4,
        hdr_len: 66,
        gso_size: MSS,
        csum_start: 34,
        csum_offset: 16,
        ..NetHeader::default()
    };
    // Data offset 8 words, ACK, a window, no checksum yet; then the timestamp option as Linux pads it.
    let mut tcp = vec![0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0];
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    tcp.resize(tcp.len() + SEGMENTS * usize::from(MSS), 0x5a);
    let partial = checksum::pseudo_header(&ADDRESSES, 6, tcp.len()).fold();
    if let Some(place) = tcp.get_mut(16..18) {
        place.copy_from_slice(&partial.to_be_bytes());
    }
    (header, ethernet(6, &tcp))
}

/// A UDP datagram in a frame of 64 bytes, of which the last four are the frame check sequence that a tap leaves out.
fn small_frame() -> (NetHeader, Vec<u8>) {
    let mut udp = vec![0x9c, 0x40, 0x23, 0x28, 0, 26, 0, 0];
    udp.resize(26, 0x5a);
    (NetHeader::default(), ethernet(17, &udp))
}

fn ethernet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut ip = vec![0x45, 0, l0, l1, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    ip.extend(ADDRESSES);
    let [c0, c1] = checksum::Sum::default().add_bytes(&ip).finish().to_be_bytes();
    if let Some(place) = ip.get_mut(10..12) {
        place.copy_from_slice(&[c0, c1]);
    }
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    [&ethernet, ip.as_slice(), payload].concat()
}
