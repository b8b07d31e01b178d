//! `TCP_INFO` (tcp(7)), of which neither nix nor socket2 gives more than the name.

use std::io;
use std::mem::{MaybeUninit, offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::libc;

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathState {
    /// Smoothed round-trip time.
    pub(crate) smoothed: Duration,
    /// The least round-trip time of the last minutes; zero before the first.
    pub(crate) least: Duration,
    /// Bytes that were written and have not been sent.
    pub(crate) unsent: usize,
}

pub(super) fn read(socket: &impl AsFd) -> io::Result<PathState> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `info`, which has as many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if (len as usize) < offset_of!(libc::tcp_info, tcpi_min_rtt) + size_of::<u32>() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: all of it was zeroed, and any bytes are valid integers.
    let info = unsafe { info.assume_init() };
    Ok(PathState {
        smoothed: Duration::from_micros(info.tcpi_rtt.into()),
        least: Duration::from_micros(match info.tcpi_min_rtt {
            u32::MAX => 0,
            time => time.into(),
        }),
        unsent: info.tcpi_notsent_bytes as usize,
    })
}
