use super::*;
use crate::memory::pair;

struct Ignored;

impl FrameSink for Ignored {
    fn push(&mut self, _: &NetHeader, _: &[u8]) -> bool {
        true
    }
}

/// Accepts so many bytes and then fails.
#[derive(Debug)]
struct Limited(usize);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("full"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn frame(bytes: &[u8]) -> FrameRef<'_> {
    FrameRef { header: NetHeader::default(), bytes }
}

fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_ne_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap())
}

#[test]
fn both_directions_are_recorded() {
    let (left, mut right) = pair(Mode::Ethernet);
    let mut device = RecordingDevice::new(left, Vec::new()).unwrap();
    device.write_batch(&[frame(&[1; 60])]).unwrap();
    right.write_batch(&[frame(&[2; 1514])]).unwrap();
    device.read_batch(&mut Ignored).unwrap();
    let (_, file) = device.finish().unwrap();
    assert_eq!(file.len(), 24 + 16 + 60 + 16 + 1514);
    assert_eq!((word(&file, 0), word(&file, 5)), (0xa1b2_3c4d, 1));
    let first = &file[24..];
    assert_eq!((word(first, 2), word(first, 3)), (60, 60));
    assert_eq!(first[16..76], [1; 60]);
    let second = &first[76..];
    assert_eq!((word(second, 2), word(second, 3)), (1514, 1514));
    assert_eq!(second[16..], [2; 1514]);
}

#[test]
fn packets_have_a_link_type_of_their_own() {
    let (left, _right) = pair(Mode::PointToPoint);
    let (_, file) = RecordingDevice::new(left, Vec::new()).unwrap().finish().unwrap();
    assert_eq!(word(&file, 5), 101);
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_frames() {
    let (left, mut right) = pair(Mode::Ethernet);
    let mut device = RecordingDevice::new(left, Limited(24 + 50)).unwrap();
    for _ in 0..2 {
        assert_eq!(device.write_batch(&[frame(&[1; 60])]).unwrap().written, 1);
    }
    assert_eq!(right.read_batch(&mut Ignored).unwrap(), 2);
    assert!(device.finish().is_err());
}
