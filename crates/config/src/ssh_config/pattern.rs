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

/// Whether `text` matches a comma-separated list: some pattern without `!` fits and none with `!` does.
pub(super) fn matches_list(text: &str, list: &str) -> bool {
    let mut positive = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(text, negated) => return false,
            Some(_) => {}
            None => positive |= matches(text, pattern),
        }
    }
    positive
}

/// [`matches_list`] for host names, whose case does not count.
pub(super) fn matches_host_list(host: &str, list: &str) -> bool {
    matches_list(&host.to_ascii_lowercase(), &list.to_ascii_lowercase())
}
