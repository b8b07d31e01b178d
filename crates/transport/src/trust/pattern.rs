//! OpenSSH's patterns: `*`, `?`, and comma-separated lists with negation.

use wildmatch::WildMatch;

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    WildMatch::new(&byte_by_byte(pattern)).matches(&byte_by_byte(text))
}

/// A character for each byte: OpenSSH knows bytes, wildmatch characters.
fn byte_by_byte(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Whether a host, which may have several names, matches a list: some pattern without `!` fits one of the names and none
/// with `!` fits any. The case of the names' letters does not count; patterns are in lower case.
pub(super) fn matches_host_list(names: &[String], list: &[String]) -> bool {
    let fits = |pattern: &str| names.iter().any(|name| matches(&name.to_ascii_lowercase(), pattern));
    let mut positive = false;
    for pattern in list {
        match pattern.strip_prefix('!') {
            Some(negated) if fits(negated) => return false,
            Some(_) => {}
            None => positive |= fits(pattern),
        }
    }
    positive
}

#[cfg(test)]
mod tests;
