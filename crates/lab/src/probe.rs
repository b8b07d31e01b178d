//! What checks try: thin shells around pure parts.

mod echo;
mod exchange;
mod multicast;
mod ping;
mod rounds;
mod socket;
mod throughput;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use tapline_config::Name;
use tapline_control::namespace::NamespaceError;

pub(crate) use self::multicast::multicast;
pub(crate) use self::ping::ping;
pub(crate) use self::throughput::throughput;

/// How long a probe may go on.
pub(crate) struct Limits<'a> {
    pub(crate) deadline: Instant,
    /// The same from the start of the check, for messages.
    pub(crate) within: Duration,
    /// Why going on is futile; asked every round.
    pub(crate) futile: &'a (dyn Fn() -> Option<String> + Sync),
}

/// Why a probe did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("{} in {}{}", answers(*got, *wanted), seconds(*within), because(last.as_ref()))]
    Unanswered { got: usize, wanted: usize, within: Duration, last: Option<io::Error> },
    #[error("no answer from {} in {}{}{}", join(missing), seconds(*within), besides(strangers), because(last.as_ref()))]
    Missing { missing: Vec<Name>, strangers: Vec<String>, within: Duration, last: Option<io::Error> },
    #[error("no connection in {}{}", seconds(*within), because(last.as_ref()))]
    Unconnected { within: Duration, last: Option<io::Error> },
    #[error("the stream broke after {bytes} bytes: {source}")]
    Broken { bytes: u64, source: io::Error },
    #[error("{0}")]
    Futile(String),
    #[error("cannot open a socket for the check: {0}")]
    Socket(io::Error),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

fn answers(got: usize, wanted: usize) -> String {
    if got == 0 { "no answer".to_owned() } else { format!("{got} of {wanted} answers") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn because(last: Option<&io::Error>) -> String {
    last.map(|error| format!(": {error}")).unwrap_or_default()
}

fn besides(strangers: &[String]) -> String {
    if strangers.is_empty() { String::new() } else { format!(", only from {}", join(strangers)) }
}

fn join(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
