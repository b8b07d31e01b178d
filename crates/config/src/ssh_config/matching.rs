//! `Host` and `Match`: whether a block applies.

use super::{Problem, pattern};

/// What the criteria of `Match` look at.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// The host as it would be connected to.
    pub(super) host: &'a str,
    pub(super) original_host: &'a str,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    pub(super) tag: &'a str,
    /// Whether this is the second pass over the files.
    pub(super) is_final: bool,
}

/// What a `Match` line says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) applies: bool,
    /// The line asks for a second pass.
    pub(super) wants_final: bool,
}

/// Whether a `Host` line with these patterns is about `host`.
pub(super) fn host_line(host: &str, patterns: &[String]) -> bool {
    let mut positive = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if pattern::matches(host, negated) => return false,
            Some(_) => {}
            None => positive |= pattern::matches(host, pattern),
        }
    }
    positive
}

/// Whether a `Match` line with these criteria applies. `reachable` is whether it could apply at all: a criterion that
/// cannot be evaluated is an error only where it decides.
pub(super) fn match_line(
    subject: &Subject<'_>,
    arguments: &[String],
    reachable: bool,
) -> Result<Outcome, Problem> {
    if arguments.is_empty() {
        return Err(Problem::EmptyMatch);
    }
    let mut outcome = Outcome { applies: true, wants_final: false };
    let mut rest = arguments.iter();
    let mut criteria = 0;
    while let Some(written) = rest.next() {
        let (negated, attribute) = match written.strip_prefix('!') {
            Some(attribute) => (true, attribute),
            None => (false, written.as_str()),
        };
        let (name, inline) = match attribute.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (attribute, None),
        };
        let name = name.to_ascii_lowercase();
        let fits = match name.as_str() {
            // After one other criterion at most, and nothing behind it.
            "all" if criteria < 2 && rest.all(String::is_empty) => true,
            "all" => return Err(Problem::MatchAllAlone),
            "final" | "canonical" if inline.is_none() => {
                outcome.wants_final |= name == "final" && !negated;
                subject.is_final
            }
            _ => {
                let argument = match inline {
                    Some(argument) => Some(argument),
                    None => rest.next().map(String::as_str),
                };
                let decides = reachable && outcome.applies;
                criterion(subject, &name, written, argument, decides)?
            }
        };
        outcome.applies &= fits != negated;
        criteria += 1;
    }
    Ok(outcome)
}

fn criterion(
    subject: &Subject<'_>,
    name: &str,
    written: &str,
    argument: Option<&str>,
    decides: bool,
) -> Result<bool, Problem> {
    let unsupported = |criterion, reason| match decides {
        true => Err(Problem::UnsupportedCriterion { criterion, reason }),
        false => Ok(false),
    };
    let may_be_empty = matches!(name, "tagged" | "command");
    let list = argument
        .filter(|argument| (may_be_empty || !argument.is_empty()) && !argument.starts_with('#'))
        .ok_or_else(|| Problem::MatchArgument(written.to_owned()));
    // There is no remote command, and neither a shell nor a subsystem is asked for.
    let words = |text: &str, list: &str| match text {
        "" => list.is_empty(),
        text => pattern::matches_list(text, list),
    };
    match name {
        "host" => Ok(pattern::matches_host_list(subject.host, list?)),
        "originalhost" => Ok(pattern::matches_host_list(subject.original_host, list?)),
        "user" => Ok(pattern::matches_list(subject.user, list?)),
        "localuser" => Ok(pattern::matches_list(subject.local_user, list?)),
        "tagged" => Ok(words(subject.tag, list?)),
        "command" => Ok(words("", list?)),
        "sessiontype" => Ok(pattern::matches_list("none", list?)),
        "exec" => list.and_then(|_| unsupported("exec", "runs no programs for its configuration")),
        "localnetwork" => {
            list.and_then(|_| unsupported("localnetwork", "does not look at interfaces for it"))
        }
        "version" => list.and_then(|_| unsupported("version", "is not OpenSSH")),
        _ => Err(Problem::UnknownCriterion(written.to_owned())),
    }
}
