//! Explicit congestion notification in the IP header (RFC 3168 section 5).

use super::{Ip, IpVersion, read_u16};
use crate::checksum;

/// The ECN field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ecn {
    NotEct,
    Ect1,
    Ect0,
    /// Congestion experienced.
    Ce,
}

const CE: u8 = 0b11;

impl Ip {
    /// The ECN field of the packet.
    pub fn ecn(&self, frame: &[u8]) -> Ecn {
        let bits = match (self.version, frame.get(self.start), frame.get(self.start + 1)) {
            (IpVersion::V4, _, Some(tos)) => tos & 0b11,
            // The traffic class straddles two bytes (RFC 8200 section 3); ECN is bits 4 and 5 of the second.
            (IpVersion::V6, _, Some(second)) => second >> 4 & 0b11,
            _ => 0,
        };
        match bits {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// Sets "congestion experienced" if the packet allows it, and mends the IPv4 header checksum. All segments of a
    /// super-frame are marked by this. Returns whether the packet is marked now.
    pub fn mark_ce(&self, frame: &mut [u8]) -> bool {
        match self.ecn(frame) {
            Ecn::NotEct => return false,
            Ecn::Ce => return true,
            Ecn::Ect0 | Ecn::Ect1 => {}
        }
        let before = read_u16(frame, self.start);
        let shift = if self.version == IpVersion::V4 { 0 } else { 4 };
        let Some(field) = frame.get_mut(self.start + 1) else { return false };
        *field |= CE << shift;
        if self.version == IpVersion::V6 {
            return true;
        }
        let (Some(before), Some(after)) = (before, read_u16(frame, self.start)) else { return false };
        let Some(place) = frame.get_mut(self.start + 10..).and_then(|rest| rest.first_chunk_mut()) else {
            return false;
        };
        *place = checksum::update(u16::from_be_bytes(*place), before, after).to_be_bytes();
        true
    }
}
