//! OpenSSH's patterns: `*`, `?`, and comma-separated lists with negation.

#[cfg(test)]
mod tests;

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
///
/// Takes time in proportion to the product of the lengths at worst.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    // Where to resume when the characters after the last `*` do not fit: that star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&character) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((t, p));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == character => {
                t += 1;
                p += 1;
            }
            _ => match retry {
                Some((star_text, star_pattern)) => {
                    retry = Some((star_text + 1, star_pattern));
                    t = star_text + 1;
                    p = star_pattern + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&rest| rest == b'*')
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
