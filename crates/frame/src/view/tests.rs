use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;
use crate::samples::{Sample, any_sample, judge};

fn layout(frame: &[u8]) -> Layout {
    Layout::parse(Mode::Ethernet, frame)
}

fn class(frame: &[u8]) -> Class {
    layout(frame).class(Mode::Ethernet, frame)
}

/// An Ethernet header to `destination` and `rest`, padded to 60 bytes.
fn ethernet(destination: [u8; 6], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1]);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(rest);
    frame.resize(frame.len().max(60), 0);
    frame
}

#[test]
fn padding_is_not_part_of_the_packet() {
    let mut frame = Sample::tcp(IpVersion::V4, Vec::new()).build();
    let end = frame.len();
    frame.resize(end + 6, 0xee);
    let layout = layout(&frame);
    assert_eq!(layout.ip.unwrap().end, end);
    assert_eq!(layout.transport(&frame).unwrap().end, end);
}

#[test]
fn two_tags_and_extension_headers_are_walked() {
    let sample =
        Sample { tags: vec![10, 20], extensions: vec![0, 43, 60], ..Sample::udp(IpVersion::V6, vec![1; 10]) };
    let frame = sample.build();
    let layout = layout(&frame);
    assert_eq!((layout.tags, layout.ethertype, layout.network), (2, ETHERTYPE_IPV6, 22));
    let transport = layout.transport(&frame).unwrap();
    assert_eq!(transport.start, 22 + 40 + 24);
    assert_eq!(transport.payload, transport.start + 8);
    assert!(layout.ip.unwrap().segmentable);
}

#[test]
fn contradicting_lengths_are_malformed() {
    let good = Sample::tcp(IpVersion::V4, vec![0; 10]).build();
    for (at, value) in [(14, 0x44), (14, 0x65), (16, 0xff), (17, 19)] {
        let mut frame = good.clone();
        frame[at] = value;
        assert!(layout(&frame).is_malformed_ip(), "{at} = {value:#x}");
    }
    let mut frame = Sample::tcp(IpVersion::V6, vec![0; 10]).build();
    frame[18] = 0xff;
    assert!(layout(&frame).is_malformed_ip());
}

#[test]
fn fragments_have_no_transport_header() {
    let mut frame = Sample::udp(IpVersion::V4, vec![0; 10]).build();
    frame[20] = 0x20;
    assert!(layout(&frame).ip.unwrap().fragment);
    assert_eq!(layout(&frame).transport(&frame), None);

    let mut frame = Sample { extensions: vec![60], ..Sample::udp(IpVersion::V6, vec![0; 10]) }.build();
    frame[20] = 44;
    assert!(layout(&frame).ip.unwrap().fragment);
    assert_eq!(layout(&frame).transport(&frame), None);
}

#[test]
fn an_endless_chain_of_extension_headers_ends() {
    let frame = Sample { extensions: vec![60; 100], ..Sample::udp(IpVersion::V6, vec![0; 10]) }.build();
    assert_eq!(layout(&frame).transport(&frame), None);
}

#[test]
fn what_keeps_a_network_alive_is_control() {
    let broadcast = [0xff; 6];
    assert_eq!(class(&ethernet(broadcast, 0x0806, &[0; 28])), Class::Control, "ARP");
    assert_eq!(class(&ethernet([0x01, 0x80, 0xc2, 0, 0, 0], 38, &[0x42; 38])), Class::Control, "STP");
    assert_eq!(class(&ethernet([0x01, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, &[0; 40])), Class::Control, "LLDP");
    // A tagged ARP request.
    assert_eq!(class(&ethernet(broadcast, 0x8100, &[0, 5, 8, 6])), Class::Control);

    let mut igmp = Sample::udp(IpVersion::V4, vec![0; 10]).build();
    igmp[23] = 2;
    assert_eq!(class(&igmp), Class::Control);

    let mut neighbour = Sample::udp(IpVersion::V6, vec![0; 24]).build();
    neighbour[20] = 58;
    neighbour[54] = 135;
    assert_eq!(class(&neighbour), Class::Control);
    neighbour[54] = 128;
    assert_eq!(class(&neighbour), Class::Data, "an echo request");

    // A listener report behind its router alert.
    let mut mld = Sample { extensions: vec![0], ..Sample::udp(IpVersion::V6, vec![0; 24]) }.build();
    mld[54] = 58;
    mld[62] = 143;
    assert_eq!(class(&mld), Class::Control);

    for ports in [(68, 67), (67, 68), (546, 547), (49152, 3784)] {
        assert_eq!(
            class(&Sample { ports, ..Sample::udp(IpVersion::V4, vec![0; 40]) }.build()),
            Class::Control
        );
        assert_eq!(class(&Sample { ports, ..Sample::tcp(IpVersion::V4, vec![0; 40]) }.build()), Class::Data);
        let long = Sample { ports, ..Sample::udp(IpVersion::V4, vec![0; 4000]) };
        assert_eq!(class(&long.build()), Class::Data);
    }
}

#[test]
fn marking_keeps_the_header_checksum_right() {
    for version in [IpVersion::V4, IpVersion::V6] {
        for (tos, marked) in [(0xb8, false), (0xb9, true), (0xba, true), (0xbb, true)] {
            for tags in [vec![], vec![7]] {
                let mut frame = Sample { tos, tags, ..Sample::tcp(version, vec![1; 100]) }.build();
                let ip = layout(&frame).ip.unwrap();
                assert_eq!(ip.mark_ce(&mut frame), marked);
                let expected = if marked { Ecn::Ce } else { Ecn::NotEct };
                assert_eq!(ip.ecn(&frame), expected);
                judge(Mode::Ethernet, &frame);
                let dscp = match SlicedPacket::from_ethernet(&frame).unwrap().net.unwrap() {
                    NetSlice::Ipv4(ip) => ip.header().dcp().value(),
                    NetSlice::Ipv6(ip) => ip.header().traffic_class() >> 2,
                    NetSlice::Arp(_) => panic!("ARP"),
                };
                assert_eq!(dscp, 0xb8 >> 2);
            }
        }
    }
}

#[test]
fn flows_are_told_apart() {
    let base = Sample::tcp(IpVersion::V6, vec![1; 10]);
    let hash = |sample: &Sample| {
        let frame = sample.build();
        layout(&frame).flow_hash(&frame, 1)
    };
    let same = Sample { seq: 5, payload: vec![2; 99], tos: 3, ..base.clone() };
    assert_eq!(hash(&base), hash(&same));
    let others = [
        Sample { ports: (40001, 5201), ..base.clone() },
        Sample { ports: (40000, 5202), ..base.clone() },
        Sample { host: 9, ..base.clone() },
        Sample { protocol: TransportProtocol::Udp, ..base.clone() },
    ];
    for other in others {
        assert_ne!(hash(&base), hash(&other), "{other:?}");
    }
    let frame = base.build();
    assert_ne!(layout(&frame).flow_hash(&frame, 1), layout(&frame).flow_hash(&frame, 2));
}

#[test]
fn fragments_of_a_packet_share_a_flow() {
    let mut first = Sample::udp(IpVersion::V4, vec![3; 64]).build();
    first[20] = 0x20;
    let mut second = first.clone();
    second[20] = 0;
    second[21] = 8;
    second[34..38].copy_from_slice(&[9; 4]);
    assert_eq!(layout(&first).flow_hash(&first, 1), layout(&second).flow_hash(&second, 1));
}

#[test]
fn ports_spread_evenly_over_few_queues() {
    let mut buckets = [0; 8];
    for port in 0..4096 {
        let frame = Sample { ports: (40000 + port, 443), ..Sample::tcp(IpVersion::V4, vec![]) }.build();
        buckets[(layout(&frame).flow_hash(&frame, 0) % 8) as usize] += 1;
    }
    assert!(buckets.iter().all(|count| (400..640).contains(count)), "{buckets:?}");
}

proptest! {
    #[test]
    fn agrees_with_etherparse(sample in any_sample(200)) {
        let frame = sample.build();
        let layout = Layout::parse(sample.mode, &frame);
        let packet = match sample.mode {
            Mode::Ethernet => SlicedPacket::from_ethernet(&frame),
            Mode::PointToPoint => SlicedPacket::from_ip(&frame),
        }
        .unwrap();
        let slice = match packet.transport.as_ref().unwrap() {
            TransportSlice::Tcp(tcp) => tcp.slice(),
            TransportSlice::Udp(udp) => udp.slice(),
            other => panic!("{other:?}"),
        };
        let transport = layout.transport(&frame).unwrap();
        prop_assert_eq!(&frame[transport.start..transport.end], slice);
        prop_assert_eq!(&frame[transport.payload..transport.end], &sample.payload[..]);
        prop_assert_eq!(usize::from(layout.tags), packet.vlan_ids().len());
    }

    #[test]
    fn walking_is_total(
        ethernet: bool,
        sample in any_sample(40),
        cut: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut frame = sample.build();
        for (at, value) in flips {
            let at = at.index(frame.len().min(80));
            frame[at] = value;
        }
        frame.truncate(cut.index(frame.len() + 1));
        let mode = if ethernet { Mode::Ethernet } else { Mode::PointToPoint };
        let layout = Layout::parse(mode, &frame);
        layout.flow_hash(&frame, 0);
        layout.class(mode, &frame);
        if let Some(ip) = layout.ip {
            prop_assert!(ip.start < ip.payload && ip.payload <= ip.end && ip.end <= frame.len());
            ip.mark_ce(&mut frame);
        }
        if let Some(transport) = layout.transport(&frame) {
            prop_assert!(transport.start < transport.payload && transport.payload <= transport.end);
        }
    }
}
