//! Files and texts into configurations and labs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::check;
use crate::configuration::Config;
use crate::diagnostic::{Diagnostic, Diagnostics, Report, Severity, Span};
use crate::document::{self, MAX_BYTES, Node};
use crate::lab::{self, Lab};
use crate::render;
use crate::schema::Element;

/// Why a file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {}: {source}; give another file with -c, or create this one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read and has mistakes.
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

/// A configuration, what is to be said about it, and where its keys stand.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What will not work, or has a price, though it is no mistake.
    pub warnings: Diagnostics,
    /// For what is found out later.
    pub places: Places,
}

/// Where the keys of a file stand, for those who find a mistake that the file alone does not show.
#[derive(Debug, Clone)]
pub struct Places {
    file: String,
    text: String,
    root: Node,
}

impl Config {
    /// Reads a configuration from a file of at most 1 MiB.
    ///
    /// # Errors
    /// When the file cannot be read, and with every mistake in it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load(path.as_ref(), Self::from_str)
    }

    /// Reads a configuration from a text; `file_name` stands in front of what is said about it.
    ///
    /// # Errors
    /// With every mistake in the text.
    pub fn from_str(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        Loaded::from_str(file_name, text).map(|loaded| loaded.config)
    }

    /// The configuration as YAML, which [`Config::from_str`] reads as the same value. Keys at their
    /// defaults are left out.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        render::document(&self.to_json())
    }
}

impl Lab {
    /// Reads a lab from a file of at most 1 MiB.
    ///
    /// # Errors
    /// When the file cannot be read, and with every mistake in it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load(path.as_ref(), Self::from_str)
    }

    /// Reads a lab from a text; `file_name` stands in front of what is said about it.
    ///
    /// # Errors
    /// With every mistake in the text.
    pub fn from_str(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        parse(file_name, text, lab::check).map(|parsed| parsed.value)
    }
}

fn load<T>(path: &Path, from_str: impl Fn(&str, &str) -> Result<T, Diagnostics>) -> Result<T, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know that the file is too large.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    let name = path.display().to_string();
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(from_str(&name, text)?),
        Err(error) if bytes.len() <= MAX_BYTES => Err(not_text(&name, &bytes, error.valid_up_to()).into()),
        Err(_) => Ok(from_str(&name, &String::from_utf8_lossy(&bytes))?),
    }
}

fn not_text(file_name: &str, bytes: &[u8], valid_up_to: usize) -> Diagnostics {
    let text = String::from_utf8_lossy(bytes);
    let valid = bytes.get(..valid_up_to).map(String::from_utf8_lossy).unwrap_or_default();
    let line = valid.matches('\n').count().saturating_add(1);
    let column = valid.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    let mut report = Report::default();
    report.error(Span { line, column, width: 1 }, "this is not UTF-8 text", "save the file as UTF-8");
    report.into_diagnostics(file_name, &text)
}

impl Loaded {
    /// Reads a configuration from a file of at most 1 MiB.
    ///
    /// # Errors
    /// When the file cannot be read, and with every mistake in it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load(path.as_ref(), Self::from_str)
    }

    /// Reads a configuration from a text; `file_name` stands in front of what is said about it.
    ///
    /// # Errors
    /// With every mistake in the text.
    pub fn from_str(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let parsed =
            parse(file_name, text, |node, report| check::configuration(node, check::Keys::Written, report))?;
        let places = Places { file: file_name.to_owned(), text: text.to_owned(), root: parsed.root };
        Ok(Self { config: parsed.value, warnings: parsed.warnings, places })
    }
}

impl Places {
    /// A mistake in what stands at a path of keys, in which a number is an item of a list: `["links", "a", "host"]`.
    /// Where the path leads further than the document, it is about the last key that is there.
    #[must_use]
    pub fn error(&self, path: &[&str], message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, path, message.into(), hint.into())
    }

    /// As [`Places::error`], for what will not work, or has a price.
    #[must_use]
    pub fn warning(&self, path: &[&str], message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, path, message.into(), hint.into())
    }

    /// Whether the file itself has the last key of the path.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        let mut node = Some(&self.root);
        path.iter().all(|key| {
            node = node.and_then(|node| node.step(key).map(|(_, value)| value));
            node.is_some()
        })
    }

    fn diagnostic(&self, severity: Severity, path: &[&str], message: String, hint: String) -> Diagnostic {
        let at = self.root.place(path);
        let source_line = self.text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        Diagnostic::new(severity, &self.file, (at, source_line), message, hint)
    }
}

struct Parsed<T> {
    value: T,
    root: Node,
    warnings: Diagnostics,
}

fn parse<T: Element>(
    file_name: &str,
    text: &str,
    check: impl Fn(&Node, &mut Report),
) -> Result<Parsed<T>, Diagnostics> {
    let mut report = Report::default();
    let Some(root) = document::read(text, &mut report) else {
        if report.is_empty() {
            let hint = "begin with `links:` or `server:`; deploy/tapline.yaml shows every key";
            report.error(document::START, "the file is empty", hint);
        }
        return Err(report.into_diagnostics(file_name, text));
    };
    let value = T::parse(&root, &mut report);
    // What two places say about each other needs the whole document.
    if !report.is_truncated() {
        check(&root, &mut report);
    }
    let is_sound = report.is_empty();
    let found = report.into_diagnostics(file_name, text);
    match value {
        Some(value) if is_sound => Ok(Parsed { value, root, warnings: found }),
        _ => Err(found),
    }
}

#[cfg(test)]
mod tests;
