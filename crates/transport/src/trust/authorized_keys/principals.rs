//! `AuthorizedPrincipalsFile`: which principals of certificates may log in (sshd_config(5)).

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{
    super::Location,
    Diagnostic, LineProblem,
    options::{self, KeyOptions},
};

/// The lines of the files of principals.
#[derive(Debug, Clone, Default)]
pub(super) struct PrincipalLines {
    lines: Vec<Result<PrincipalLine, RefusedPrincipal>>,
}

/// A line that may let certificates in.
#[derive(Debug, Clone)]
pub(super) struct PrincipalLine {
    pub(super) location: Location,
    /// The principal.
    pub(super) name: String,
    pub(super) options: KeyOptions,
}

#[derive(Debug, Clone)]
struct RefusedPrincipal {
    name: String,
    diagnostic: Diagnostic,
}

/// The first line that is about a certificate.
pub(super) enum PrincipalFound<'a> {
    Line(&'a PrincipalLine),
    Refused(&'a Diagnostic),
    None,
}

impl PrincipalLines {
    /// As in sshd, `#` begins a comment wherever it stands, and what stands before the last word are options.
    pub(super) fn add(&mut self, file: &Path, text: &str, zone: &TimeZone) {
        for (index, line) in text.split('\n').enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim_matches([' ', '\t', '\r']);
            let (before, name) = line.rsplit_once([' ', '\t']).unwrap_or(("", line));
            if name.is_empty() {
                continue;
            }
            let location = Location { file: PathBuf::from(file), line: index + 1 };
            let name = name.to_owned();
            self.lines.push(match parse_options(before, zone) {
                Ok(options) => Ok(PrincipalLine { location, name, options }),
                Err(error) => {
                    let problem = LineProblem::Option(error);
                    let diagnostic = Diagnostic { location, problem, key: None, fragments: Vec::new() };
                    Err(RefusedPrincipal { name, diagnostic })
                }
            });
        }
    }

    pub(super) fn of(&self, principals: &[String]) -> PrincipalFound<'_> {
        for line in &self.lines {
            match line {
                Ok(line) if principals.contains(&line.name) => return PrincipalFound::Line(line),
                Err(refused) if principals.contains(&refused.name) => {
                    return PrincipalFound::Refused(&refused.diagnostic);
                }
                _ => {}
            }
        }
        PrincipalFound::None
    }

    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.lines.iter().filter_map(|line| line.as_ref().err()).map(|refused| &refused.diagnostic)
    }
}

fn parse_options(text: &str, zone: &TimeZone) -> Result<KeyOptions, options::OptionError> {
    let text = text.trim_matches([' ', '\t']);
    match options::split_line(text)? {
        (options, "") => KeyOptions::of_principal(options, zone),
        _ => Err(options::OptionError::Damaged),
    }
}
