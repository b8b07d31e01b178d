/// What a tunnel carries, in OpenSSH's words (`Tunnel` in `ssh_config`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Layer 3: IP packets through a tun device.
    PointToPoint,
    /// Layer 2: Ethernet frames through a tap device.
    Ethernet,
}

impl Mode {
    /// The number both channel types use in their open message.
    pub fn to_wire(self) -> u32 {
        match self {
            Self::PointToPoint => 1,
            Self::Ethernet => 2,
        }
    }

    /// The mode of a number in an open message.
    pub fn from_wire(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::PointToPoint),
            2 => Some(Self::Ethernet),
            _ => None,
        }
    }
}
