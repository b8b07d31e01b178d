use std::future::poll_fn;
use std::sync::Arc;

use tapline_device::{Device, FrameRef, FrameSink, memory};
use tapline_frame::{Mode, NetHeader, records, tunnel as stock};
use tapline_transport::server::{Event, OpenedTunnel};
use tapline_transport::tunnel::Counters;

use crate::client::native_open;
use crate::harness::{CLIENT, Server, Site, in_namespace, line, until, within};
use crate::raw::{Channel, RawPeer, Said};

/// Lengths of what is no Ethernet frame, and of one that no device takes.
const WRONG_LENGTHS: [usize; 4] = [0, 1, 13, 70_000];

fn frame(mark: u8) -> Vec<u8> {
    [[0xff; 6].as_slice(), &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[mark; 46]].concat()
}

fn ipv4_packet(mark: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend([mark; 8]);
    packet
}

fn stock_open(mode: Mode) -> Vec<u8> {
    stock::Open { mode, unit: None }.encode().to_vec()
}

/// A record, whatever its kind and body are.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn plain(frame: &[u8]) -> Vec<u8> {
    record(2, frame)
}

struct Frames(Vec<Vec<u8>>);

impl FrameSink for Frames {
    fn push(&mut self, _header: &NetHeader, frame: &[u8]) -> bool {
        self.0.push(frame.to_vec());
        true
    }
}

/// The next frames out of the device, none but these.
async fn delivered(device: &mut memory::MemoryDevice, expected: &[Vec<u8>]) {
    let mut frames = Frames(Vec::new());
    while frames.0.len() < expected.len() {
        within("the device has a frame", poll_fn(|cx| device.poll_readable(cx))).await.unwrap();
        device.read_batch(&mut frames).unwrap();
    }
    assert_eq!(frames.0, expected);
}

fn transmit(device: &mut memory::MemoryDevice, bytes: &[u8]) {
    device.write_batch(&[FrameRef { header: NetHeader::default(), bytes }]).unwrap();
}

async fn dropped(counters: &Arc<Counters>, count: u64) {
    until(&format!("{count} frames are dropped"), || counters.receive_drops.read() == count).await;
}

/// A peer with a tunnel, and both ends of that.
async fn tunnel(
    site: &Site,
    server: &mut Server,
    kind: &str,
    payload: &[u8],
) -> (RawPeer, Channel, OpenedTunnel, memory::MemoryDevice) {
    let mut peer = RawPeer::log_in(site, server).await;
    server.authenticated().await;
    let channel = peer.open(kind, payload).await;
    let opened = server.tunnel().await;
    let device = server.devices.other_end();
    (peer, channel, opened, device)
}

#[test]
fn datagrams_that_are_no_frames_are_dropped_and_counted() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let (mut peer, channel, opened, mut device) =
            tunnel(&site, &mut server, stock::CHANNEL_TYPE, &stock_open(Mode::Ethernet)).await;
        let mut good = Vec::new();
        for (number, length) in (0..).zip(WRONG_LENGTHS) {
            good.push(frame(number));
            peer.data(channel, &frame(number)).await;
            peer.data(channel, &vec![0xee; length]).await;
        }
        good.push(frame(99));
        peer.data(channel, &frame(99)).await;
        delivered(&mut device, &good).await;
        dropped(&opened.counters, 4).await;

        transmit(&mut device, &frame(100));
        assert_eq!(peer.said(channel).await, Said::Data(frame(100)));
        server.no_event();
    });
}

#[test]
fn datagrams_that_are_no_packets_are_dropped_and_counted() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let (mut peer, channel, opened, mut device) =
            tunnel(&site, &mut server, stock::CHANNEL_TYPE, &stock_open(Mode::PointToPoint)).await;
        let family = |family: u32, packet: &[u8]| [&family.to_be_bytes(), packet].concat();
        let wrong = [
            vec![],
            vec![0; 3],
            // The address family alone ends a tunnel of OpenSSH.
            family(2, &[]),
            family(24, &[]),
            family(2, &[0x45; 19]),
            family(24, &[0x60; 39]),
            family(2, &[0xff; 40]),
            vec![0x45; 70_000],
        ];
        for wrong in &wrong {
            peer.data(channel, wrong).await;
        }
        peer.data(channel, &family(2, &ipv4_packet(1))).await;
        delivered(&mut device, &[ipv4_packet(1)]).await;
        dropped(&opened.counters, wrong.len() as u64).await;

        transmit(&mut device, &ipv4_packet(2));
        assert_eq!(peer.said(channel).await, Said::Data(family(2, &ipv4_packet(2))));
        server.no_event();
    });
}

#[test]
fn n15_packets_behind_odd_address_families_are_delivered_and_counted() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let (mut peer, channel, opened, mut device) =
            tunnel(&site, &mut server, stock::CHANNEL_TYPE, &stock_open(Mode::PointToPoint)).await;
        let family = |family: u32, packet: &[u8]| [&family.to_be_bytes(), packet].concat();
        let ipv6 = [[0x60, 0, 0, 0, 0, 0, 59, 64].as_slice(), &[0xfd; 32]].concat();
        for odd in [10, 28, 30, 2, 0] {
            peer.data(channel, &family(odd, &ipv6)).await;
            delivered(&mut device, std::slice::from_ref(&ipv6)).await;
        }
        peer.data(channel, &family(24, &ipv6)).await;
        peer.data(channel, &family(24, &ipv4_packet(1))).await;
        delivered(&mut device, &[ipv6.clone(), ipv4_packet(1)]).await;
        let counters = &opened.counters;
        until("six odd ones are counted", || counters.odd_families.read() == 6).await;
        assert_eq!(counters.receive_drops.read(), 0);
        transmit(&mut device, &ipv6);
        assert_eq!(peer.said(channel).await, Said::Data(family(24, &ipv6)));
        server.no_event();
    });
}

#[test]
fn records_around_one_that_is_no_frame_are_delivered() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let (mut peer, channel, opened, mut device) =
            tunnel(&site, &mut server, records::CHANNEL_TYPE, &native_open(1500)).await;
        let Said::Data(hello) = peer.said(channel).await else { panic!() };
        assert_eq!(hello[0], 0, "the first record is HELLO");

        let mut wrong: Vec<Vec<u8>> =
            WRONG_LENGTHS.iter().map(|&length| plain(&vec![0xee; length])).collect();
        // Offloads were not agreed on: no room for the header, undone checksums, super-frames, unknown flags.
        wrong.push(record(1, &[0; 9]));
        wrong.push(record(1, &[[0; 10].as_slice(), &[0xee; 13]].concat()));
        for (flags, gso_type) in [(1, 0), (1, 1), (0, 4), (1, 5), (0xfc, 0), (0, 0x7f), (1, 0x81)] {
            wrong.push(record(1, &[&[flags, gso_type], [0xff; 8].as_slice(), &frame(0)].concat()));
        }
        let message = |wrong: &[u8], mark| [&plain(&frame(mark)), wrong, &plain(&frame(mark + 1))].concat();
        let mut good = Vec::new();
        for (number, wrong) in (0..).zip(&wrong) {
            good.extend([frame(2 * number), frame(2 * number + 1)]);
            peer.data(channel, &message(wrong, 2 * number)).await;
        }
        // A kind that a later version may define is no mistake, and no frame.
        good.extend([frame(100), frame(101)]);
        peer.data(channel, &message(&record(200, &[0xee; 500]), 100)).await;
        // Nor is a message without a record.
        peer.data(channel, &[]).await;
        delivered(&mut device, &good).await;
        dropped(&opened.counters, wrong.len() as u64).await;

        peer.data(channel, &record(3, b"12345678")).await;
        assert_eq!(peer.said(channel).await, Said::Data(record(4, b"12345678")));
        server.no_event();
    });
}

#[test]
fn garbage_for_records_closes_its_channel_with_a_reason_and_no_other() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let (mut peer, healthy, _, mut healthy_device) =
            tunnel(&site, &mut server, records::CHANNEL_TYPE, &native_open(1500)).await;
        let garbage = [
            (vec![2], "1 bytes into a record"),
            (vec![2, 0, 0], "3 bytes into a record"),
            (record(2, &frame(9))[..20].to_vec(), "into a record"),
            (vec![2, 0xff, 0xff, 0xff], "4 bytes into a record"),
            (record(5, &frame(9)), "record kind 5 is unknown"),
            (record(127, &[]), "record kind 127 is unknown"),
            (record(3, &[0; 7]), "7 bytes instead of 8"),
            (record(4, &[0; 70_000]), "70000 bytes instead of 8"),
            (record(0, &[]), "HELLO"),
            (record(0, &[0xff; 40]), "channel version 4294967295"),
            (vec![0x7f; 70_000], "70000 bytes into a record"),
        ];
        for (garbage, reason) in garbage {
            let channel = peer.open(records::CHANNEL_TYPE, &native_open(1500)).await;
            server.tunnel().await;
            let mut device = server.devices.other_end();
            // What stands before the mistake is good.
            peer.data(channel, &[plain(&frame(1)), garbage].concat()).await;
            delivered(&mut device, &[frame(1)]).await;
            while peer.said(channel).await != Said::Closed {}
            match server.event().await {
                Event::TunnelClosed { reason: said, .. } => {
                    assert!(said.to_string().contains(reason), "{reason}: {said}");
                }
                other => panic!("{other:?}"),
            }
        }
        peer.data(healthy, &plain(&frame(2))).await;
        delivered(&mut healthy_device, &[frame(2)]).await;
        server.no_event();
    });
}

#[test]
fn strings_that_lie_about_their_length_reach_no_device() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        for (length, bytes) in [(u32::MAX, 60), (61, 60), (0, 60), (70_000, 0)] {
            let (mut peer, channel, _, mut device) =
                tunnel(&site, &mut server, stock::CHANNEL_TYPE, &stock_open(Mode::Ethernet)).await;
            peer.data_that_lies(channel, length, &vec![0xee; bytes]).await;
            peer.data(channel, &frame(1)).await;
            match poll_fn(|cx| device.poll_readable(cx)).await {
                // The session goes on,
                Ok(()) => delivered(&mut device, &[frame(1)]).await,
                // or it ends, and its device with it.
                Err(_) => assert_eq!(peer.said(channel).await, Said::SessionEnded),
            }
            drop(peer);
            server.disconnected().await;
        }
    });
}
