//! `authorized_keys`: whose keys may log in, and what a link of theirs may do (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

mod authorize;
mod options;
mod time;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use ssh_key::public::KeyData;
use thiserror::Error;

use self::options::KeyOptions;
use super::{
    Location,
    key_text::{self, KeyText, KeyTextError},
    text_file,
};

pub use self::authorize::{
    Decision, Grant, GrantedCertificate, Refusal, Refusals, Request, TunnelGrant, TunnelRefused,
};
pub use self::options::OptionError;

/// The keys of all files, in order, and the lines that were refused.
#[derive(Debug, Clone, Default)]
pub struct AuthorizedKeys {
    entries: Vec<Entry>,
    diagnostics: Vec<Diagnostic>,
}

/// A line that authorizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the line is.
    pub location: Location,
    /// The key, or the key of an authority.
    pub key: KeyData,
    /// What follows the key.
    pub comment: String,
    /// Whether a certificate of the key is wanted, not the key itself.
    pub is_authority: bool,
    options: KeyOptions,
}

/// A line that is refused, so that its key cannot log in by it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{location}: key refused: {problem}")]
pub struct Diagnostic {
    /// Where.
    pub location: Location,
    /// Why.
    pub problem: LineProblem,
    /// The key, when the line got that far.
    pub key: Option<Box<KeyData>>,
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// An option is unknown, damaged, or cannot be honoured.
    #[error("{0}")]
    Option(#[from] OptionError),
    /// There is no key, or a damaged one.
    #[error("{0}")]
    Key(#[from] KeyTextError),
    /// Options in a list of authorities, which has none.
    #[error(
        "a list of authorities has keys alone; put options into an authorized_keys file with cert-authority"
    )]
    OptionsOfAuthority,
    /// The file cannot be read. The location's line is 0.
    #[error("cannot read the file: {0}")]
    File(String),
}

impl AuthorizedKeys {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the lines of `text`, found in `file`. Times without a `Z` are of this machine's time zone.
    pub fn add(&mut self, file: &Path, text: &str) {
        self.add_in_zone(file, text, &TimeZone::system());
    }

    /// Adds the keys of `text`, found in `file`, as authorities, as `TrustedUserCAKeys` of `sshd_config(5)` does: a
    /// certificate of theirs has to name the user as a principal.
    pub fn add_authorities(&mut self, file: &Path, text: &str) {
        self.add_lines(file, text, |line| {
            if !key_text::is_known_type(key_text::field(line).0) {
                return Err(RefusedLine::from(LineProblem::OptionsOfAuthority));
            }
            Ok((key_text::parse(line).map_err(LineProblem::from)?, KeyOptions::authority()))
        });
    }

    /// Adds the lines of a file. A file that does not exist has none.
    pub fn read(&mut self, file: &Path) {
        if let Some(text) = self.text_of(file) {
            self.add(file, &text);
        }
    }

    /// Adds the keys of a file as authorities. A file that does not exist has none.
    pub fn read_authorities(&mut self, file: &Path) {
        if let Some(text) = self.text_of(file) {
            self.add_authorities(file, &text);
        }
    }

    /// The lines that authorize, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The lines that are refused, in order. To be logged when the files are read: somebody is locked out.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether the peer may log in, and what its link may do.
    pub fn authorize(&self, request: &Request<'_>) -> Decision {
        authorize::authorize(self, request)
    }

    fn add_in_zone(&mut self, file: &Path, text: &str, zone: &TimeZone) {
        self.add_lines(file, text, |line| parse_line(line, zone));
    }

    fn add_lines(
        &mut self,
        file: &Path,
        text: &str,
        parse: impl Fn(&str) -> Result<(KeyText<'_>, KeyOptions), RefusedLine>,
    ) {
        for (index, line) in text.split('\n').enumerate() {
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let location = Location { file: PathBuf::from(file), line: index + 1 };
            match parse(line) {
                Ok((text, options)) => self.entries.push(Entry {
                    location,
                    key: text.key,
                    comment: text.comment.to_owned(),
                    is_authority: options.is_authority,
                    options,
                }),
                Err(RefusedLine { problem, key }) => {
                    self.diagnostics.push(Diagnostic { location, problem, key });
                }
            }
        }
    }

    fn text_of(&mut self, file: &Path) -> Option<String> {
        match text_file::read(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.diagnostics.push(Diagnostic {
                    location: Location { file: file.to_owned(), line: 0 },
                    problem: LineProblem::File(error.to_string()),
                    key: None,
                });
                None
            }
        }
    }
}

/// A line that is refused, before it is known which one it is.
struct RefusedLine {
    problem: LineProblem,
    key: Option<Box<KeyData>>,
}

impl From<LineProblem> for RefusedLine {
    fn from(problem: LineProblem) -> Self {
        Self { problem, key: None }
    }
}

fn parse_line<'a>(line: &'a str, zone: &TimeZone) -> Result<(KeyText<'a>, KeyOptions), RefusedLine> {
    let (options, key) = match key_text::is_known_type(key_text::field(line).0) {
        true => ("", line),
        false => options::split_line(line).map_err(LineProblem::from)?,
    };
    let text = key_text::parse(key).map_err(LineProblem::from)?;
    match KeyOptions::parse(options, &text.key, zone) {
        Ok(options) => Ok((text, options)),
        Err(error) => Err(RefusedLine { problem: error.into(), key: Some(Box::new(text.key)) }),
    }
}
