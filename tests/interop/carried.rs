//! What crosses a link: both ways, in both modes, whichever program the other end is.

use std::net::{Ipv4Addr, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;
use tapline_tests::{Capture, FrameSender, are_met, eventually};

use crate::link::{ETHERNET, End, Link, POINT_TO_POINT, Roles, Shape};
use crate::traffic::{Listener, MDNS, Speaker, iperf, mac_address, ping};

macro_rules! whichever_the_other_end_is {
    ($($test:ident),* $(,)?) => {
        mod stock_client { $(#[test] fn $test() { super::$test(crate::link::Roles::StockClient); })* }
        mod stock_server { $(#[test] fn $test() { super::$test(crate::link::Roles::StockServer); })* }
        mod native { $(#[test] fn $test() { super::$test(crate::link::Roles::Native); })* }
    };
}

whichever_the_other_end_is! {
    pings_and_tcp_over_ethernet,
    pings_and_tcp_over_point_to_point,
    frames_arrive_bit_by_bit,
    multicast_and_broadcast,
    router_advertisements_give_address_and_route,
}

fn pings_and_tcp_over_ethernet(roles: Roles) {
    if !are_met(&["sshd", "iperf3"]) {
        return;
    }
    let mut link = Link::up(roles, ETHERNET);
    for (from, to) in link.ways() {
        ping(&from.host, to.ipv4);
        ping(&from.host, to.ipv6);
        ping(&from.host, &format!("ff02::1%{}", from.device));
        // ARP has crossed, with the other end's own address.
        let neighbour = from.host.run(&format!("ip neighbour show {} dev {}", to.ipv4, from.device));
        assert!(neighbour.contains(&mac_address(to)), "{neighbour}");
    }
    tcp_both_ways(&mut link);
}

fn pings_and_tcp_over_point_to_point(roles: Roles) {
    if !are_met(&["sshd", "iperf3"]) {
        return;
    }
    let mut link = Link::up(roles, POINT_TO_POINT);
    for (from, to) in link.ways() {
        ping(&from.host, to.ipv4);
        ping(&from.host, to.ipv6);
        // Packets of the largest size, whose content ping compares.
        from.host.run(&format!("ping -c 3 -i 0.05 -M do -s 1472 {}", to.ipv4));
        from.host.run(&format!("ping -c 3 -i 0.05 -M do -s 1452 {}", to.ipv6));
    }
    tcp_both_ways(&mut link);
}

fn tcp_both_ways(link: &mut Link) {
    let (mut client, _server) = iperf(&link.client, &link.server, "--bidir -t 3");
    assert!(client.ended().success(), "iperf3");
    link.assert_never_down();
}

fn frames_arrive_bit_by_bit(roles: Roles) {
    if !are_met(&["sshd", "tcpdump"]) {
        return;
    }
    let mut link = Link::up(roles, Shape { mtu: 9000, ..ETHERNET });
    let tagged = [0x81, 0, 0xa0, 77];
    let tagged_twice = [0x88, 0xa8, 0x60, 5, 0x81, 0, 0x0f, 0xfe];
    for (from, to) in link.ways() {
        // Links come up with frames of their own; these are of the EtherType for experiments.
        let capture = Capture::start(&to.host, to.device, "");
        let sender = FrameSender::open(&from.host, from.device);
        let frames: Vec<_> = [(&[][..], 60), (&[], 1514), (&[], 9014)]
            .into_iter()
            .chain([60, 1518, 9018].map(|len| (&tagged[..], len)))
            .chain([64, 1522].map(|len| (&tagged_twice[..], len)))
            .map(|(tags, len)| frame(tags, len))
            .collect();
        for frame in &frames {
            sender.send(frame);
        }
        for (number, frame) in frames.iter().enumerate() {
            let what = format!("frame {number} of {} bytes on {}", frame.len(), to.host.name());
            eventually(&what, || capture.count(frame) > 0);
            assert_eq!(capture.count(frame), 1, "{what}");
        }
    }
    link.assert_never_down();
}

/// A frame of `len` bytes to a unicast address nobody has, so that no end answers it.
fn frame(tags: &[u8], len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0x5e, 0x10, 0, 1, 0x02, 0, 0x5e, 0x10, 0, 2];
    frame.extend_from_slice(tags);
    frame.extend_from_slice(&[0x88, 0xb5]);
    // 251 is prime: no two places a power of two apart hold the same.
    frame.extend((frame.len()..len).map(|place| (place % 251) as u8));
    frame
}

fn multicast_and_broadcast(roles: Roles) {
    if !are_met(&["sshd"]) {
        return;
    }
    let mut link = Link::up(roles, ETHERNET);
    for (from, to) in link.ways() {
        let mut listener = Listener::join(&to.host, to.device, MDNS);
        let speaker = Speaker::new(&from.host, from.device, MDNS);
        let question = format!("who is {}?", to.host.name());
        eventually("the datagram to ff02::fb is heard", || {
            speaker.say(&question);
            listener.has_heard(&question)
        });

        let mut server = Listener::on(on_device(to, 67));
        let client = on_device(from, 68);
        client.set_broadcast(true).unwrap();
        client.send_to(b"DHCPDISCOVER", (Ipv4Addr::BROADCAST, 67)).unwrap();
        eventually("the broadcast from port 68 to 67 is heard", || server.has_heard("DHCPDISCOVER"));
    }
    link.assert_never_down();
}

/// A socket that sends and receives by this end's device alone, as DHCP's do.
fn on_device(end: &End, port: u16) -> UdpSocket {
    end.host.enter(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        setsockopt(&socket, BindToDevice, &end.device.into()).unwrap();
        socket
    })
}

fn router_advertisements_give_address_and_route(roles: Roles) {
    if !are_met(&["sshd", "radvd"]) {
        return;
    }
    for router_is_client in [false, true] {
        let link = Link::up(roles, ETHERNET);
        let [one_way, other_way] = link.ways();
        let (router, host) = if router_is_client { one_way } else { other_way };
        router.host.set_sysctl("net/ipv6/conf/all/forwarding", "1");
        let config = router.host.write(
            "radvd.conf",
            &format!(
                "interface {} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
                 prefix 2001:db8:77::/64 {{ }}; }};\n",
                router.device
            ),
        );
        // radvd reads no configuration that others could write.
        let pid_file = router.host.path("radvd.pid");
        let _radvd = router.host.start_line(&format!(
            "radvd --nodaemon --debug 1 --logmethod stderr --config {} --pidfile {}",
            config.display(),
            pid_file.display()
        ));
        eventually("an address of the advertised prefix", || {
            let addresses = host.host.run(&format!("ip -6 -o address show dev {} scope global", host.device));
            addresses.lines().any(|line| line.contains(" 2001:db8:77:") && !line.contains("tentative"))
        });
        let routes = host.host.run(&format!("ip -6 route show default dev {}", host.device));
        assert!(routes.contains("via fe80::") && routes.contains("proto ra"), "{routes}");
    }
}
