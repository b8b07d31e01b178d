/// What a tunnel carries, in OpenSSH's words (`Tunnel` in `ssh_config`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Layer 3: IP packets through a tun device.
    PointToPoint,
    /// Layer 2: Ethernet frames through a tap device.
    Ethernet,
}
