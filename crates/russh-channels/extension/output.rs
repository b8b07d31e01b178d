//! Encrypted bytes that wait for the socket: russh's own buffer, and before it packets in buffers of their own.
//!
//! A large packet is encrypted where its payload was put by whoever brings it, and the socket takes it from there: it is
//! copied nowhere. What russh had written before it leaves with its buffer, so that the order stays.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::Error;
use crate::cipher::PACKET_LENGTH_LEN;
use crate::sshbuffer::PacketWriter;

/// Behind the length of the packet is that of the padding.
const PACKET_PREFIX: usize = PACKET_LENGTH_LEN + 1;
/// Buffers that one write takes from.
const GATHERED: usize = 16;
/// Buffers of others that wait to be fetched. More would be memory for nothing.
const SPENT: usize = 16;
/// Buffers of russh's that wait to be used again. They become as large as what was written at once.
const OWN: usize = 2;

/// What waits before russh's own buffer, and what has become of the buffers.
#[derive(Debug, Default)]
pub(crate) struct Output {
    chunks: VecDeque<Chunk>,
    /// Bytes of the chunks that the socket has not taken.
    waiting: usize,
    /// Bytes of russh's own buffer that the socket has taken.
    sent: usize,
    /// Buffers of others whose bytes are gone.
    spent: Vec<Vec<u8>>,
    /// Buffers for russh.
    own: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where what the socket has not taken begins.
    start: usize,
    is_own: bool,
}

impl Output {
    fn push(&mut self, bytes: Vec<u8>, start: usize, is_own: bool) {
        self.waiting += bytes.len().saturating_sub(start);
        self.chunks.push_back(Chunk { bytes, start, is_own });
    }

    /// The socket has taken `count` bytes.
    fn advance(&mut self, mut count: usize) {
        while count > 0
            && let Some(chunk) = self.chunks.front_mut()
        {
            let taken = count.min(chunk.bytes.len() - chunk.start);
            chunk.start += taken;
            count -= taken;
            self.waiting -= taken;
            if chunk.start == chunk.bytes.len()
                && let Some(chunk) = self.chunks.pop_front()
            {
                let (kept, most) =
                    if chunk.is_own { (&mut self.own, OWN) } else { (&mut self.spent, SPENT) };
                if kept.len() < most {
                    kept.push(chunk.bytes);
                }
            }
        }
        self.sent += count;
    }
}

impl PacketWriter {
    /// Encrypted bytes that the socket has not yet taken.
    pub(crate) fn unsent(&self) -> usize {
        self.output.waiting + self.own_output().len() - self.output.sent
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0
    }

    /// A buffer given to [`PacketWriter::write_packet_within`] whose bytes the socket has taken.
    pub(crate) fn spent(&mut self) -> Option<Vec<u8>> {
        self.output.spent.pop()
    }

    /// Encrypts the payload that starts at `start` of `buffer` and ends with it. Before it there are at least 5 bytes of
    /// room, which are overwritten. Not for a writer that compresses.
    pub(crate) fn write_packet_within(&mut self, mut buffer: Vec<u8>, start: usize) -> Result<(), Error> {
        let offset = start.checked_sub(PACKET_PREFIX).ok_or(Error::Inconsistent)?;
        let payload_len = buffer.len().checked_sub(start).ok_or(Error::Inconsistent)?;
        if !self.own_output().is_empty() {
            let next = self.output.own.pop().unwrap_or_default();
            let own = std::mem::replace(&mut self.buffer().buffer, next);
            let sent = std::mem::take(&mut self.output.sent);
            self.output.push(own, sent, true);
            self.buffer().buffer.clear();
        }
        // russh encrypts what is in its own buffer.
        std::mem::swap(&mut self.buffer().buffer, &mut buffer);
        self.finish_packet(offset, payload_len);
        std::mem::swap(&mut self.buffer().buffer, &mut buffer);
        self.output.push(buffer, offset, false);
        Ok(())
    }

    /// Drops what the socket took, once that is cheap.
    pub(crate) fn compact(&mut self) {
        let sent = self.output.sent;
        if sent * 2 >= self.own_output().len() {
            self.buffer().buffer.drain(..sent);
            self.output.sent = 0;
        }
    }

    /// Writes until nothing is left or the socket takes no more.
    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.has_unsent() {
            let taken = ready!(self.poll_write_some(stream, cx))?;
            if taken == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(taken);
        }
        self.compact();
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_write_some<W: AsyncWrite + Unpin>(
        &self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let own = self.own_output().get(self.output.sent..).unwrap_or_default();
        if self.output.chunks.is_empty() {
            return Pin::new(stream).poll_write(cx, own);
        }
        let chunks = self.output.chunks.iter();
        let chunks = chunks.map(|chunk| chunk.bytes.get(chunk.start..).unwrap_or_default());
        let mut slices = [IoSlice::new(&[]); GATHERED];
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(chunks.chain([own])) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        Pin::new(stream).poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
    }
}
