//! What is said while a lab runs.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::outcome::{CheckResult, Outcome, Verdict};

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Namespaces are made and daemons started.
    Starting {
        /// How many hosts.
        hosts: usize,
        /// How many networks.
        networks: usize,
    },
    /// Where configurations, keys and logs lie, when they are kept.
    Files {
        /// The directory; it has one directory for each host.
        directory: PathBuf,
    },
    /// A check ended.
    Checked(CheckResult),
    /// All is over.
    Finished(Outcome),
}

/// Is told about a lab while it runs.
pub trait Report {
    /// Something happened. Called in the order of events, on the thread of the caller.
    fn event(&mut self, event: &Event);
}

/// Lines for people.
#[derive(Debug)]
pub struct TextReport<W> {
    out: W,
    colour: bool,
}

impl<W: Write> TextReport<W> {
    /// Writes to `out`; with `colour` when that is a terminal.
    pub const fn new(out: W, colour: bool) -> Self {
        Self { out, colour }
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Starting { hosts, networks } => {
                let (hosts, networks) = (counted(*hosts, "host"), counted(*networks, "network"));
                writeln!(self.out, "starting {hosts}, {networks}")?;
            }
            Event::Files { directory } => writeln!(self.out, "files in {}", directory.display())?,
            Event::Checked(check) => self.check(check)?,
            Event::Finished(outcome) => self.finished(outcome)?,
        }
        self.out.flush()
    }

    fn check(&mut self, check: &CheckResult) -> io::Result<()> {
        let way = format!("{} -> {}", check.from, check.target);
        let (mark, detail) = match &check.verdict {
            Verdict::Passed { figures } => (self.painted("ok  ", GREEN), format!("  {figures}")),
            Verdict::Failed { reason } => (self.painted("FAIL", RED), format!(": {reason}")),
        };
        let name = check.name.as_ref().map(|name| format!("  ({name})")).unwrap_or_default();
        match check.verdict.passed() {
            true => writeln!(self.out, "{mark} {way:<36}  {:<10}{detail}{name}", check.probe),
            false => writeln!(self.out, "{mark} {way:<36}  {}{name}{detail}", check.probe),
        }
    }

    fn finished(&mut self, outcome: &Outcome) -> io::Result<()> {
        for (host, lines) in &outcome.logs {
            if !lines.is_empty() {
                writeln!(self.out, "last lines of {host}'s log:")?;
            }
            for line in lines {
                writeln!(self.out, "  {line}")?;
            }
        }
        for warning in &outcome.warnings {
            writeln!(self.out, "{} {warning}", self.painted("warning:", RED))?;
        }
        let total = outcome.checks.len();
        match outcome.failed() {
            0 => writeln!(self.out, "{} passed", counted(total, "check")),
            failed => writeln!(self.out, "{failed} of {} failed", counted(total, "check")),
        }
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl<W: Write> Report for TextReport<W> {
    fn event(&mut self, event: &Event) {
        // The result of the run counts, not whether somebody still reads about it.
        let _ = self.write(event);
    }
}

/// SGR parameters of ECMA-48.
const GREEN: &str = "32";
const RED: &str = "31";

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests;
