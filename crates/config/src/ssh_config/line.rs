//! Lines: the keyword and its arguments.

use std::borrow::Cow;

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) keyword: Cow<'a, str>,
    /// The rest as it stands, without surrounding blanks: for values that are a command.
    pub(super) rest: &'a str,
}

impl<'a> Line<'a> {
    /// `Keyword value`, `Keyword=value` or `Keyword = value`; nothing for blank lines and comments. The keyword may
    /// stand in double quotes.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // What follows a NUL is no part of the line for ssh.
        let text = text.split('\0').next().unwrap_or_default();
        let text = text.trim_end_matches(|c| is_blank(c) || c == '\x0c').trim_start_matches(is_blank);
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let (before, after) = match text.find(|c| is_blank(c) || c == '=' || c == '"') {
            Some(end) => text.split_at_checked(end)?,
            None => (text, ""),
        };
        if let Some((quoted, rest)) = after.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            return Some(Self {
                keyword: Cow::Owned(format!("{before}{quoted}")),
                rest: rest.trim_matches(is_blank),
            });
        }
        let rest = after.trim_start_matches(is_blank);
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        Some(Self { keyword: Cow::Borrowed(before), rest: rest.trim_matches(is_blank) })
    }
}

/// A quote that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnclosedQuote;

/// Splits arguments at blanks. Single and double quotes keep blanks; a backslash escapes a quote, a backslash and,
/// outside quotes, a blank; `#` at the start of an argument ends the line.
pub(super) fn split_arguments(text: &str) -> Result<Vec<String>, UnclosedQuote> {
    let mut arguments = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match characters.peek() {
            None | Some('#') => return Ok(arguments),
            Some(_) => {}
        }
        let mut argument = String::new();
        let mut quote = None;
        while let Some(character) = characters.next() {
            match (character, quote) {
                ('\\', _) => {
                    let escaped = characters.next_if(|&next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && next == ' ')
                    });
                    argument.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(character),
                (_, Some(open)) if character == open => quote = None,
                _ => argument.push(character),
            }
        }
        if quote.is_some() {
            return Err(UnclosedQuote);
        }
        arguments.push(argument);
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}
