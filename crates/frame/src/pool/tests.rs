use super::*;
use crate::guard::MAX_FRAME;

#[test]
fn a_frame_is_a_copy_of_its_parts() {
    let mut pool = Pool::new();
    let header = NetHeader { hdr_len: 3, ..NetHeader::default() };
    let mut frame = pool.frame(Instant::now(), &header, b"head", b"tail").unwrap();
    assert_eq!((frame.bytes(), frame.len(), frame.header), (&b"headtail"[..], 8, header));
    frame.bytes_mut()[0] = b'H';
    assert_eq!(frame.bytes(), b"Headtail");
}

#[test]
fn buffers_are_used_again() {
    let mut pool = Pool::new();
    let now = Instant::now();
    let frame = pool.frame(now, &NetHeader::default(), &[1; 1000], &[]).unwrap();
    let place = frame.bytes().as_ptr();
    assert_eq!(frame.capacity(), 2048);
    pool.recycle(frame);
    assert_eq!(pool.retained(), 2048);
    let again = pool.frame(now, &NetHeader::default(), &[2; 2000], &[]).unwrap();
    assert_eq!(again.bytes().as_ptr(), place);
    assert_eq!(again.bytes(), [2; 2000]);
    assert_eq!(pool.retained(), 0);
}

#[test]
fn any_frame_a_tunnel_carries_fits() {
    let mut pool = Pool::new();
    let now = Instant::now();
    assert!(pool.frame(now, &NetHeader::default(), &vec![0; MAX_FRAME], &[]).is_some());
    assert!(pool.frame(now, &NetHeader::default(), &vec![0; crate::guard::MAX_PACKET], &[]).is_some());
    assert!(pool.frame(now, &NetHeader::default(), &vec![0; 68 * 1024], &[0]).is_none());
}

#[test]
fn shrinking_frees_the_largest_first() {
    let mut pool = Pool::new();
    let now = Instant::now();
    let frames: Vec<_> = [100, 10_000, 60_000]
        .map(|len| pool.frame(now, &NetHeader::default(), &vec![0; len], &[]).unwrap())
        .into();
    for frame in frames {
        pool.recycle(frame);
    }
    assert_eq!(pool.retained(), (2 + 16 + 68) * 1024);
    pool.shrink(20_000);
    assert_eq!(pool.retained(), 18 * 1024);
    pool.shrink(0);
    assert_eq!(pool.retained(), 0);
}
