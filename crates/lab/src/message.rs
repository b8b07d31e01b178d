//! What the caller and the inside of a lab say to each other: JSON, one message a line.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::report::Event;

/// The first and only line to the inside. Afterwards the pipe stays open for as long as the lab is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What the file is called in messages.
    pub(crate) file: String,
    /// What it says.
    pub(crate) text: String,
    /// The program that runs as daemon.
    pub(crate) daemon: PathBuf,
    /// The absolute path of a directory for the lab's files that stays; otherwise they vanish.
    pub(crate) keep: Option<PathBuf>,
}

/// What the inside says. [`Event::Finished`] or `Failed` is the last word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Message {
    Event(Event),
    /// The lab could not be run, for this reason.
    Failed(String),
}

pub(crate) fn send(out: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// The next message, or `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
}
