//! Syntax errors of YAML in words that help to mend them.

use granit_parser::ErrorKind;

/// What is wrong and what to do about it.
pub(super) fn explain(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as E;
    let hint = match kind {
        E::TabInIndentation | E::TabNotAllowed | E::TabInBlockIndentation | E::TabInPlainScalar => {
            "indent with spaces; YAML allows no tabs there"
        }
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
