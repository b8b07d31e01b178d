//! `authorized_keys`: whose keys may log in, and what a link of theirs may do (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

mod authorize;
mod options;
mod principals;
mod time;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use ssh_key::{PublicKey, public::KeyData};
use tapline_device::Unit;
use thiserror::Error;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use self::{options::KeyOptions, principals::PrincipalLines};
use super::{
    Location,
    key_text::{self, KeyText, KeyTextError},
};

pub use self::authorize::{
    Decision, Grant, GrantedCertificate, Refusal, Refusals, Request, TunnelGrant, TunnelRefused,
};
pub use self::options::OptionError;
pub(crate) use self::options::is_token;

/// The keys of all files, in order, and the lines that were refused.
#[derive(Debug, Clone, Default)]
pub struct AuthorizedKeys {
    entries: Vec<Entry>,
    diagnostics: Vec<Diagnostic>,
    /// `AuthorizedPrincipalsFile`, if there is one.
    principals: Option<PrincipalLines>,
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
    /// Whether it is of a list of authorities, whose users a file of principals may name.
    is_listed: bool,
    /// The refused lines before it.
    after: usize,
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
    /// Otherwise what may be the beginnings of keys in Base64.
    fragments: Vec<String>,
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
}

/// Keys that a line may be about which got lost in it.
const MAX_FRAGMENTS: usize = 8;

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
        self.add_lines(file, text, true, |line| {
            if !key_text::is_known_type(key_text::field(line).0) {
                return Err(RefusedLine::from(LineProblem::OptionsOfAuthority));
            }
            Ok((key_text::parse(line).map_err(LineProblem::from)?, KeyOptions::authority()))
        });
    }

    /// Adds the lines of `text`, found in `file`, as principals that a certificate of a listed authority has to name, as
    /// `AuthorizedPrincipalsFile` of `sshd_config(5)` does. From then on the user's name is not among them by itself.
    pub fn add_principals(&mut self, file: &Path, text: &str) {
        self.principals.get_or_insert_default().add(file, text, &TimeZone::system());
    }

    /// The lines that authorize, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The numbers of tunnel devices that `tunnel=` of any line gives.
    pub fn units(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().filter_map(|entry| match entry.options.tunnel {
            Some(Unit::Number(unit)) => Some(unit),
            _ => None,
        })
    }

    /// The lines that are refused, in order. To be logged when the files are read: somebody is locked out.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().chain(self.principals.iter().flat_map(PrincipalLines::diagnostics))
    }

    /// The first line that is about a key, as far as can be told of damaged ones, whether it authorizes or is refused.
    pub fn line_about(&self, key: &KeyData) -> Option<&Location> {
        let entry = self.entries.iter().find(|entry| &entry.key == key).map(|entry| &entry.location);
        let text = base64(key);
        entry.or_else(|| {
            self.diagnostics.iter().find(|line| line.is_about(key, &text)).map(|line| &line.location)
        })
    }

    /// Whether the peer may log in, and what its link may do.
    pub fn authorize(&self, request: &Request<'_>) -> Decision {
        authorize::authorize(self, request)
    }

    fn add_in_zone(&mut self, file: &Path, text: &str, zone: &TimeZone) {
        self.add_lines(file, text, false, |line| parse_line(line, zone));
    }

    fn add_lines(
        &mut self,
        file: &Path,
        text: &str,
        is_listed: bool,
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
                    is_listed,
                    after: self.diagnostics.len(),
                }),
                Err(RefusedLine { problem, key }) => {
                    let fragments = if key.is_some() { Vec::new() } else { fragments(line) };
                    self.diagnostics.push(Diagnostic { location, problem, key, fragments });
                }
            }
        }
    }
}

impl Diagnostic {
    /// Whether the line is about a key, whose Base64 is `text`. Of a line that is damaged before its key, or in it, one
    /// that may be counts.
    fn is_about(&self, key: &KeyData, text: &str) -> bool {
        match &self.key {
            Some(found) => found.as_ref() == key,
            None => self.fragments.iter().any(|found| text.starts_with(found) || found.starts_with(text)),
        }
    }
}

/// The key in Base64, without padding.
fn base64(key: &KeyData) -> String {
    PublicKey::from(key.clone()).to_bytes().map(|blob| STANDARD_NO_PAD.encode(blob)).unwrap_or_default()
}

/// Words that look like keys: each begins with the length of its type's name, which is below 2^16.
fn fragments(line: &str) -> Vec<String> {
    let words = line.split([' ', '\t', '"', ',', '=']).filter(|word| word.starts_with("AAAA"));
    words.take(MAX_FRAGMENTS).map(str::to_owned).collect()
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
