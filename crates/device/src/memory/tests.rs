use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Collected {
    frames: Vec<(NetHeader, Vec<u8>)>,
    wanted: Option<usize>,
}

impl FrameSink for Collected {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.frames.push((*header, frame.to_vec()));
        self.wanted.is_none_or(|wanted| self.frames.len() < wanted)
    }
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn frame(bytes: &[u8]) -> FrameRef<'_> {
    FrameRef { header: NetHeader::default(), bytes }
}

#[test]
fn frames_arrive_in_order_with_their_headers() {
    let (mut left, mut right) = pair(Mode::Ethernet);
    let header = NetHeader { needs_csum: true, csum_start: 34, csum_offset: 16, ..NetHeader::default() };
    let frames = [FrameRef { header, bytes: &[1; 60] }, frame(&[2; 1514])];
    assert_eq!(left.write_batch(&frames).unwrap(), Written { written: 2, dropped: 0 });
    let mut collected = Collected::default();
    assert_eq!(right.read_batch(&mut collected).unwrap(), 2);
    assert_eq!(collected.frames, [(header, vec![1; 60]), (NetHeader::default(), vec![2; 1514])]);
    assert_eq!(right.read_batch(&mut collected).unwrap(), 0);
}

#[test]
fn a_sink_that_has_enough_leaves_the_rest() {
    let (mut left, mut right) = pair(Mode::Ethernet);
    left.write_batch(&[frame(&[0; 14]); 5]).unwrap();
    let mut two = Collected { wanted: Some(2), ..Collected::default() };
    assert_eq!(right.read_batch(&mut two).unwrap(), 2);
    assert_eq!(right.read_batch(&mut Collected::default()).unwrap(), 3);
}

#[test]
fn a_full_queue_and_impossible_frames_drop() {
    let (mut left, mut right) = pair_with(Mode::Ethernet, Offloads::default(), 2);
    let unfinished = NetHeader { needs_csum: true, ..NetHeader::default() };
    let frames = [
        frame(&[]),
        frame(&[0; 13]),
        FrameRef { header: unfinished, bytes: &[0; 60] },
        frame(&[1; 14]),
        frame(&[2; 14]),
        frame(&[3; 14]),
    ];
    assert_eq!(left.write_batch(&frames).unwrap(), Written { written: 2, dropped: 4 });
    assert_eq!(right.read_batch(&mut Collected::default()).unwrap(), 2);
    assert_eq!(left.write_batch(&frames[3..4]).unwrap(), Written { written: 1, dropped: 0 });
}

#[test]
fn a_reader_is_woken_once_for_a_batch() {
    let (mut left, mut right) = pair(Mode::PointToPoint);
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut context = Context::from_waker(&waker);
    assert!(right.poll_readable(&mut context).is_pending());
    left.write_batch(&[frame(&[0x45; 20]); 3]).unwrap();
    left.write_batch(&[frame(&[0x45; 20]); 3]).unwrap();
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert!(right.poll_readable(&mut context).is_ready());
}

#[test]
fn without_carrier_the_other_end_writes_into_the_void() {
    let (mut left, mut right) = pair(Mode::Ethernet);
    left.set_carrier(false).unwrap();
    assert!(!right.carrier());
    assert!(left.carrier());
    assert_eq!(right.write_batch(&[frame(&[0; 60])]).unwrap().dropped, 1);
    assert_eq!(left.write_batch(&[frame(&[0; 60])]).unwrap().written, 1);
    left.set_carrier(true).unwrap();
    assert_eq!(right.write_batch(&[frame(&[0; 60])]).unwrap().written, 1);
}

#[test]
fn the_end_of_one_is_an_error_for_the_other_once_it_has_read_all() {
    let (mut left, mut right) = pair(Mode::Ethernet);
    let mut context = Context::from_waker(Waker::noop());
    left.write_batch(&[frame(&[0; 60])]).unwrap();
    drop(left);
    assert!(matches!(right.poll_readable(&mut context), Poll::Ready(Ok(()))));
    assert_eq!(right.read_batch(&mut Collected::default()).unwrap(), 1);
    assert!(matches!(right.poll_readable(&mut context), Poll::Ready(Err(_))));
    assert!(right.read_batch(&mut Collected::default()).is_err());
    assert!(right.write_batch(&[frame(&[0; 60])]).is_err());
    assert!(right.set_carrier(true).is_err());
}
