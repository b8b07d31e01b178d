/// What a device takes undone from whoever writes frames to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Offloads {
    /// Frames carry virtio-net headers at all, and partial checksums are accepted.
    pub checksum: bool,
    /// TCP super-frames over IPv4 and IPv6.
    pub tso: bool,
    /// UDP super-frames.
    pub uso: bool,
}

impl Offloads {
    /// A device that takes ordinary frames only.
    pub const NONE: Self = Self { checksum: false, tso: false, uso: false };
    /// Everything Tapline knows.
    pub const ALL: Self = Self { checksum: true, tso: true, uso: true };

    /// What both sides take.
    pub fn intersection(self, other: Self) -> Self {
        Self {
            checksum: self.checksum && other.checksum,
            tso: self.tso && other.tso,
            uso: self.uso && other.uso,
        }
    }
}
