//! The peer's first line, as OpenSSH reads it (RFC 4253 section 4.2).
//!
//! russh's limits are 20 lines before it and 255 bytes in each. Servers say more: notices of the law, and whatever a
//! script in front of them prints. OpenSSH takes 1024 lines of 8192 bytes, and so do scripts that were tried with it.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Error;
use crate::ssh_read::SshRead;

/// Lines before the identification that a server may send.
const MAX_LINES: usize = 1024;
/// Bytes of a line, without its end.
const MAX_LINE: usize = 8192;
const READ_SIZE: usize = 1024;

impl<R: AsyncRead + Unpin> SshRead<R> {
    /// Reads up to the identification and returns it without its line end. What came behind it is read again. Lines before
    /// it are skipped if `lines_before`: a server may send them, a client may not.
    ///
    /// Cancel safe.
    pub(crate) async fn read_identification(&mut self, lines_before: bool) -> Result<&[u8], Error> {
        let id = self.id.as_mut().ok_or(Error::Inconsistent)?;
        let mut searched = 0;
        loop {
            let found = id.buf.get(searched..).unwrap_or_default().iter().position(|byte| *byte == b'\n');
            let Some(at) = found else {
                searched = id.buf.len();
                // It may end with CR. With a NUL in it nothing that follows makes it a line.
                if searched > MAX_LINE + 1 || id.buf.contains(&0) {
                    return Err(Error::Version);
                }
                let mut some = [0; READ_SIZE];
                let count = self.r.read(&mut some).await?;
                if count == 0 {
                    return Err(Error::Disconnect);
                }
                id.buf.extend_from_slice(some.get(..count).unwrap_or_default());
                continue;
            };
            let end = searched + at;
            let line = line(id.buf.get(..end).unwrap_or_default())?;
            if line.starts_with(b"SSH-") {
                if !is_version_2(line) {
                    return Err(Error::Version);
                }
                id.sshid_len = line.len();
                id.bytes_read = end + 1;
                id.total = id.buf.len();
                return Ok(id.id());
            }
            if !lines_before || id.pre_banner_lines >= MAX_LINES {
                return Err(Error::Version);
            }
            id.pre_banner_lines += 1;
            id.buf.drain(..=end);
            searched = 0;
        }
    }
}

/// A line without its end. Nothing but the end may have a CR.
fn line(bytes: &[u8]) -> Result<&[u8], Error> {
    let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if line.len() > MAX_LINE || line.contains(&b'\r') || line.contains(&0) {
        return Err(Error::Version);
    }
    Ok(line)
}

/// `SSH-2.MINOR-SOFTWARE`, or 1.99, with which a server says that it speaks version 1 as well.
fn is_version_2(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"SSH-").unwrap_or_default();
    let Some(dash) = rest.iter().position(|byte| *byte == b'-') else { return false };
    let (version, software) = rest.split_at(dash);
    let minor = version.strip_prefix(b"2.").unwrap_or_default();
    let is_2 = !minor.is_empty() && minor.iter().all(u8::is_ascii_digit);
    (is_2 || version == b"1.99") && software.len() > 1 && software.is_ascii()
}
