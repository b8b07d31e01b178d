//! Which known word somebody probably meant.

/// Words longer than this are not compared: no known word is near them.
const LONGEST: usize = 48;

/// The known word nearest to `word`, if one is near enough to be worth a suggestion.
///
/// Spelling of the joints does not count (`identity_file` and `IdentityFile` are `identity-file`); otherwise up to a
/// third of the word may differ, and one letter always.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within((folded(word).len() / 3).max(1), word, known)
}

/// The known word nearest to `word` of those that differ in as many letters at most.
pub(crate) fn nearest_within<'a>(
    allowed: usize,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.is_empty() || word.chars().count() > LONGEST {
        return None;
    }
    let wanted = folded(word);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

pub(crate) fn folded(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edits that lead from one word to the other: insert, remove, replace, or swap two neighbours (optimal string
/// alignment, three rows of the table at a time).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, &a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut left = row + 1;
        let mut last = None;
        for (column, &b) in to.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (cell(&above, column) + usize::from(a != b)).min(cell(&above, column + 1) + 1).min(left + 1);
            if previous == Some(b) && last == Some(a) && column > 0 {
                best = best.min(cell(&before, column - 1) + 1);
            }
            current.push(best);
            left = best;
            last = Some(b);
        }
        before = std::mem::replace(&mut above, current);
        previous = Some(a);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
