//! Errors and warnings, each with the place it is about.

use std::{fmt, path::PathBuf};

use thiserror::Error;

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from 1.
    File {
        /// The file's path.
        path: PathBuf,
        /// The line's number.
        line: usize,
    },
    /// An argument of `-o`.
    CommandLine(String),
    /// The destination itself.
    Destination,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::CommandLine(argument) => write!(f, "-o {argument}"),
            Self::Destination => f.write_str("destination"),
        }
    }
}

/// Everything that is wrong, in the order it was read. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Errors(pub Vec<LineError>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{origin}: {problem}")]
pub struct LineError {
    /// Where.
    pub origin: Origin,
    /// What.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A quote that does not end on its line.
    #[error("a quote is not closed on this line; close it")]
    UnclosedQuote,
    /// A keyword alone.
    #[error("{0} needs an argument; write `{0} VALUE`")]
    MissingArgument(String),
    /// An argument that is there and empty.
    #[error("an argument of {0} is empty; remove the empty quotes")]
    EmptyArgument(String),
    /// More arguments than the keyword takes.
    #[error("{keyword} takes no further argument, but `{extra}` follows; remove it or quote the value")]
    ExtraArgument {
        /// The keyword.
        keyword: &'static str,
        /// The first argument too many.
        extra: String,
    },
    /// A value that the keyword does not take.
    #[error("`{value}` is not a value of {keyword}; it takes {expected}")]
    BadValue {
        /// The keyword.
        keyword: &'static str,
        /// What was written.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A word or an algorithm that is none of those that there are.
    #[error("`{value}` is not a value of {keyword}; it takes {known}")]
    UnknownName {
        /// The keyword.
        keyword: &'static str,
        /// What was written.
        value: String,
        /// What it takes.
        known: String,
    },
    /// The mode where the number of a device belongs.
    #[error("`{0}` is no device; write `Tunnel {0}`, and TunnelDevice for the numbers")]
    TunnelMode(String),
    /// Bytes that are no text.
    #[error("a character of this line is not UTF-8; write it in UTF-8")]
    NotUtf8,
    /// A keyword that nobody knows.
    #[error("`{}` is no option of ssh_config{}", visible(.name), unknown_hint(.name, .nearest))]
    UnknownOption {
        /// What was written.
        name: String,
        /// The option that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A block or an include given with `-o`.
    #[error("{0} cannot be given with -o; put it in a configuration file")]
    NotOnCommandLine(&'static str),
    /// More values than OpenSSH takes as well.
    #[error("more than {limit} values of {keyword}; remove some")]
    TooMany {
        /// The keyword.
        keyword: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// A `%` token that is unknown or not allowed here.
    #[error("{keyword} does not take the token `%{token}`; write `%%` for a percent sign")]
    BadToken {
        /// The keyword.
        keyword: &'static str,
        /// The character after the percent sign, if any.
        token: String,
    },
    /// `${...}` without its end or its name.
    #[error("a `${{` of {0} has no name or no closing brace; write `${{NAME}}`")]
    BadVariable(&'static str),
    /// `${NAME}` that is not set.
    #[error("{keyword} uses ${{{name}}}, which is not set; set it or write the value out")]
    UnsetVariable {
        /// The keyword.
        keyword: &'static str,
        /// The variable.
        name: String,
    },
    /// `~user` for nobody.
    #[error("{keyword} uses ~{user}, but there is no such user")]
    NoSuchUser {
        /// The keyword.
        keyword: &'static str,
        /// The user.
        user: String,
    },
    /// `~` in an `Include` of a system file.
    #[error("a system-wide file cannot include `{0}`; write an absolute path")]
    HomeInSystemFile(String),
    /// Includes within includes beyond the limit.
    #[error("includes are nested more than {0} deep; look for a file that includes itself")]
    IncludeDepth(usize),
    /// More included files in total than the limit.
    #[error("more than {0} files are included; look for a file that includes itself")]
    IncludeCount(usize),
    /// An included file that cannot be read.
    #[error("cannot include {pattern}: {reason}")]
    Include {
        /// The pattern as it was expanded.
        pattern: String,
        /// The operating system's reason.
        reason: String,
    },
    /// `Match` without a criterion.
    #[error("Match needs a criterion, for example `Match host db.example.org`")]
    EmptyMatch,
    /// A `Match` criterion without its argument.
    #[error("`Match {0}` needs an argument")]
    MatchArgument(String),
    /// `Match all` together with more than one other criterion, or before one.
    #[error("`all` is the last criterion of Match, and the second at most; remove the others")]
    MatchAllAlone,
    /// A `Match` criterion nobody knows.
    #[error("`{0}` is no criterion of Match; use host, originalhost, user, localuser, tagged, final or all")]
    UnknownCriterion(String),
    /// A `Match` criterion that Tapline cannot evaluate.
    #[error(
        "`Match {criterion}` decides about this host, and Tapline {reason}; use host, user or tagged instead"
    )]
    UnsupportedCriterion {
        /// The criterion.
        criterion: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A last jump host that is the destination.
    #[error(
        "ProxyJump leads to {0} through itself; exclude it with `Host * !{0}` or set `ProxyJump none` for it"
    )]
    JumpLoop(String),
    /// `RefuseConnection`.
    #[error("the configuration refuses this connection: {0}")]
    Refused(String),
    /// An option that must not be passed over.
    #[error("Tapline does not honour {keyword} {value}: {instead}")]
    NotHonoured {
        /// The keyword.
        keyword: &'static str,
        /// Its value.
        value: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A name that ssh would look up in DNS to learn what is meant.
    #[error(
        "{0} would have {1} looked up in DNS, which Tapline does not do for it; write the name in full, or HostName"
    )]
    Canonicalize(&'static str, String),
    /// `CanonicalizeFallbackLocal no`, and no domain to find the name in.
    #[error(
        "{0} is in none of CanonicalDomains, and CanonicalizeFallbackLocal is no; write the name in full"
    )]
    NotCanonical(String),
    /// A host name that could do harm in a command.
    #[error("`{0}` is not a host name; it is empty, begins with `-` or has characters special to a shell")]
    BadHost(String),
    /// A user name that could do harm in a command.
    #[error("`{0}` is not a user name; it is empty, begins with `-` or has characters special to a shell")]
    BadUser(String),
}

/// Something that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// Something that was asked for does not happen.
    #[error("{origin}: Tapline does not honour {keyword}: {consequence}")]
    NotHonoured {
        /// Where.
        origin: Origin,
        /// The option.
        keyword: &'static str,
        /// What follows from it.
        consequence: &'static str,
    },
    /// An option of which nothing concerns a tunnel.
    #[error("{keyword} ({origin})")]
    PassedOver {
        /// Where.
        origin: Origin,
        /// The option.
        keyword: &'static str,
    },
}

fn unknown_hint(name: &str, nearest: &Option<&'static str>) -> String {
    if name.chars().any(is_invisible) {
        return "; a character in it is invisible (a byte order mark or a no-break space), delete it"
            .to_owned();
    }
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => "; remove the line, or name it in IgnoreUnknown before it".to_owned(),
    }
}

/// The text with invisible characters as their numbers.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if is_invisible(c) { format!("<U+{:04X}>", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// Looks like nothing or like a blank, and is neither to ssh.
fn is_invisible(character: char) -> bool {
    character != ' '
        && (character.is_whitespace()
            || character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}'))
}
