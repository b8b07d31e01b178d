//! Which flow a frame belongs to.

use super::{Layout, read_u32};

impl Layout {
    /// A hash of what makes a flow: addresses, protocol and ports of TCP and UDP; addresses and protocol of other IP
    /// packets and of fragments, so that a packet's fragments stay together; MAC addresses and EtherType of the rest.
    ///
    /// `seed` keeps a sender from choosing whose queue it shares; a constant one gives both ends the same spread. The
    /// two directions of a conversation differ.
    pub fn flow_hash(&self, frame: &[u8], seed: u64) -> u64 {
        let hash = Hash(seed);
        let Some(ip) = self.ip else {
            // Point-to-point has nothing but IP; what is malformed there is one flow.
            let macs = frame.get(..12.min(self.network)).unwrap_or_default();
            return hash.bytes(macs).word(u64::from(self.ethertype)).finish();
        };
        let hash = hash.bytes(ip.addresses(frame).unwrap_or_default());
        let ports = self.transport(frame).and_then(|transport| read_u32(frame, transport.start));
        let ports = ports.unwrap_or_default();
        hash.word(u64::from(ports) << 8 | u64::from(ip.protocol)).finish()
    }
}

/// Multiply and fold, word by word, with the constants of the golden ratio and of SplitMix64.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn word(self, word: u64) -> Self {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xbf58_476d_1ce4_e5b9;
        Self((product >> 64) as u64 ^ product as u64)
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let hash = words.iter().fold(self, |hash, word| hash.word(u64::from_ne_bytes(*word)));
        let (halves, _) = rest.as_chunks::<4>();
        halves.iter().fold(hash, |hash, half| hash.word(u64::from(u32::from_ne_bytes(*half))))
    }

    fn finish(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
