//! How a connection uses its path.

/// What a link may ask for; the default suits every path that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// The largest window that is granted for one tunnel, in bytes: what the peer may have on its way. The window itself
    /// follows the path, so that this matters only where the path holds more.
    pub window_limit: u32,
    pub congestion: Congestion,
}

/// The congestion control of the TCP connection below a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Congestion {
    /// BBR, if the kernel has it, as soon as the path turns out to be long or slow: there it keeps the queues on the way
    /// short, which nothing at the ends of the path can do afterwards. The system's own elsewhere, which is the faster.
    #[default]
    Auto,
    /// The system's own, `net.ipv4.tcp_congestion_control`.
    System,
    /// One that the kernel knows by this name.
    Named(String),
}

impl Default for Tuning {
    fn default() -> Self {
        Self { window_limit: 64 << 20, congestion: Congestion::Auto }
    }
}
