//! `ProxyCommand`: a command whose standard input and output are the connection.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::prompt::printable;

/// The command, killed when this is dropped.
pub(super) struct CommandStream {
    stdio: Join<ChildStdout, ChildStdin>,
    _child: Arc<tokio::sync::Mutex<Child>>,
}

/// What becomes of a command. The command is killed when this and its stream are dropped.
#[derive(Debug)]
pub(super) struct Fate {
    command: String,
    child: Arc<tokio::sync::Mutex<Child>>,
    /// The last line of its standard error.
    words: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
}

/// Longer lines of the command's standard error are logged in pieces, in bytes.
const MAX_LINE: u64 = 1024;

/// How long a command may take to end once its output has.
const ENDING: Duration = Duration::from_millis(500);

/// Starts `command` in a shell that gives way to it, so that what is killed later is the command itself.
pub(super) fn start(command: &str) -> io::Result<(CommandStream, Fate)> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the command has no standard input and output"));
    };
    let words = Arc::default();
    let listening = child.stderr.take().map(|stderr| tokio::spawn(log_lines(stderr, Arc::clone(&words))));
    let child = Arc::new(tokio::sync::Mutex::new(child));
    let stream = CommandStream { stdio: tokio::io::join(stdout, stdin), _child: Arc::clone(&child) };
    Ok((stream, Fate { command: command.to_owned(), child, words, listening }))
}

impl Fate {
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// How the command ended, if it has, and what it said last.
    pub(super) async fn known(mut self) -> (Option<ExitStatus>, String) {
        let status =
            timeout(ENDING, async { self.child.lock().await.wait().await.ok() }).await.ok().flatten();
        if status.is_some()
            && let Some(listening) = self.listening.take()
        {
            // What it started itself may hold its standard error open.
            let _ = timeout(ENDING, listening).await;
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (status, words)
    }
}

/// Ends with the command.
async fn log_lines(stderr: ChildStderr, words: Arc<Mutex<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = printable(&String::from_utf8_lossy(&line), 1024);
                tracing::info!("proxy command: {line}");
                if !line.trim().is_empty() {
                    *words.lock().unwrap_or_else(PoisonError::into_inner) = printable(&line, 200);
                }
            }
        }
    }
}

impl AsyncRead for CommandStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stdio).poll_read(cx, buf)
    }
}

impl AsyncWrite for CommandStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stdio).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stdio).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stdio).poll_shutdown(cx)
    }
}
