//! What the log of a daemon says, for people.

/// The last lines of a log, without colours, at most `count` of them.
pub(crate) fn tail(log: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<String> =
        log.lines().rev().map(plain).filter(|line| !line.is_empty()).take(count).collect();
    lines.reverse();
    lines
}

/// The last line that tells of something wrong, or else the last line.
pub(crate) fn complaint(log: &str) -> Option<String> {
    let lines = || log.lines().rev().map(plain).filter(|line| !line.is_empty());
    let wrong = lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign)));
    wrong.or_else(|| lines().next())
}

const SIGNS: [&str; 4] = ["ERROR", "WARN", "error:", "panicked at"];
/// Longest line shown, in characters.
const LONGEST: usize = 300;

/// A line without escape sequences (ECMA-48 CSI) and other control characters.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            if characters.next() == Some('[') {
                let _ = characters.find(|end| ('\x40'..='\x7e').contains(end));
            }
        } else if !character.is_control() {
            text.push(character);
        }
    }
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
