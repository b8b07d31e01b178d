//! Reading into memory that nothing has been written to.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// One `read(2)` of as much as fits behind what `buffer` has, without growing it.
pub(crate) fn read(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    let spare = buffer.spare_capacity_mut();
    // SAFETY: the kernel writes at most as many bytes as `spare` has.
    let count = unsafe { libc::read(file.as_raw_fd(), spare.as_mut_ptr().cast(), spare.len()) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written the first `count` bytes of the spare capacity.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(())
}
