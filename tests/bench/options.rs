use std::env;
use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures what Ethernet frames get through a link, for Tapline, Debian's OpenSSH, and what bounds both.
///
/// Each subject is a pair of network namespaces joined by a veth pair. All pairs stand at once, and every measure of a
/// round is taken of one subject after the other, so that whatever drifts on this machine drifts for all of them.
#[derive(Debug, Parser)]
#[command(name = "tests/bench/run.sh")]
pub(crate) struct Options {
    /// How often everything is measured; the table has the median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// How long one transfer lasts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,

    /// The subjects to measure; all by default
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    only: Vec<Subject>,

    /// What to measure; everything by default
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    measure: Vec<Measure>,

    /// TCP's congestion control, in the tunnels and below them
    #[arg(long, default_value = "cubic")]
    pub(crate) congestion: String,

    /// Where every round's figures go, as JSON; bench.json beside the program by default
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is measured. The client's end is the left one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Subject {
    /// The veth pair alone, without a tunnel: what the kernel does
    Veth,
    /// Taps with offloads, one TCP connection and AES-GCM, without SSH: what a tunnel can reach
    Ceiling,
    /// Debian's ssh -w and sshd
    Stock,
    /// tapline connect and tapline run
    Native,
    /// tapline connect and Debian's sshd
    ToStock,
    /// Debian's ssh -w and tapline run
    FromStock,
}

/// A measure; some give several figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// One TCP stream from client to server
    Tcp,
    /// One TCP stream from server to client
    TcpReverse,
    /// Four TCP streams from client to server
    Tcp4,
    /// Frames of 64 bytes: the highest rate with less than 1 % lost, and what arrives when too many are sent
    Udp64,
    /// Round trips of an idle link
    Rtt,
    /// Round trips beside a TCP stream at full rate
    RttLoad,
    /// Frames lost at half the rate that the link carries
    Lossless,
    /// Time from starting the client to the first answer through the link; native and stock
    Start,
    /// Round trips, goodput and fairness over 20 Mbit/s; not for ceiling
    Slow,
}

impl Options {
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        chosen(&self.only)
    }

    /// # Errors
    /// Nobody knows where the program is.
    pub(crate) fn json(&self) -> io::Result<PathBuf> {
        self.json.clone().map_or_else(|| Ok(env::current_exe()?.with_file_name("bench.json")), Ok)
    }

    pub(crate) fn measures(&self) -> Vec<Measure> {
        chosen(&self.measure)
    }
}

impl Measure {
    /// Whether the measure says anything about the subject.
    pub(crate) fn suits(self, subject: Subject) -> bool {
        match self {
            Self::Start => matches!(subject, Subject::Native | Subject::Stock),
            // It has no queue of its own to speak of.
            Self::Slow => subject != Subject::Ceiling,
            _ => true,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&name(self))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&name(self))
    }
}

/// In the order of their declaration, whatever the order on the command line; all of them when none is named.
fn chosen<T: ValueEnum + PartialEq>(named: &[T]) -> Vec<T> {
    let all = T::value_variants().iter();
    all.filter(|value| named.is_empty() || named.contains(value)).cloned().collect()
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
