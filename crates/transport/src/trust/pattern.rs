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

/// Whether a host name matches a comma-separated list: some pattern without `!` fits and none with `!` does.
/// The case of letters does not count.
pub(super) fn matches_host_list(host: &str, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let mut positive = false;
    for pattern in list.to_ascii_lowercase().split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(&host, negated) => return false,
            Some(_) => {}
            None => positive |= matches(&host, pattern),
        }
    }
    positive
}

#[cfg(test)]
mod tests;
