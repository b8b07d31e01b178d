use std::time::Duration;

use tapline_device::{Device, FrameRef, Unit};
use tapline_frame::{Mode, NetHeader};
use tapline_transport::server::PermitTunnel;
use tapline_transport::tunnel::Dialect;

use crate::harness::{CLIENT, Devices, Site, in_namespace, ip, line, until, within};

const REJECTED: &str = "Server has rejected tunnel device forwarding";
const NO_DEVICE: &str = "Failed to open the tunnel device.";
const OPEN_FAILED: &str = "open failed: connect failed: open failed";

#[test]
fn frames_of_a_tap_cross_both_ways() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let _ssh = site.ssh(&server).tap("3:any");
        let opened = server.opened().await;
        assert_eq!((opened.mode, opened.dialect), (Mode::Ethernet, Dialect::Stock));
        assert_eq!(server.devices.asked()[0].unit, Unit::Any);

        // A tap that comes up sends MLD reports and looks for routers.
        ip("link set tap3 up").await;
        let mut there = server.devices.other_end();
        within("a frame of tap3", std::future::poll_fn(|cx| there.poll_readable(cx))).await.unwrap();
        until("the frame is counted", || opened.counters.received.frames.read() > 0).await;

        let frame: Vec<u8> = [[0xff; 6].as_slice(), &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[7; 50]].concat();
        within("tap3 receives", async {
            while !received(&ip("-s -o link show tap3").await) {
                there.write_batch(&[FrameRef { header: NetHeader::default(), bytes: &frame }]).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    });
}

/// Whether `ip -s -o link` shows received packets: the second number after the receive headings.
fn received(statistics: &str) -> bool {
    let after = statistics.split("RX:").nth(1).unwrap_or_default();
    let numbers: Vec<u64> = after.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.get(1).is_some_and(|&packets| packets > 0)
}

#[test]
fn a_tun_device_carries_packets() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.permit_tunnel = PermitTunnel::PointToPoint;
        let mut server = site.serve(options);
        let _ssh = site.ssh(&server).tun("4:2");
        let opened = server.opened().await;
        assert_eq!(opened.mode, Mode::PointToPoint);
        let asked = server.devices.asked();
        assert_eq!((asked[0].mode, asked[0].unit), (Mode::PointToPoint, Unit::Number(2)));
        ip("link set tun4 up").await;
        let mut there = server.devices.other_end();
        within("a packet of tun4", std::future::poll_fn(|cx| there.poll_readable(cx))).await.unwrap();
    });
}

#[test]
fn a_key_bound_to_a_tunnel_gets_that_one() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&format!("tunnel=\"7\" {}", line(CLIENT))));
        for wish in ["any:any", "any:7"] {
            let ssh = site.ssh(&server).tap(wish);
            server.opened().await;
            assert_eq!(server.devices.asked().last().unwrap().unit, Unit::Number(7), "{wish}");
            ssh.kill().await;
            server.disconnected().await;
        }
        site.ssh(&server).tap("any:8").refused_with(NO_DEVICE).await;
        assert_eq!(server.devices.asked().len(), 2);
    });
}

#[test]
fn a_restricted_key_gets_no_tunnel() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(""));
        for options in ["restrict", "restrict,tunnel=\"0\""] {
            site.write("authorized_keys", &format!("{options} {}", line(CLIENT)));
            site.ssh(&server).tap("any:any").refused_with(REJECTED).await;
        }
        assert!(server.devices.asked().is_empty());
    });
}

#[test]
fn modes_that_are_not_permitted_are_rejected_in_openssh_words() {
    in_namespace(|| async {
        let site = Site::new();
        for (permit, tap, tun) in [
            (PermitTunnel::No, false, false),
            (PermitTunnel::Ethernet, true, false),
            (PermitTunnel::PointToPoint, false, true),
        ] {
            let mut options = site.options(&line(CLIENT));
            options.permit_tunnel = permit;
            let server = site.serve(options);
            if !tap {
                site.ssh(&server).tap("any:any").refused_with(REJECTED).await;
            }
            if !tun {
                let (code, said) = site.ssh(&server).tun("any:any").ended().await;
                assert_eq!(code, Some(255), "{said}");
                assert!(said.contains(REJECTED) && said.contains(OPEN_FAILED), "{said}");
            }
        }
    });
}

#[test]
fn a_device_that_cannot_be_had_is_told_in_openssh_words() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve_with(site.options(&line(CLIENT)), Devices::refusing("tap7 is in use"));
        site.ssh(&server).tap("any:7").refused_with(NO_DEVICE).await;
    });
}

#[test]
fn anything_but_a_tunnel_is_refused_with_a_way_on() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let text = "only tunnels are served here; use ssh -N -w";
        site.ssh(&server).remote(&[]).refused_with(text).await;
        site.ssh(&server).remote(&["true"]).refused_with(text).await;
        site.ssh(&server).option("StdioForward=127.0.0.1:22").remote(&[]).ended().await;
        assert!(server.devices.asked().is_empty());
    });
}
