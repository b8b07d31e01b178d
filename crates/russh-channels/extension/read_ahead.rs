//! Reading packets with few system calls and no copies.
//!
//! russh reads each packet with two calls, one for its length, and copies it before it is handled. Here one call takes
//! what the socket has, and packets are decrypted where they were read.

use std::num::Wrapping;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Error;
use crate::cipher::{MAXIMUM_PACKET_LEN, OpeningKey, PACKET_LENGTH_LEN};
use crate::sshbuffer::SSHBuffer;

/// The buffer's size at first, and the size up to which it grows while reads fill it, in bytes.
const FIRST_SIZE: usize = 16 * 1024;
const LARGEST_SIZE: usize = 256 * 1024;
/// Room that a read should at least have.
const LEAST_READ: usize = 4 * 1024;

/// Bytes that were read from the socket and not yet handled.
#[derive(Debug, Default)]
pub struct ReadAhead {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Length of the packet at `start`, its length field and tag included, once that is known.
    packet: Option<usize>,
}

impl ReadAhead {
    /// The payload of an opened packet.
    pub(crate) fn payload(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Decrypts the next packet if all of it is here, and returns where its payload is until the next read.
    pub(crate) fn open_next(
        &mut self,
        cipher: &mut (dyn OpeningKey + Send),
        seqn: &mut Wrapping<u32>,
        payload_bytes: &mut usize,
    ) -> Result<Option<Range<usize>>, Error> {
        let here = self.bytes.get_mut(self.start..self.end).unwrap_or_default();
        let packet_len = match self.packet {
            Some(len) => len,
            None => {
                let probe = cipher.packet_length_to_read_for_block_length();
                let Some(probe_bytes) = here.get(..probe) else { return Ok(None) };
                let len = u32::from_be_bytes(cipher.decrypt_packet_length(seqn.0, probe_bytes)) as usize;
                let all = len.saturating_add(PACKET_LENGTH_LEN + cipher.tag_len());
                // A packet shorter than its first block would not hold what was just decrypted.
                if len > MAXIMUM_PACKET_LEN || all < probe {
                    return Err(Error::PacketSize(len));
                }
                self.packet = Some(all);
                all
            }
        };
        let Some(packet) = here.get_mut(..packet_len) else { return Ok(None) };
        let plaintext = cipher.open(seqn.0, packet)?;
        let padding = usize::from(plaintext.first().copied().unwrap_or(0));
        let end = plaintext.len().checked_sub(padding).ok_or(Error::IndexOutOfBounds)?;
        let payload_len = end.saturating_sub(1);

        *seqn += Wrapping(1);
        *payload_bytes = payload_bytes.saturating_add(payload_len);
        // Behind packet_length and padding_length.
        let payload = self.start + PACKET_LENGTH_LEN + 1;
        self.start += packet_len;
        self.packet = None;
        Ok(Some(payload..payload + payload_len))
    }

    /// Where the next read goes: behind what is here, with room for the rest of the packet that has begun.
    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let waiting = self.end - self.start;
        let filled = self.end == self.bytes.len() && self.start == 0;
        let wanted = self.packet.unwrap_or(0).max(waiting + LEAST_READ);
        let size = if self.bytes.is_empty() {
            FIRST_SIZE
        } else if filled && waiting > 0 {
            self.bytes.len() * 2
        } else {
            self.bytes.len()
        };
        let size = size.min(LARGEST_SIZE).max(wanted);
        if size > self.bytes.len() {
            self.bytes.resize(size, 0);
        }
        if self.bytes.len() - self.start < wanted {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end = waiting;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }
}

impl SSHBuffer {
    /// The payload of the packet that was read last, where it was decrypted.
    pub(crate) fn payload_in_place(&self) -> &[u8] {
        self.ahead.payload(self.payload.clone())
    }

    /// Copies that payload to where russh looks for it.
    pub(crate) fn copy_payload(&mut self) {
        self.buffer.truncate(PACKET_LENGTH_LEN + 1);
        self.buffer.extend_from_slice(self.ahead.payload(self.payload.clone()));
    }

    /// Goes on to the next packet if all of it has been read already.
    pub(crate) fn open_next(&mut self, cipher: &mut (dyn OpeningKey + Send)) -> Result<bool, Error> {
        match self.ahead.open_next(cipher, &mut self.seqn, &mut self.bytes)? {
            Some(payload) => {
                self.check_received()?;
                self.count_packet();
                self.payload = payload;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// Reads one packet; takes the place of russh's function of that name. The payload stays in place until
/// [`SSHBuffer::copy_payload`].
///
/// Not cancel safe where russh's was not: nothing is lost, but a packet may already be counted.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    stream: &mut R,
    buffer: &mut SSHBuffer,
    cipher: &mut (dyn OpeningKey + Send),
) -> Result<usize, Error> {
    buffer.buffer.clear();
    buffer.buffer.extend_from_slice(&[0; PACKET_LENGTH_LEN + 1]);
    while !buffer.open_next(cipher)? {
        let read = stream.read(buffer.ahead.room()).await?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        buffer.ahead.end += read;
    }
    Ok(buffer.payload.len() + PACKET_LENGTH_LEN + 1)
}
