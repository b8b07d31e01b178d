//! What goes to the log in sshd's words, and how much of it one source or one key can cause.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::origin::Source;

/// Text of a peer, fit for a line of the log: no control characters, and not longer than a name needs to be.
pub(super) fn printable(text: &str) -> String {
    const MAX: usize = 100;
    let mut shown: String = text
        .chars()
        .take(MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// How long a budget of lines has to last.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// Lines of one source in a [`PERIOD`], until one of its keys is known.
const SOURCE_LINES: u32 = 30;

/// Lines of one key. A link of 16 connections that all break and come back at once writes fewer.
const KEY_LINES: u32 = 120;

/// Sources and keys that have a budget of their own in a period. All others share one.
const MAX_SUBJECTS: usize = 1024;

/// Whom lines are about, and who so has a budget of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Source(Source),
    /// By its fingerprint.
    Key(String),
    /// All for whom there is no room.
    Others,
}

/// Lets through so many lines about each source and each key that nobody can fill a disk, or hide what others do.
#[derive(Debug, Default)]
pub struct LogBudget(Mutex<Ledger>);

/// Lines that were left out; one of these is written for all of them.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    about: Subject,
    left_out: u64,
}

/// Pure.
#[derive(Debug, Default)]
struct Ledger {
    accounts: HashMap<Subject, Account>,
}

#[derive(Debug)]
struct Account {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl LogBudget {
    /// Whether a line may be written about this one now.
    pub fn passes(&self, about: &Subject) -> bool {
        let (passes, summaries) = self.ledger(|ledger| ledger.line(Instant::now(), about));
        write(summaries);
        passes
    }

    pub(super) fn info(&self, about: &Subject, line: fmt::Arguments<'_>) {
        if self.passes(about) {
            tracing::info!("{line}");
        }
    }

    /// Writes what is due of the lines that were left out. To be called at least once in a [`PERIOD`].
    pub(super) fn sum_up(&self) {
        write(self.ledger(|ledger| ledger.due(Instant::now())));
    }

    /// As [`LogBudget::sum_up`], of all there is.
    pub(super) fn close(&self) {
        write(self.ledger(|ledger| ledger.due(Instant::now() + PERIOD)));
    }

    fn ledger<T>(&self, use_it: impl FnOnce(&mut Ledger) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Outside of the lock: a log can be slow.
fn write(summaries: Vec<Summary>) {
    for summary in summaries {
        tracing::info!("{summary}");
    }
}

impl Ledger {
    /// Whether the line may be written, and the sums that are to be written before it.
    fn line(&mut self, now: Instant, about: &Subject) -> (bool, Vec<Summary>) {
        let mut summaries = Vec::new();
        if self.accounts.get(about).is_some_and(|account| account.is_over(now)) {
            summaries.extend(self.accounts.remove(about).and_then(|account| account.summary(about.clone())));
        }
        let mut about = about;
        if !self.accounts.contains_key(about) && self.accounts.len() >= MAX_SUBJECTS {
            summaries.extend(self.due(now));
            if self.accounts.len() >= MAX_SUBJECTS {
                about = &Subject::Others;
            }
        }
        let new = || Account { since: now, written: 0, left_out: 0 };
        let account = self.accounts.entry(about.clone()).or_insert_with(new);
        let passes = account.written < about.lines();
        if passes {
            account.written += 1;
        } else {
            account.left_out += 1;
        }
        (passes, summaries)
    }

    /// The sums of the accounts whose period is over, which are closed.
    fn due(&mut self, now: Instant) -> Vec<Summary> {
        let over = self.accounts.extract_if(|_, account| account.is_over(now));
        over.filter_map(|(about, account)| account.summary(about)).collect()
    }
}

impl Account {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PERIOD
    }

    fn summary(&self, about: Subject) -> Option<Summary> {
        (self.left_out > 0).then_some(Summary { about, left_out: self.left_out })
    }
}

impl Subject {
    fn lines(&self) -> u32 {
        match self {
            Self::Source(_) => SOURCE_LINES,
            Self::Key(_) | Self::Others => KEY_LINES,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, left_out } = self;
        write!(f, "{left_out} more lines of the last {PERIOD:?} left out, about ")?;
        match about {
            Subject::Source(source) => write!(f, "connections from {source}"),
            Subject::Key(fingerprint) => write!(f, "the key {fingerprint}"),
            Subject::Others => write!(f, "many other sources and keys"),
        }
    }
}

#[cfg(test)]
mod tests;
