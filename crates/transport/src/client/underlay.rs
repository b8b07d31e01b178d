//! What an SSH session runs over.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use russh_channels::ChannelStream;
use russh_channels::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::proxy_command::CommandStream;

/// A connection of one of the kinds there are.
pub(super) enum Stream {
    Tcp(TcpStream),
    /// A `direct-tcpip` channel of a jump host.
    Channel(ChannelStream<Msg>),
    Command(CommandStream),
}

/// The stream as the session holds it: it ends with its [`Lifeline`], and shows how the peer began.
pub(super) struct Underlay {
    stream: Stream,
    /// `None` once the lifeline is gone.
    cut: Option<oneshot::Receiver<()>>,
    heard: Option<Heard>,
}

/// Ends the connection when dropped, whatever its session waits for.
#[derive(Debug)]
pub(super) struct Lifeline {
    _held: oneshot::Sender<()>,
}

/// The first bytes that the peer sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

/// Enough to tell what the peer speaks, in bytes.
const HEARD: usize = 512;

impl Underlay {
    pub(super) fn new(stream: Stream) -> (Self, Lifeline, Heard) {
        let (held, cut) = oneshot::channel();
        let heard = Heard::default();
        (Self { stream, cut: Some(cut), heard: Some(heard.clone()) }, Lifeline { _held: held }, heard)
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
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether there is no need for more.
    pub(super) fn add(&self, bytes: &[u8]) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEARD.saturating_sub(heard.len());
        heard.extend(bytes.iter().take(room));
        heard.len() >= HEARD
    }
}

impl AsyncRead for Underlay {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = match &mut this.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Channel(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Command(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if result.is_pending() && this.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some(heard) = &this.heard
            && heard.add(buf.filled().get(before..).unwrap_or_default())
        {
            this.heard = None;
        }
        result
    }
}

impl AsyncWrite for Underlay {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Channel(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Command(stream) => Pin::new(stream).poll_write(cx, buf),
        }
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
        let done = match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Channel(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Command(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        done.map(|_| Ok(()))
    }
}
