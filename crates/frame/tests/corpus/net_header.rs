//! Input: a byte that chooses the mode and what was offered, a virtio-net header, then the frame. What passes the check goes
//! through everything that rewrites frames.

use std::time::{Duration, Instant};

use tapline_frame::coalesce::Coalescer;
use tapline_frame::queue::{FairQueue, Settings};
use tapline_frame::segment::{Cut, segment};
use tapline_frame::{Gso, Mode, NetHeader, Offloads, complete_checksum};

pub(crate) fn check(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let Some((header, frame)) = rest.split_first_chunk::<{ NetHeader::LEN }>() else { return };
    let mode = if choice & 1 == 0 { Mode::Ethernet } else { Mode::PointToPoint };
    let offered = Offloads { checksum: choice & 2 == 0, tso: choice & 4 == 0, uso: choice & 8 == 0 };
    let Ok(header) = NetHeader::decode(header) else { return };
    assert_eq!(NetHeader::decode(&header.encode()), Ok(header));

    // A trusted header of the local kernel takes the same way without the check.
    rewrite(mode, &header, frame);
    let Ok(checked) = header.check(frame, mode, offered) else { return };
    assert_eq!(checked.check(frame, mode, offered), Ok(checked), "checking twice is checking once");
    assert!(!checked.data_valid);
    if checked.needs_csum {
        assert!(offered.checksum);
        assert!(usize::from(checked.csum_start) + usize::from(checked.csum_offset) + 2 <= frame.len());
    }
    if checked.gso != Gso::None {
        assert!(checked.needs_csum && checked.gso_size > 0);
        let payload = frame.len().checked_sub(usize::from(checked.hdr_len));
        assert!(payload.is_some_and(|len| len > usize::from(checked.gso_size)));
    }
    rewrite(mode, &checked, frame);
}

fn rewrite(mode: Mode, header: &NetHeader, frame: &[u8]) {
    for cut in [Cut::Frames, Cut::SuperFrames { max_len: 3000 }] {
        let mut pieces = Vec::new();
        let count = segment(mode, header, frame, cut, |header, head, payload| {
            pieces.push((*header, [head, payload].concat()));
        });
        assert!(count.map_or(pieces.is_empty(), |count| count == pieces.len()));
        let mut coalescer = Coalescer::new(mode, Offloads::ALL);
        for (header, piece) in &pieces {
            assert_eq!(header.check(piece, mode, Offloads::ALL), Ok(*header), "a piece is a good frame");
            coalescer.push(header, piece, |_, _| {});
        }
        coalescer.flush(|header, frame| {
            assert!(header.check(frame, mode, Offloads::ALL).is_ok());
        });
    }
    let mut copy = frame.to_vec();
    let _ = complete_checksum(&mut copy, header);

    let mut queue = FairQueue::new(mode, Settings { flows: 4, mtu: 0, ..Settings::default() });
    let start = Instant::now();
    for _ in 0..4 {
        queue.enqueue(start, header, frame);
    }
    let mut now = start;
    while !queue.is_empty() {
        now += Duration::from_millis(200);
        if let Some(frame) = queue.dequeue(now) {
            queue.recycle(frame);
        }
    }
    assert_eq!(queue.bytes(), 0);
}
