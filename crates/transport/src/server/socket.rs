use std::io::{self, IoSlice};
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::tcp;

/// A connection that tells when the session has begun to shut it down: russh then waits for the client to close its
/// side, for as long as that takes.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    signs: Signs,
}

/// What others can see of a [`Socket`] that the session has.
#[derive(Debug, Clone, Default)]
pub(super) struct Signs {
    /// The session has begun to shut it down.
    pub(super) closing: Arc<Notify>,
    reads: Arc<AtomicU64>,
}

impl Signs {
    /// How often something has come from the client.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Socket {
    /// Must be called within the runtime that is to serve it.
    pub(super) fn new(stream: StdStream) -> io::Result<(Self, Signs)> {
        tcp::tune(&stream)?;
        let signs = Signs::default();
        Ok((Self { stream: TcpStream::from_std(stream)?, signs: signs.clone() }, signs))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = tcp::poll_read(&self.stream, cx, buffer);
        if buffer.filled().len() > before {
            self.signs.reads.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tcp::poll_write(&self.stream, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        tcp::poll_write(&self.stream, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.signs.closing.notify_one();
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
