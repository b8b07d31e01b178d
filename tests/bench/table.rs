use std::fmt::Write;

use crate::options::Subject;
use crate::results::{Results, Rounds, Row};

/// What every subject is compared with.
const REFERENCES: [Subject; 3] = [Subject::Stock, Subject::Ceiling, Subject::Veth];

/// For each figure a line per subject: the median of the rounds, their least and greatest, and the ratios of the
/// median to those of [`REFERENCES`].
pub(crate) fn render(results: &Results) -> String {
    let mut table = String::new();
    for row in results.rows() {
        let better = if row.figure.more_is_better { "more is better" } else { "less is better" };
        let title = format!("{} [{}]", row.figure.name, row.figure.unit);
        let _ = write!(table, "\n{title:<32} {better:<16}");
        for reference in REFERENCES {
            let _ = write!(table, " {:>9}", format!("/{reference}"));
        }
        table.push('\n');
        for (subject, rounds) in &row.subjects {
            line(&mut table, row, *subject, rounds);
        }
    }
    for failure in results.failures() {
        let _ = writeln!(table, "\nFAILED {failure}");
    }
    table
}

fn line(table: &mut String, row: &Row, subject: Subject, rounds: &Rounds) {
    let spread = format!("{} .. {}", number(rounds.least()), number(rounds.greatest()));
    let _ = write!(table, "  {subject:<12} {:>10}  {spread:<22} ", number(rounds.median()));
    for reference in REFERENCES {
        let ratio = row.median(reference).filter(|reference| *reference != 0.0);
        let ratio = ratio.map(|reference| format!("{:.2}", rounds.median() / reference));
        let _ = write!(table, " {:>9}", ratio.as_deref().unwrap_or("-"));
    }
    table.push('\n');
}

/// With about three digits that mean something.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        0.0 => 0,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests;
