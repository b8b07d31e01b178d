//! Super-frames made by the kernel, and given back to another.
//!
//! ```text
//! namespace A: 10.77.0.1, fd77::1 -- tap0 == frames carried by the test == tap0 -- 10.77.0.2, fd77::2 : namespace B
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::panic::resume_unwind;
use std::thread;

use nix::sys::socket::{setsockopt, sockopt};
use tapline_device::faults::{Faults, FaultyDevice, Invalid};
use tapline_device::{Device, FrameRef, MAX_FRAME, OffloadPolicy, OpenRequest, Unit, open};
use tapline_frame::{Gso, Mode, NetHeader};
use tokio::sync::oneshot;

use crate::harness::{
    Collected, PATIENCE, device, in_namespace, next_namespace, read_until, readable, run, runtime, wait_until,
};

const SEGMENT: u16 = 1400;
const DATAGRAM: usize = 60_000;
const STREAM: usize = 8_000_000;

#[test]
fn a_udp_super_datagram_is_read_whole() {
    in_namespace(|| {
        let mut tap = device(Mode::Ethernet, Unit::Any);
        if !tap.offloads().uso {
            return crate::harness::skip("this kernel has no USO for taps; it needs Linux 6.2");
        }
        set_up(1);
        let sender = UdpSocket::bind("10.77.0.1:0").unwrap();
        setsockopt(&sender, sockopt::UdpGsoSegment, &i32::from(SEGMENT)).unwrap();
        run("ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev tap0");
        sender.send_to(&[7; DATAGRAM], "10.77.0.2:7").unwrap();
        let (header, frame) = read_until(&mut tap, |header, _| header.gso != Gso::None);
        assert_eq!(frame.len(), 14 + 20 + 8 + DATAGRAM);
        assert_eq!((header.gso, header.gso_size, header.needs_csum), (Gso::UdpL4, SEGMENT, true));
        assert_eq!((header.csum_start, header.csum_offset), (14 + 20, 6));
    });
}

#[test]
fn without_offloads_the_kernel_cuts_and_sums_itself() {
    in_namespace(|| {
        let request =
            OpenRequest { offloads: OffloadPolicy::Off, ..OpenRequest::new(Mode::Ethernet, Unit::Any) };
        let mut tap = open(&request).unwrap();
        set_up(1);
        let sender = UdpSocket::bind("10.77.0.1:0").unwrap();
        // Without checksum offload the socket itself refuses to segment, so IP fragments are what it sends.
        run("ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev tap0");
        sender.send_to(&[7; DATAGRAM], "10.77.0.2:7").unwrap();
        let (header, frame) = read_until(&mut tap, |_, frame| frame.get(12..14) == Some(&[8, 0]));
        assert!(header.is_plain());
        assert_eq!(frame.len(), 14 + 1500);
    });
}

#[test]
fn tcp_crosses_as_super_frames() {
    for mode in [Mode::Ethernet, Mode::PointToPoint] {
        for address in ["10.77.0.1", "fd77::1"] {
            in_namespace(move || {
                let seen = stream_across(mode, OffloadPolicy::Probe, address);
                assert!(seen.super_frames > 0, "{seen:?}");
                assert!(seen.partial_checksums > 0, "{seen:?}");
                assert!(seen.longest <= MAX_FRAME, "{seen:?}");
                assert_eq!(seen.dropped, 0, "{seen:?}");
            });
        }
    }
}

#[test]
fn n3_a_stream_crosses_kernels_that_refuse_super_frames() {
    let refusals =
        [Invalid::All, Invalid::Udp, Invalid::ShorterTail(300), Invalid::ShortRest, Invalid::Undone];
    for invalid in refusals {
        for (mode, address) in [(Mode::Ethernet, "10.77.0.1"), (Mode::PointToPoint, "fd77::1")] {
            in_namespace(move || {
                let seen = stream_past(mode, OffloadPolicy::Probe, address, invalid);
                assert!(seen.super_frames > 0, "{invalid:?}: {seen:?}");
                assert_eq!(seen.dropped, 0, "{invalid:?}: {seen:?}");
            });
        }
    }
}

#[test]
fn tcp_crosses_without_offloads() {
    for mode in [Mode::Ethernet, Mode::PointToPoint] {
        in_namespace(move || {
            let seen = stream_across(mode, OffloadPolicy::Off, "10.77.0.1");
            assert_eq!((seen.super_frames, seen.partial_checksums, seen.dropped), (0, 0, 0), "{seen:?}");
            assert!(seen.longest <= 1514, "{seen:?}");
        });
    }
}

#[test]
fn a_udp_super_datagram_is_cut_by_the_receiving_kernel() {
    in_namespace(|| {
        let left = device(Mode::Ethernet, Unit::Any);
        if !left.offloads().uso {
            return crate::harness::skip("this kernel has no USO for taps; it needs Linux 6.2");
        }
        set_up(1);
        let sender = UdpSocket::bind("10.77.0.1:0").unwrap();
        setsockopt(&sender, sockopt::UdpGsoSegment, &i32::from(SEGMENT)).unwrap();
        next_namespace();
        let right = device(Mode::Ethernet, Unit::Any);
        set_up(2);
        let receiver = UdpSocket::bind("10.77.0.2:7").unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let seen = carry(left, right, move || {
            sender.send_to(&[7; DATAGRAM], "10.77.0.2:7").unwrap();
            let mut buffer = [0; 2 * SEGMENT as usize];
            let mut rest = DATAGRAM;
            while rest > 0 {
                let length = receiver.recv(&mut buffer).unwrap();
                assert_eq!(length, rest.min(usize::from(SEGMENT)));
                assert!(buffer[..length].iter().all(|byte| *byte == 7));
                rest -= length;
            }
        });
        assert_eq!((seen.super_frames, seen.dropped), (1, 0), "{seen:?}");
    });
}

#[test]
fn a_partial_checksum_is_finished_by_the_kernel() {
    in_namespace(|| {
        let mut tap = device(Mode::Ethernet, Unit::Any);
        set_up(1);
        let receiver = UdpSocket::bind("10.77.0.1:7").unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        run("ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev tap0");
        UdpSocket::bind("10.77.0.1:0").unwrap().send_to(b"a question", "10.77.0.2:7").unwrap();
        let (header, question) = read_until(&mut tap, |_, frame| frame.ends_with(b"a question"));
        assert!(header.needs_csum);
        // Back to its sender, both addresses exchanged, which leaves the sums of the IP and the pseudo header as they are.
        let mut answer = question.clone();
        answer[..6].copy_from_slice(&question[6..12]);
        answer[6..12].copy_from_slice(&question[..6]);
        answer[26..30].copy_from_slice(&question[30..34]);
        answer[30..34].copy_from_slice(&question[26..30]);
        let wrong_sum = FrameRef { header: NetHeader::default(), bytes: &answer };
        let partial_sum = FrameRef { header, bytes: &answer };
        let written = tap.write_batch(&[wrong_sum, partial_sum]).unwrap();
        assert_eq!((written.written, written.dropped), (2, 0));
        let mut buffer = [0; 100];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"a question");
        wait_until("the frame with a partial sum and no header was refused", || {
            run("nstat -az UdpInCsumErrors")
                .lines()
                .any(|line| line.starts_with("UdpInCsumErrors") && line.contains(" 1 "))
        });
    });
}

#[derive(Debug, Default)]
struct Seen {
    super_frames: usize,
    partial_checksums: usize,
    longest: usize,
    dropped: usize,
}

/// Addresses of host number `host`, and what else tap0 or tun0 needs to speak at once.
fn set_up(host: u8) {
    let name = ["tap0", "tun0"].into_iter().find(|name| crate::harness::exists(name)).unwrap();
    run(&format!("ip address add 10.77.0.{host}/24 dev {name}"));
    run(&format!("ip address add fd77::{host}/64 dev {name} nodad"));
    run(&format!("ip link set {name} up"));
}

/// Sends a stream from host 2 to `address` of host 1 and checks what arrives.
fn stream_across(mode: Mode, offloads: OffloadPolicy, address: &'static str) -> Seen {
    stream_past(mode, offloads, address, Invalid::None)
}

/// As [`stream_across`], where both kernels refuse what `invalid` says.
fn stream_past(mode: Mode, offloads: OffloadPolicy, address: &'static str, invalid: Invalid) -> Seen {
    let faulty = |device| FaultyDevice::new(device, Faults { invalid, ..Faults::default() }, 1);
    let request = OpenRequest { offloads, ..OpenRequest::new(mode, Unit::Any) };
    let left = faulty(open(&request).unwrap());
    set_up(1);
    let listener = TcpListener::bind((address, 7)).unwrap();
    next_namespace();
    let right = faulty(open(&request).unwrap());
    set_up(2);
    let target: SocketAddr = listener.local_addr().unwrap();
    carry(left, right, move || {
        // Threads inherit the namespace of the one that starts them: host 2's.
        let sender =
            thread::spawn(move || TcpStream::connect(target).unwrap().write_all(&pattern()).unwrap());
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == pattern(), "the stream arrived changed");
    })
}

fn pattern() -> Vec<u8> {
    (0..STREAM).map(|index| (index ^ (index >> 8) ^ (index >> 16)).to_le_bytes()[0]).collect()
}

/// Carries frames both ways until `traffic` is done.
fn carry(mut left: impl Device, mut right: impl Device, traffic: impl FnOnce() + Send + 'static) -> Seen {
    let (done, mut is_done) = oneshot::channel();
    let traffic = thread::spawn(move || {
        // Sent, or dropped by a panic: either ends the loop below.
        let _done: oneshot::Sender<()> = done;
        traffic();
    });
    let mut seen = Seen::default();
    runtime().block_on(async {
        loop {
            tokio::select! {
                _ = &mut is_done => break,
                result = readable(&mut left) => result.unwrap(),
                result = readable(&mut right) => result.unwrap(),
            }
            pass(&mut left, &mut right, &mut seen);
            pass(&mut right, &mut left, &mut seen);
        }
    });
    left.detach();
    right.detach();
    if let Err(panic) = traffic.join() {
        resume_unwind(panic);
    }
    seen
}

fn pass(from: &mut dyn Device, to: &mut dyn Device, seen: &mut Seen) {
    let mut batch = Collected::up_to(64);
    from.read_batch(&mut batch).unwrap();
    for (header, bytes) in &batch.frames {
        seen.super_frames += usize::from(header.gso != Gso::None);
        seen.partial_checksums += usize::from(header.needs_csum);
        seen.longest = seen.longest.max(bytes.len());
        seen.dropped += to.write_batch(&[FrameRef { header: *header, bytes }]).unwrap().dropped;
    }
}
