use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use russh_channels::ChannelOpenFailure;
use tapline_device::{Device, FrameRef, FrameSink, Unit, Written, memory};
use tapline_frame::records::{self, BundleId, BundleMember};
use tapline_frame::{Mode, NetHeader, Offloads};
use tapline_transport::server::{Event, PermitTunnel};
use tapline_transport::tunnel::{
    self, Counters, Dialect, Lease, NativePolicy, OpenTunnelError, TunnelRequest,
};

use crate::client::{Answer, Client, native_open};
use crate::harness::{CLIENT, Devices, Site, in_namespace, line, until, within};

fn request(device: memory::MemoryDevice, native: NativePolicy) -> TunnelRequest {
    TunnelRequest {
        device: Lease::new(Box::new(device), None),
        remote_unit: Some(5),
        native,
        bundle: None,
        counters: Arc::new(Counters::default()),
    }
}

struct Frames(Vec<Vec<u8>>);

impl FrameSink for Frames {
    fn push(&mut self, _header: &NetHeader, frame: &[u8]) -> bool {
        self.0.push(frame.to_vec());
        true
    }
}

async fn passes(from: &mut memory::MemoryDevice, to: &mut memory::MemoryDevice) {
    let frame: Vec<u8> = [[0xff; 6].as_slice(), &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[7; 50]].concat();
    from.write_batch(&[FrameRef { header: NetHeader::default(), bytes: &frame }]).unwrap();
    let mut frames = Frames(Vec::new());
    within("the frame comes out", poll_fn(|cx| to.poll_readable(cx))).await.unwrap();
    to.read_batch(&mut frames).unwrap();
    assert_eq!(frames.0, [frame]);
}

#[test]
fn frames_cross_a_native_tunnel_both_ways() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let client = Client::log_in(&server).await;
        let (ours, mut here) = memory::pair(Mode::Ethernet);
        let established =
            within("a tunnel", client.tunnels.open(request(ours, NativePolicy::Only))).await.unwrap();
        assert_eq!(established.dialect, Dialect::Native);
        let opened = server.opened().await;
        assert_eq!((opened.mode, opened.dialect), (Mode::Ethernet, Dialect::Native));
        let asked = server.devices.asked();
        assert_eq!((asked[0].unit, asked[0].dialect), (Unit::Number(5), Dialect::Native));

        let mut there = server.devices.other_end();
        passes(&mut here, &mut there).await;
        passes(&mut there, &mut here).await;
        let counters = opened.counters;
        until("both are counted", || {
            counters.received.frames.read() == 1 && counters.sent.frames.read() == 1
        })
        .await;
    });
}

/// A device that always has another frame, and counts how many were taken.
#[derive(Debug)]
struct Endless {
    taken: Arc<AtomicU64>,
}

impl Device for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    fn mode(&self) -> Mode {
        Mode::Ethernet
    }

    fn offloads(&self) -> Offloads {
        Offloads::NONE
    }

    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn read_batch(&mut self, sink: &mut dyn FrameSink) -> io::Result<usize> {
        let mut count = 0;
        loop {
            count += 1;
            self.taken.fetch_add(1, Ordering::Relaxed);
            if !sink.push(&NetHeader::default(), &[2; 1400]) {
                return Ok(count);
            }
        }
    }

    fn write_batch(&mut self, frames: &[FrameRef<'_>]) -> io::Result<Written> {
        Ok(Written { written: frames.len(), dropped: 0 })
    }

    fn set_carrier(&mut self, _up: bool) -> io::Result<()> {
        Ok(())
    }

    fn detach(&mut self) {}
}

/// A session that did nothing but read its device would throw away nearly all of that: the window that the frames wait
/// for comes through the socket.
#[test]
fn a_device_that_is_never_empty_leaves_time_to_hear_the_peer() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let client = Client::log_in(&server).await;
        let taken = Arc::new(AtomicU64::new(0));
        let counters = Arc::new(Counters::default());
        let request = TunnelRequest {
            device: Lease::new(Box::new(Endless { taken: Arc::clone(&taken) }), None),
            remote_unit: Some(5),
            native: NativePolicy::Only,
            bundle: None,
            counters: Arc::clone(&counters),
        };
        within("a tunnel", client.tunnels.open(request)).await.unwrap();
        until("many windows are used up", || counters.sent.frames.read() > 20_000).await;
        let (taken, sent) = (taken.load(Ordering::Relaxed), counters.sent.frames.read());
        assert!(taken < 8 * sent, "{taken} frames taken for {sent} sent");
    });
}

#[test]
fn a_bundle_is_passed_on_and_answered_by_the_hello() {
    in_namespace(|| async {
        let member = BundleMember::new(BundleId([7; 16]), 2, 3);
        for (joins, wanted) in [(true, member), (false, member), (true, None)] {
            let site = Site::new();
            let devices = if joins { Devices::joining() } else { Devices::default() };
            let mut server = site.serve_with(site.options(&line(CLIENT)), devices);
            let mut client = Client::log_in(&server).await;
            let (ours, _here) = memory::pair(Mode::Ethernet);
            let request = TunnelRequest { bundle: wanted, ..request(ours, NativePolicy::Auto) };
            let established = within("a tunnel", client.tunnels.open(request)).await.unwrap();
            assert_eq!(server.devices.asked()[0].bundle, wanted);
            assert_eq!(server.opened().await.bundle, member.filter(|_| joins && wanted.is_some()));
            match within("the HELLO", client.events.recv()).await {
                Some(tunnel::Event::Greeted { channel, bundled }) => {
                    assert_eq!((channel, bundled), (established.channel, joins && wanted.is_some()));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_malformed_bundle_is_refused_by_name() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        let mut payload = [0, 0, 0, 1, 0, 0, 0, 2, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 14].to_vec();
        payload.extend(b"bundle=00/1/99");
        payload.extend([0; 4]);
        let answer = client.open(records::CHANNEL_TYPE, &payload).await;
        let Answer::Refused { reason, description } = answer else { panic!("{answer:?}") };
        assert_eq!(reason, ChannelOpenFailure::ConnectFailed);
        assert!(description.contains("another bundle than"), "{description}");
        assert!(server.devices.asked().is_empty());
    });
}

#[test]
fn another_version_is_refused_by_name() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        let mut payload = native_open(1400);
        payload[3] = 2;
        payload.extend(b"what a later version may say");
        let answer = client.open(records::CHANNEL_TYPE, &payload).await;
        let Answer::Refused { reason, description } = answer else { panic!("{answer:?}") };
        assert_eq!(reason, ChannelOpenFailure::ConnectFailed);
        assert_eq!(description, "tapline channel version 2 is not supported; this side speaks 1");
        assert!(server.devices.asked().is_empty());

        // The session goes on.
        assert!(matches!(client.open(records::CHANNEL_TYPE, &native_open(1400)).await, Answer::Confirmed(_)));
    });
}

#[test]
fn malformed_opens_are_refused_with_a_reason() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        let good = native_open(1400);
        for length in 0..good.len() {
            let answer = client.open(records::CHANNEL_TYPE, &good[..length]).await;
            assert!(matches!(answer, Answer::Refused { .. }), "{length}: {answer:?}");
        }
        for payload in [[].as_slice(), &[0, 0, 0, 2], &[0; 9]] {
            let answer = client.open("tun@openssh.com", payload).await;
            assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
        }
        assert!(server.devices.asked().is_empty());
    });
}

#[test]
fn policy_reaches_the_native_client_in_words() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.permit_tunnel = PermitTunnel::PointToPoint;
        let server = site.serve(options);
        let client = Client::log_in(&server).await;
        for native in [NativePolicy::Only, NativePolicy::No] {
            let (ours, _) = memory::pair(Mode::Ethernet);
            let error = within("an answer", client.tunnels.open(request(ours, native))).await.unwrap_err();
            let OpenTunnelError::Refused { description, hint, .. } = error else { panic!("{error}") };
            assert!(description.contains("rejected tunnel device forwarding"), "{description}");
            assert!(hint.contains("PermitTunnel"), "{hint}");
        }
    });
}

#[test]
fn a_device_that_is_refused_is_explained() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve_with(site.options(&line(CLIENT)), Devices::refusing("br-lab is missing"));
        let mut client = Client::log_in(&server).await;
        let answer = client.open(records::CHANNEL_TYPE, &native_open(1400)).await;
        let Answer::Refused { description, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(description, "Failed to open the tunnel device. br-lab is missing");
    });
}

#[test]
fn a_device_that_goes_away_closes_its_tunnel_alone() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let client = Client::log_in(&server).await;
        let (ours, _here) = memory::pair(Mode::Ethernet);
        within("a tunnel", client.tunnels.open(request(ours, NativePolicy::Auto))).await.unwrap();
        server.opened().await;
        drop(server.devices.other_end());
        match server.event().await {
            Event::TunnelClosed { device, .. } => assert_eq!(device, "memory0"),
            other => panic!("{other:?}"),
        }
        let (ours, _here) = memory::pair(Mode::Ethernet);
        within("a tunnel", client.tunnels.open(request(ours, NativePolicy::Auto))).await.unwrap();
        server.tunnel().await;
    });
}
