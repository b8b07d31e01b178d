//! What is wrong with a file, where, and what to do about it.

use std::fmt;

/// Diagnostics kept for one file; a file with more mistakes than this is told how many were left out.
const KEPT: usize = 100;
/// Characters of a source line that are shown around the mistake.
const SHOWN: usize = 120;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and what it says will not work, or has a price.
    Warning,
}

/// One mistake in one file, or one warning about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file can be used.
    pub severity: Severity,
    /// The file's name as the caller gave it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// Length of the offending text in characters, at least 1.
    pub width: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do next, in one line.
    pub hint: Option<String>,
    /// The whole offending line, without its line break.
    pub source_line: String,
}

impl fmt::Display for Diagnostic {
    /// Renders `file:line:column: message`, the line, a caret and the hint; no trailing line break. The message of a
    /// warning begins with that word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (line, caret) = self.excerpt();
        let kind = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let (file, message) = (printable(&self.file), printable(&self.message));
        write!(f, "{file}:{}:{}: {kind}{message}", self.line, self.column)?;
        write!(f, "\n{gutter} |\n{number} | {line}\n{gutter} | {caret}")?;
        match &self.hint {
            Some(hint) => write!(f, "\n{gutter} = hint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

impl Diagnostic {
    pub(crate) fn new(
        severity: Severity,
        file: &str,
        (at, source_line): (Span, &str),
        message: String,
        hint: Option<String>,
    ) -> Self {
        let room = source_line.chars().count().saturating_sub(at.column.saturating_sub(1));
        Self {
            severity,
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            width: at.width.clamp(1, room.max(1)),
            message,
            hint,
            source_line: source_line.to_owned(),
        }
    }

    /// `file:line:column: message; hint`, for a log.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let (file, message) = (printable(&self.file), printable(&self.message));
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; {}", printable(hint)));
        format!("{file}:{}:{}: {message}{hint}", self.line, self.column)
    }

    /// The part of the source line around the mistake, and the carets that go below it.
    fn excerpt(&self) -> (String, String) {
        let before = self.column.saturating_sub(1);
        let skipped = if before >= SHOWN { before.saturating_sub(SHOWN / 2) } else { 0 };
        let mut line = String::from(if skipped > 0 { "..." } else { "" });
        let mut caret = " ".repeat(line.len());
        let rest = self.source_line.chars().skip(skipped);
        for (index, character) in rest.clone().take(SHOWN).enumerate() {
            line.push(shown(character));
            if index < before.saturating_sub(skipped) {
                caret.push(if character == '\t' { '\t' } else { ' ' });
            }
        }
        let room = SHOWN.saturating_sub(before.saturating_sub(skipped)).max(1);
        caret.push_str(&"^".repeat(self.width.clamp(1, room)));
        if rest.count() > SHOWN {
            line.push_str("...");
        }
        (line, caret)
    }
}

/// What is to be said about one file, in its order. As an error it holds at least one mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    left_out: usize,
}

impl Diagnostics {
    /// The mistakes and warnings, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// How many were found, those included that are not kept.
    pub fn count(&self) -> usize {
        self.found.len().saturating_add(self.left_out)
    }

    /// Whether one of them is a mistake, for which the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.left_out > 0 || self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// These and others about the same file, in its order.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.found.extend(others);
        self.found.sort_by_key(|found| (found.line, found.column));
        self
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(found: I) -> Self {
        Self::default().and(found)
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\n\n... and {more} more"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Where a piece of the document stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: usize,
    /// In characters.
    pub(crate) width: usize,
}

#[derive(Debug)]
struct Finding {
    severity: Severity,
    at: Span,
    message: String,
    hint: Option<String>,
}

/// Collects the mistakes of one file while it is walked.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Finding>,
    errors: usize,
    left_out: usize,
    truncated: bool,
}

impl Report {
    /// Notes a mistake and what to do about it. The same mistake at the same place, reached again through a YAML
    /// alias, counts once.
    pub(crate) fn error(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.error_with(at, message, || hint.into());
    }

    /// As [`Report::error`], for a hint that takes work to find.
    pub(crate) fn error_with(&mut self, at: Span, message: impl Into<String>, hint: impl FnOnce() -> String) {
        self.note(Severity::Error, at, message.into(), hint);
    }

    /// Notes what will not work, or has a price, though it is no mistake.
    pub(crate) fn warning(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Warning, at, message.into(), || hint.into());
    }

    fn note(&mut self, severity: Severity, at: Span, message: String, hint: impl FnOnce() -> String) {
        let is_error = severity == Severity::Error;
        if self.found.len() >= KEPT {
            self.left_out = self.left_out.saturating_add(usize::from(is_error));
            return;
        }
        if !self.found.iter().any(|found| found.at == at && found.message == message) {
            let hint = Some(hint()).filter(|hint| !hint.is_empty());
            self.errors = self.errors.saturating_add(usize::from(is_error));
            self.found.push(Finding { severity, at, message, hint });
        }
    }

    /// Says that the document ends early, at a syntax error: what is missing may well stand behind it.
    pub(crate) fn truncate(&mut self) {
        self.truncated = true;
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Mistakes so far; warnings do not count.
    pub(crate) fn count(&self) -> usize {
        self.errors.saturating_add(self.left_out)
    }

    /// Whether there is no mistake.
    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The mistakes and warnings with their lines from `text`.
    pub(crate) fn into_diagnostics(mut self, file: &str, text: &str) -> Diagnostics {
        self.found.sort_by_key(|found| (found.at.line, found.at.column));
        let mut lines = text.lines();
        let mut reached = 0;
        let mut source_line = "";
        let mut found = Vec::with_capacity(self.found.len());
        for Finding { severity, at, message, hint } in self.found {
            while reached < at.line {
                source_line = lines.next().unwrap_or_default();
                reached += 1;
            }
            found.push(Diagnostic::new(severity, file, (at, source_line), message, hint));
        }
        Diagnostics { found, left_out: self.left_out }
    }
}

/// A value from the file, fit to stand in a message: in backquotes, cut when long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        short.push_str("...");
    }
    format!("`{}`", printable(&short))
}

/// What a terminal may be sent: control characters and those that reorder text could hide what the file says.
fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(character: char) -> char {
    match character {
        '\t' => '\t',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
            '\u{fffd}'
        }
        other if other.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests;
