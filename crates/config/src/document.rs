//! A YAML document as a tree that knows where each piece stands.
//!
//! serde stops at the first mistake and knows a position only for some; the events of the parser below serde-saphyr
//! carry a span each, and that is what this tree keeps.

mod syntax;

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use crate::diagnostic::{Report, Span, quoted};

/// Largest document, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and mappings; the schema needs eight.
const MAX_DEPTH: usize = 32;
/// Most pieces of a document once its aliases are written out.
const MAX_NODES: usize = 100_000;
/// Most entries of one list or mapping. They are compared with each other, so that this bounds the work too.
const MAX_ENTRIES: usize = 4096;

/// One piece of the document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// The key whose value this is; where this stands, when it is an item or the document.
    pub(crate) name: Span,
    pub(crate) content: Content,
    /// Pieces below and including this one.
    nodes: usize,
    /// Levels of lists and mappings below and including this one.
    height: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// The text after escapes and folding, whatever its quotes.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file; keys differ from each other.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The value of `key`, when this is a mapping that has it.
    pub(crate) fn value(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Where the last key of a path stands: its value, if that is in one line, or else the key itself.
    pub(crate) fn place(&self, path: &[&str]) -> Span {
        let mut node = self;
        let mut at = self.span;
        for key in path {
            let Some((name, value)) = node.step(key) else { break };
            at = match value.content {
                Content::Scalar(_) => value.span,
                _ => name,
            };
            node = value;
        }
        at
    }

    /// A value within this, and the place of its name.
    pub(crate) fn step(&self, key: &str) -> Option<(Span, &Self)> {
        match &self.content {
            Content::List(items) => items.get(key.parse::<usize>().ok()?).map(|item| (item.span, item)),
            _ => {
                let entry = self.entries().iter().find(|(name, _)| name.text() == Some(key))?;
                Some((entry.0.span, &entry.1))
            }
        }
    }

    /// Keys and values of a mapping; nothing for anything else.
    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; nothing for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// What this is, to tell somebody who wrote it where something else belongs.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

/// Reads a text into its tree and reports what is wrong with it as YAML.
///
/// After a syntax error the tree holds what stood before it, so that the mistakes there can be told in the same run;
/// [`Report::is_truncated`] then holds.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than the {MAX_BYTES} allowed", text.len());
        report.error(START, message, "is this the right file?");
        return None;
    }
    Reader { open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None }.read(text, report)
}

/// Where something stands that is wrong with the file as a whole.
pub(crate) const START: Span = Span { line: 1, column: 1, width: 1 };

/// A list or mapping whose end has not been seen yet.
struct Open {
    span: Span,
    anchor: usize,
    is_map: bool,
    /// Key and value by turns in a mapping.
    children: Vec<Node>,
}

impl Open {
    fn most(&self) -> usize {
        if self.is_map { 2 * MAX_ENTRIES } else { MAX_ENTRIES }
    }
}

struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Reader {
    fn read(mut self, text: &str, report: &mut Report) -> Option<Node> {
        let mut options: Options = granit_parser::options! {
            block_nesting_limit: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        for event in Parser::new_from_str_with_options(text, options) {
            let outcome = match event {
                Ok((event, span)) => self.take(event, located(&span), report),
                Err(error) => {
                    let (at, message, hint) = syntax::explain(&error, text);
                    report.error(at, message, hint);
                    Err(Stop)
                }
            };
            if outcome.is_err() {
                report.truncate();
                break;
            }
        }
        while !self.open.is_empty() && self.close(report).is_ok() {}
        // A document that says nothing is none.
        self.root.filter(|root| !matches!(root.content, Content::Null))
    }

    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Report) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                report.error(span, "a second document starts here", "put everything into one document");
                Err(Stop)
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), span, report);
                let empty =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let content = if empty { Content::Null } else { Content::Scalar(text.into_owned()) };
                self.add(Node { span, name: span, content, nodes: 1, height: 0 }, 1, anchor, report)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), span, report);
                self.open.push(Open { span, anchor, is_map: false, children: Vec::new() });
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), span, report);
                self.open.push(Open { span, anchor, is_map: true, children: Vec::new() });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(report),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    let copied = node.nodes;
                    self.add(node, copied, 0, report)
                }
                None => {
                    report.error(span, "this alias stands inside what it names", "write the value out");
                    self.add(
                        Node { span, name: span, content: Content::Null, nodes: 1, height: 0 },
                        1,
                        0,
                        report,
                    )
                }
            },
            _ => Ok(()),
        }
    }

    fn close(&mut self, report: &mut Report) -> Result<(), Stop> {
        let Some(Open { span, anchor, is_map, children }) = self.open.pop() else { return Ok(()) };
        let nodes = children.iter().fold(1usize, |sum, child| sum.saturating_add(child.nodes));
        let height = children.iter().map(|child| child.height).max().unwrap_or(0).saturating_add(1);
        let content = if is_map { Content::Map(paired(children, report)) } else { Content::List(children) };
        self.add(Node { span, name: span, content, nodes, height }, 1, anchor, report)
    }

    /// Puts a finished piece into its parent; `new` pieces of it have not been counted yet.
    fn add(&mut self, node: Node, new: usize, anchor: usize, report: &mut Report) -> Result<(), Stop> {
        let kept = if anchor == 0 { 0 } else { node.nodes };
        self.nodes = self.nodes.saturating_add(new).saturating_add(kept);
        if self.nodes > MAX_NODES || node.height > MAX_DEPTH {
            report.error(
                node.span,
                "the document is too large or too deep",
                "write it with fewer aliases and levels",
            );
            return Err(Stop);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(parent) if parent.children.len() >= parent.most() => {
                let message = format!("more than {MAX_ENTRIES} entries in one place");
                report.error(node.span, message, "split it");
                return Err(Stop);
            }
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

/// The document cannot be read any further; the report says why.
struct Stop;

fn refuse_tag(tagged: bool, at: Span, report: &mut Report) {
    if tagged {
        report.error(at, "YAML tags have no meaning here", "remove the word that starts with `!`");
    }
}

fn paired(children: Vec<Node>, report: &mut Report) -> Vec<(Node, Node)> {
    let mut first_seen: HashMap<String, usize> = HashMap::new();
    let mut entries = Vec::with_capacity(children.len() / 2);
    let mut children = children.into_iter();
    while let Some(key) = children.next() {
        // A missing value can only be the last one, where a syntax error cut the document.
        let Some(mut value) = children.next() else { break };
        value.name = key.span;
        if matches!(value.content, Content::Null) && value.span.width == 0 {
            value.span = key.span;
        }
        let Some(name) = key.text() else {
            let hint = match key.content {
                Content::List(_) => "put an address in brackets into quotes: \"[::]:2222\"",
                _ => "write `key: value`",
            };
            report.error(key.span, format!("a key must be a word, not {}", key.kind()), hint);
            continue;
        };
        if let Some(line) = first_seen.get(name) {
            let message = format!("duplicate key {}, first on line {line}", quoted(name));
            report.error(key.span, message, "keep one of the two");
            continue;
        }
        first_seen.insert(name.to_owned(), key.span.line);
        entries.push((key, value));
    }
    entries
}

/// The parser counts columns from 0; a span over several lines is shown by its first character.
fn located(span: &granit_parser::Span) -> Span {
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Span { line: start.line().max(1), column: start.col().saturating_add(1), width }
}

#[cfg(test)]
mod tests;
