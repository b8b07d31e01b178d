//! What an SSH session runs over.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use russh_channels::ChannelStream;
use russh_channels::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::progress::Progress;
use super::proxy_command::CommandStream;
use crate::Tuning;
use crate::tcp::{self, Path};

/// A connection of one of the kinds there are.
pub(super) enum Stream {
    Tcp(TcpStream),
    /// A `direct-tcpip` channel of a jump host.
    Channel(ChannelStream<Msg>),
    Command(CommandStream),
}

impl Stream {
    /// What the kernel knows of the way to the server.
    pub(super) fn path(&self, tuning: &Tuning) -> Path {
        match self {
            Self::Tcp(stream) => Path::of(stream, tuning),
            Self::Channel(_) | Self::Command(_) => Path::unknown(),
        }
    }
}

/// The stream as the session holds it: it ends with its [`Lifeline`], and shows how the peer began.
pub(super) struct Underlay {
    stream: Stream,
    /// `None` once the lifeline is gone.
    cut: Option<oneshot::Receiver<()>>,
    heard: Option<Heard>,
    /// Ends the wait for the peer's end after ours.
    linger: Option<Pin<Box<Sleep>>>,
}

/// Ends the connection when dropped, whatever its session waits for.
#[derive(Debug)]
pub(super) struct Lifeline {
    _held: oneshot::Sender<()>,
}

/// How far the peer has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Progress>>);

/// How long a peer that has our end of the stream may take to send its own. To close before it did could reset the
/// connection, and the peer might never read our last words.
const LINGER: Duration = Duration::from_millis(500);

impl Underlay {
    pub(super) fn new(stream: Stream) -> (Self, Lifeline, Heard) {
        let (held, cut) = oneshot::channel();
        let heard = Heard::default();
        (
            Self { stream, cut: Some(cut), heard: Some(heard.clone()), linger: None },
            Lifeline { _held: held },
            heard,
        )
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(cut) = &mut self.cut
            && Pin::new(cut).poll(cx).is_ready()
        {
            self.cut = None;
        }
        self.cut.is_none()
    }
}

impl Heard {
    pub(super) fn progress(&self) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether more is of interest.
    pub(super) fn add(&self, bytes: &[u8]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).feed(bytes)
    }
}

impl AsyncRead for Underlay {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = match &mut this.stream {
            Stream::Tcp(stream) => tcp::poll_read(stream, cx, buf),
            Stream::Channel(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Command(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if result.is_pending() && this.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some(heard) = &this.heard
            && !heard.add(buf.filled().get(before..).unwrap_or_default())
        {
            this.heard = None;
        }
        result
    }
}

impl AsyncWrite for Underlay {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => tcp::poll_write(stream, cx, &[IoSlice::new(buf)]),
            Stream::Channel(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Command(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => tcp::poll_write(stream, cx, slices),
            Stream::Channel(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Command(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.stream, Stream::Tcp(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Channel(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Command(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Never fails: a connection that is broken already needs no shutting down, and the session's own reason must not
    /// be lost behind that.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            let done = match &mut this.stream {
                Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
                Stream::Channel(stream) => Pin::new(stream).poll_shutdown(cx),
                Stream::Command(stream) => Pin::new(stream).poll_shutdown(cx),
            };
            if ready!(done).is_err() {
                return Poll::Ready(Ok(()));
            }
        }
        let limit = this.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut rest = [0; 4096];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            match Pin::new(&mut *this).poll_read(cx, &mut rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !rest.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
