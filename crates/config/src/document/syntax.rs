//! Syntax errors of YAML in words that help to mend them.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::Span;
use crate::schema::invisible;

/// What is wrong, where, and what to do about it.
pub(super) fn explain(error: &ScanError, text: &str) -> (Span, String, String) {
    let at = place(error, text);
    let (message, hint) = words(error.kind());
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    if let Some(hint) = invisible(line) {
        return (at, message, hint);
    }
    if line.contains("[[") || line.contains("]:") && !line.contains(['"', '\'']) {
        return (at, message, "put an address in brackets into quotes: \"[::]:2222\"".to_owned());
    }
    // The parser notices a bracket that is not closed where the next key comes, or at the end.
    match unclosed(text, at) {
        Some((bracket, opened)) if opened.line < at.line => {
            let message = format!("not valid YAML: this `{bracket}` is not closed");
            let closing = if bracket == '[' { ']' } else { '}' };
            (opened, message, format!("close it with `{closing}`"))
        }
        _ => (at, message, hint.to_owned()),
    }
}

/// The last bracket that is opened and not closed before a place; what stands in quotes and comments does not count.
fn unclosed(text: &str, before: Span) -> Option<(char, Span)> {
    let mut open: Vec<(char, Span)> = Vec::new();
    let mut quote = None;
    for (index, line) in text.lines().enumerate().take(before.line) {
        let mut previous = ' ';
        for (column, character) in line.chars().enumerate() {
            if index.saturating_add(1) == before.line && column.saturating_add(1) >= before.column {
                break;
            }
            let at = Span { line: index.saturating_add(1), column: column.saturating_add(1), width: 1 };
            match (quote, character) {
                (Some(end), _) => quote = Some(end).filter(|end| *end != character),
                (None, '#') if previous == ' ' => break,
                (None, '"' | '\'') if " [{,:".contains(previous) => quote = Some(character),
                (None, '[' | '{') => open.push((character, at)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            previous = character;
        }
    }
    open.pop()
}

fn words(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as E;
    let hint = match kind {
        kind if is_tab(kind) => "indent with spaces; YAML allows no tabs there",
        E::UnclosedQuotedScalar => "close the quote on the line where it was opened",
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator
        | E::MismatchedFlowCollectionEnd { .. }
        | E::MisplacedFlowCollectionEnd => "look for a missing `]`, `}` or `,` here or above",
        E::MappingValueNotAllowed | E::InvalidColonPlacement | E::MappingKeyNotAllowed => {
            "put a value that contains `: ` in quotes, and line keys of one mapping up in one column"
        }
        E::SimpleKeyExpected | E::ExpectedBlockMappingKey | E::InvalidSimpleKey => {
            "write `key: value`, with a space after the colon, in the column of the keys around it"
        }
        E::InvalidIndentation
        | E::ExpectedBlockSequenceEntry
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidFlowScalarIndent
        | E::InvalidQuotedScalarIndent
        | E::InvalidBlockScalarIndent => "line it up with what it belongs to",
        E::UnknownAnchor => "define it before with `&name`, or put a value that starts with `*` in quotes",
        E::UnexpectedCharacter { .. } | E::MissingAnchorOrAliasName => {
            "put a value that starts with a special character in quotes"
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            "let the quotes enclose the whole value"
        }
        E::UnknownQuotedScalarEscape => "use single quotes, in which a backslash has no meaning",
        E::RecursionLimitExceeded => "no configuration needs so many levels",
        _ => "see yaml.org for the syntax; quotes around the value often help",
    };
    (format!("not valid YAML: {kind}"), hint)
}

/// Where the error is. The parser tells of a tab at the start of the text before it, which may be a line above.
fn place(error: &ScanError, text: &str) -> Span {
    let (line, before) = (error.marker().line().max(1), error.marker().col());
    let told = Span { line, column: before.saturating_add(1), width: 1 };
    if !is_tab(error.kind()) {
        return told;
    }
    let mut lines = text.lines().skip(line - 1);
    let tab_in = |line: Option<&str>, skipped| {
        let found = line.and_then(|line| line.chars().skip(skipped).position(|c| c == '\t'));
        found.map(|at: usize| at.saturating_add(skipped).saturating_add(1))
    };
    match (tab_in(lines.next(), before), tab_in(lines.next(), 0)) {
        (Some(column), _) => Span { column, ..told },
        (None, Some(column)) => Span { line: line.saturating_add(1), column, width: 1 },
        (None, None) => told,
    }
}

fn is_tab(kind: &ErrorKind) -> bool {
    use ErrorKind as E;
    matches!(kind, E::TabInIndentation | E::TabNotAllowed | E::TabInBlockIndentation | E::TabInPlainScalar)
}
