//! The log on stderr. Whoever reads it, or does not, changes nothing: a line that cannot be written is lost, and nobody
//! waits for one that is being written.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait for a reader who is slow.
const LINES: usize = 1024;
/// How long the end of the program waits for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// To the thread that writes.
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static QUEUE: OnceLock<SyncSender<Message>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

/// From now on lines go through a queue, so that a reader who does not read holds nothing up. Before, and without it, they
/// are written at once.
pub(crate) fn begin() {
    let (sender, lines) = sync_channel(LINES);
    // Without a thread they are written at once.
    if thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines)).is_ok() {
        let _ = QUEUE.set(sender);
    }
}

/// Writes a line for people to stderr.
pub(crate) fn say(line: &str) {
    put(format!("{line}\n").into_bytes());
}

/// Waits until what was said is written, but not for long.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        let (done, is_done) = sync_channel(1);
        // While the queue is full nobody reads.
        if queue.try_send(Message::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(LAST_WORDS);
        }
    }
}

/// One writer for each event; each write is one line or more.
pub(crate) fn writer() -> impl Write {
    Writer
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        put(lines.to_vec());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put(line: Vec<u8>) {
    let Some(queue) = QUEUE.get() else { return write(&line) };
    match queue.try_send(Message::Line(line)) {
        Err(TrySendError::Full(_)) => drop(LOST.fetch_add(1, Ordering::Relaxed)),
        // The thread has ended, which it does with the process alone.
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
    }
}

fn write_all(lines: &Receiver<Message>) {
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(line) => write(&line),
            Message::Flush(done) => drop(done.send(())),
        }
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            write(format!("tapline: {lost} lines of the log were lost, as nobody read it\n").as_bytes());
        }
    }
}

fn write(line: &[u8]) {
    let _ = io::stderr().lock().write_all(line);
}
