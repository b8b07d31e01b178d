//! Frames and packets through the kernel, without offload work in them.

use std::net::UdpSocket;

use tapline_device::{Device, FrameRef, MAX_FRAME, OffloadPolicy, OpenRequest, Unit, Written, open};
use tapline_frame::{Mode, NetHeader};

use crate::harness::{
    EXPERIMENTAL, PacketSocket, device, experimental_frame, in_namespace, is_experimental, plain, read_until,
    run, wait_until,
};

const LENGTHS: [usize; 4] = [14, 60, 1514, 9014];

#[test]
fn frames_of_every_size_both_ways() {
    in_namespace(|| {
        for offloads in [OffloadPolicy::Off, OffloadPolicy::Probe] {
            let request = OpenRequest { offloads, ..OpenRequest::new(Mode::Ethernet, Unit::Any) };
            let mut tap = open(&request).unwrap();
            run("ip link set tap0 mtu 9000 up");
            let socket = PacketSocket::on("tap0");
            for length in LENGTHS {
                let frame = experimental_frame(length);
                assert_eq!(tap.write_batch(&[plain(&frame)]).unwrap(), Written { written: 1, dropped: 0 });
                assert_eq!(socket.receive_until(is_experimental), frame);
                socket.send(&frame);
                let (header, read) = read_until(&mut tap, |_, frame| is_experimental(frame));
                assert!(header.is_plain());
                assert_eq!(read, frame);
            }
            assert_eq!(tap.unreadable(), 0);
        }
    });
}

#[test]
fn a_batch_keeps_its_order() {
    in_namespace(|| {
        let mut tap = device(Mode::Ethernet, Unit::Any);
        run("ip link set tap0 up");
        let socket = PacketSocket::on("tap0");
        let frames: Vec<_> = (0..100).map(|index| experimental_frame(60 + index)).collect();
        let batch: Vec<_> = frames.iter().map(|frame| plain(frame)).collect();
        assert_eq!(tap.write_batch(&batch).unwrap(), Written { written: 100, dropped: 0 });
        for frame in &frames {
            assert_eq!(&socket.receive_until(is_experimental), frame);
        }
    });
}

#[test]
fn impossible_frames_are_dropped_and_the_rest_goes_on() {
    in_namespace(|| {
        let mut tap = device(Mode::Ethernet, Unit::Any);
        run("ip link set tap0 up");
        let socket = PacketSocket::on("tap0");
        let [empty, one, short, good, long] =
            [0, 1, 13, 60, MAX_FRAME + 1].map(|length| experimental_frame(length.max(14))[..length].to_vec());
        let batch: Vec<_> = [&empty, &one, &short, &long, &good].map(|frame| plain(frame)).to_vec();
        assert_eq!(tap.write_batch(&batch).unwrap(), Written { written: 1, dropped: 4 });
        assert_eq!(socket.receive_until(is_experimental), good);
    });
}

#[test]
fn an_interface_that_is_down_drops() {
    in_namespace(|| {
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let mut device = device(mode, Unit::Any);
            let frame = experimental_frame(60);
            assert_eq!(device.write_batch(&[plain(&frame); 3]).unwrap(), Written { written: 0, dropped: 3 });
        }
    });
}

/// The kernel takes the tag out of a frame and puts it back; with it move the offsets of the virtio-net header.
///
/// ```text
/// test -- tap0 == bridge br0 == tap1 -- test
/// ```
#[test]
fn a_tagged_frame_crosses_a_bridge_as_it_was() {
    in_namespace(|| {
        let mut left = device(Mode::Ethernet, Unit::Any);
        let mut right = device(Mode::Ethernet, Unit::Any);
        run("ip link add br0 type bridge");
        for name in ["tap0", "tap1"] {
            run(&format!("ip link set {name} master br0 up"));
        }
        run("ip link set br0 up");
        wait_until("both ports forward", || run("bridge link show").matches("state forwarding").count() == 2);
        let inner = experimental_frame(100);
        let mut tagged = inner[..12].to_vec();
        tagged.extend([0x81, 0, 0, 5]);
        tagged.extend(&inner[12..]);
        let partial = NetHeader { needs_csum: true, csum_start: 40, csum_offset: 6, ..NetHeader::default() };
        for header in [NetHeader::default(), partial] {
            let frame = FrameRef { header, bytes: &tagged };
            assert_eq!(left.write_batch(&[frame]).unwrap(), Written { written: 1, dropped: 0 });
            let (read_header, read) =
                read_until(&mut right, |_, frame| frame.get(16..18) == Some(&EXPERIMENTAL));
            assert_eq!(read, tagged);
            assert_eq!(read_header.needs_csum, header.needs_csum);
            assert_eq!(
                (read_header.csum_start, read_header.csum_offset),
                (header.csum_start, header.csum_offset)
            );
        }
    });
}

#[test]
fn packets_of_both_families_both_ways() {
    in_namespace(|| {
        for offloads in [OffloadPolicy::Off, OffloadPolicy::Probe] {
            let request = OpenRequest { offloads, ..OpenRequest::new(Mode::PointToPoint, Unit::Any) };
            let mut tun = open(&request).unwrap();
            run("ip address add 10.77.0.1/24 dev tun0");
            run("ip address add fd77::1/64 dev tun0 nodad");
            run("ip link set tun0 up");
            let socket = PacketSocket::on_all();
            for (local, remote, header) in
                [("10.77.0.1:0", "10.77.0.2:7", 20), ("[fd77::1]:0", "[fd77::2]:7", 40)]
            {
                let udp = UdpSocket::bind(local).unwrap();
                udp.send_to(b"from the kernel", remote).unwrap();
                let (_, packet) = read_until(&mut tun, |_, packet| packet.ends_with(b"from the kernel"));
                assert_eq!(packet.len(), header + 8 + 15);
                assert_eq!(packet[0] >> 4, if header == 20 { 4 } else { 6 });
                // Any packet of the version's form is shown to packet sockets, whatever its checksum.
                let mut answer = packet;
                answer.truncate(header);
                answer.extend(b"from the device");
                assert_eq!(tun.write_batch(&[plain(&answer)]).unwrap(), Written { written: 1, dropped: 0 });
                assert_eq!(socket.receive_until(|packet| packet.ends_with(b"from the device")), answer);
            }
            assert_eq!(tun.write_batch(&[plain(&[]), plain(&[0; 60])]).unwrap().dropped, 2);
        }
    });
}
