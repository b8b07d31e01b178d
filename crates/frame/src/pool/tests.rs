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
    let again = pool.frame(now, &NetHeader::default(), &[2; 1900], &[]).unwrap();
    assert_eq!(again.bytes().as_ptr(), place);
    assert_eq!(again.bytes(), [2; 1900]);
    assert_eq!(pool.retained(), 0);
}

#[test]
fn a_large_frame_leaves_the_landing_with_its_buffer() {
    let (mut pool, now) = (Pool::new(), Instant::now());
    let mut landing = Landing::new();
    landing.clear(4).extend_from_slice(b"netw");
    let storage = landing.clear(4);
    storage.extend_from_slice(b"head");
    storage.extend_from_slice(&[7; 60_000]);
    assert_eq!(landing.prefix(), Some(b"head"));
    let place = landing.frame().as_ptr();

    let frame = pool.landed(now, &NetHeader::default(), &mut landing).unwrap();
    assert!(frame.is_large());
    assert_eq!((frame.bytes().as_ptr(), frame.bytes()), (place, &[7; 60_000][..]));
    let (storage, start) = frame.into_storage();
    assert_eq!((start, storage.len()), (HEADROOM, HEADROOM + 60_000));

    // The landing goes on with another buffer, and gets this one next.
    landing.clear(0).extend_from_slice(&[8; 60_000]);
    pool.recycle_storage(storage);
    let other = pool.landed(now, &NetHeader::default(), &mut landing).unwrap();
    assert_eq!(other.bytes(), [8; 60_000]);
    landing.clear(0).extend_from_slice(b"next");
    assert_eq!(landing.frame().as_ptr(), place);
}

#[test]
fn a_small_frame_is_copied_out_of_the_landing() {
    let mut pool = Pool::new();
    let mut landing = Landing::new();
    landing.clear(0).extend_from_slice(&[7; 1514]);
    let frame = pool.landed(Instant::now(), &NetHeader::default(), &mut landing).unwrap();
    assert_eq!((frame.bytes(), frame.capacity(), frame.is_large()), (&[7; 1514][..], 2048, false));
    assert_eq!(landing.frame(), [7; 1514]);
}

#[test]
fn a_landing_without_a_frame_is_empty() {
    let mut landing = Landing::new();
    assert_eq!((landing.frame(), landing.prefix::<10>()), (&[][..], None));
    landing.clear(10).push(1);
    assert_eq!((landing.frame(), landing.prefix::<10>()), (&[][..], None));
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
