//! Frames that keep a network alive.

use super::{Layout, TransportProtocol, UDP, read_u16};
use crate::Mode;
use crate::guard::IpVersion;

/// How a frame is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Address resolution, topology and liveness: never starved by data.
    Control,
    Data,
}

/// Longer frames are no control frames, whatever they say: those are short, and the class is bounded.
const MAX_CONTROL: usize = 1600;

/// ARP, RARP, slow protocols (LACP), EAPOL, LLDP.
const CONTROL_ETHERTYPES: [u16; 5] = [0x0806, 0x8035, 0x8809, 0x888e, 0x88cc];
/// IGMP, OSPF, PIM, VRRP. ICMP of IPv4 resolves no addresses and is data.
const CONTROL_PROTOCOLS: [u8; 4] = [2, 89, 103, 112];
const ICMPV6: u8 = 58;
/// DHCPv4, DHCPv6 and BFD (RFC 5881, RFC 5883), by destination or source.
const CONTROL_PORTS: [u16; 7] = [67, 68, 546, 547, 3784, 3785, 4784];

impl Layout {
    /// The class of a frame, by protocol alone: what a sender writes into DSCP is not trusted.
    pub fn class(&self, mode: Mode, frame: &[u8]) -> Class {
        if frame.len() <= MAX_CONTROL
            && (self.is_control_ethernet(mode, frame) || self.is_control_packet(frame))
        {
            Class::Control
        } else {
            Class::Data
        }
    }

    fn is_control_ethernet(&self, mode: Mode, frame: &[u8]) -> bool {
        if mode != Mode::Ethernet {
            return false;
        }
        // IEEE 802.1D reserved addresses (STP, LACP, LLDP, EAPOL) and Cisco's per-VLAN spanning tree.
        matches!(frame, [0x01, 0x80, 0xc2, 0, 0, 0x00..=0x2f, ..] | [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd, ..])
            || CONTROL_ETHERTYPES.contains(&self.ethertype)
    }

    fn is_control_packet(&self, frame: &[u8]) -> bool {
        let Some(ip) = self.ip else { return false };
        match (ip.version, ip.protocol) {
            // MLD, ND, router discovery, MLDv2 and multicast router discovery (RFC 4861, 3810, 4286).
            (IpVersion::V6, ICMPV6) => {
                !ip.fragment && matches!(frame.get(ip.payload), Some(130..=137 | 143 | 151..=153))
            }
            (_, UDP) => self
                .transport(frame)
                .filter(|transport| transport.protocol == TransportProtocol::Udp)
                .is_some_and(|transport| {
                    let is_control =
                        |at| read_u16(frame, at).is_some_and(|port| CONTROL_PORTS.contains(&port));
                    is_control(transport.start) || is_control(transport.start + 2)
                }),
            (_, protocol) => CONTROL_PROTOCOLS.contains(&protocol),
        }
    }
}
