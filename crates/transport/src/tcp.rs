//! Options of a TCP connection that carries frames, in either role.

use std::io;
use std::os::fd::AsFd;

/// What the kernel may hold unsent, in bytes. More would stand in a queue that nothing manages; less costs a fast path
/// its full rate.
const NOT_SENT_LOW_WATER: u32 = 64 << 10;

/// No waiting for more to send, a probe when nothing has come for long, and a short queue in the kernel.
pub(crate) fn tune(stream: &impl AsFd) -> io::Result<()> {
    let options = socket2::SockRef::from(stream);
    options.set_tcp_nodelay(true)?;
    options.set_keepalive(true)?;
    options.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER)
}
