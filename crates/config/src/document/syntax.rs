//! Syntax errors of YAML in words that help to mend them.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::Span;

/// What is wrong and what to do about it.
pub(super) fn explain(kind: &ErrorKind) -> (String, &'static str) {
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
pub(super) fn place(error: &ScanError, text: &str) -> Span {
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
