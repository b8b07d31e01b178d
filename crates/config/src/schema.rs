//! How a piece of a document becomes a value: one declaration per section gives the type, its parser, its rendering
//! and its JSON Schema, so that they cannot drift apart.

mod collections;
mod json_schema;

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Report, quoted};
use crate::document::{Content, Node};
use crate::foreign;
use crate::nearest::{nearest, nearest_within};
use crate::value::InvalidValue;

pub use collections::OneOrMany;
pub use json_schema::json_schema;

/// Sections by name, as `$defs` of the JSON Schema holds them.
pub(crate) type Definitions = Map<String, Json>;

/// What can stand in a document.
pub(crate) trait Element: Sized {
    /// The value of `node`. Reports every mistake below it; `None` says that at least one was reported.
    fn parse(node: &Node, report: &mut Report) -> Option<Self>;

    /// What [`Element::parse`] reads back as the same value. Keys at their defaults are left out.
    fn to_json(&self) -> Json;

    /// What the JSON Schema says; sections add themselves to `definitions`.
    fn schema(definitions: &mut Definitions) -> Json;
}

/// A value written as one word.
pub(crate) trait Scalar: Sized {
    /// What the text says, or why it says nothing.
    fn from_text(text: &str) -> Result<Self, InvalidValue>;

    fn to_json(&self) -> Json;

    fn schema() -> Json;
}

impl<T: Scalar> Element for T {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let text = match &node.content {
            Content::Scalar(text) => text.trim_end_matches('\n'),
            Content::Null => {
                report.error(node.span, "the value is missing", "write a value, or remove the key");
                return None;
            }
            _ => {
                let message = format!("expected a single value, found {}", node.kind());
                let hint = "write one word, without `-`, `[` or `key:`; a value that has them stands in quotes, as \"[::]:2222\"";
                report.error(node.span, message, hint);
                return None;
            }
        };
        let parsed = match text.chars().find(|c| c.is_control()) {
            Some(_) => Err(InvalidValue::new(
                format!("{} contains a control character", quoted(text)),
                "write it in one line of plain text",
            )),
            None => T::from_text(text),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(InvalidValue { message, hint }) => {
                let hint = invisible(text).unwrap_or(hint);
                report.error(node.span, message, hint);
                None
            }
        }
    }

    fn to_json(&self) -> Json {
        Scalar::to_json(self)
    }

    fn schema(_: &mut Definitions) -> Json {
        T::schema()
    }
}

/// The keys of one section while they are taken out of a mapping.
pub(crate) struct Fields<'a> {
    node: &'a Node,
}

impl<'a> Fields<'a> {
    /// The mapping behind `node`; keys that are not `known` are reported.
    pub(crate) fn open(node: &'a Node, known: &[&str], report: &mut Report) -> Option<Self> {
        match &node.content {
            Content::Map(entries) => {
                for (key, value) in entries {
                    let name = key.text().unwrap_or_default();
                    if !known.contains(&name) {
                        report.error_with(key.span, format!("unknown key {}", quoted(name)), || {
                            suggestion(name, value, known)
                        });
                    }
                }
            }
            // `server:` with nothing below it is a section in which everything has its default.
            Content::Null => {}
            _ => {
                let message = format!("expected a mapping of keys, found {}", node.kind());
                let hint = match node.text().and_then(|text| text.split_once(':')) {
                    Some((key, value)) if known.contains(&key) => {
                        format!("write a blank behind the colon: `{key}: {}`", value.trim())
                    }
                    _ => format!("it may hold: {}", known.join(", ")),
                };
                report.error(node.span, message, hint);
                return None;
            }
        }
        Some(Self { node })
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional<T: Element>(&self, key: &str, report: &mut Report) -> Option<T> {
        T::parse(self.node.value(key)?, report)
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T: Element>(&self, key: &str, report: &mut Report) -> Option<T> {
        match self.node.value(key) {
            Some(node) => T::parse(node, report),
            None => {
                missing(self.node, key, "", report);
                None
            }
        }
    }
}

/// Reports that `key` is missing in `node`, unless it is there misspelt, or the document was cut before it could come.
pub(crate) fn missing(node: &Node, key: &str, hint: &str, report: &mut Report) {
    if !report.is_truncated() && !is_misspelt(node, key) {
        let hint = if hint.is_empty() { format!("add `{key}: ...`") } else { hint.to_owned() };
        report.error(node.name, format!("the key `{key}` is missing"), hint);
    }
}

/// Whether another key of `node` was probably meant to be `key`; that one is reported where it stands.
pub(crate) fn is_misspelt(node: &Node, key: &str) -> bool {
    let mut names = node.entries().iter().filter_map(|(name, _)| name.text());
    names.any(|name| name != key && nearest(name, [key]).is_some())
}

fn suggestion(name: &str, value: &Node, known: &[&str]) -> String {
    if name == "<<" {
        return "merge keys are no part of YAML 1.2; write the keys out".to_owned();
    }
    if let Some(hint) = invisible(name) {
        return hint;
    }
    if let Some((key, value)) = name.split_once(':').filter(|(key, _)| known.contains(key)) {
        return format!("write a blank behind the colon: `{key}: {}`", value.trim());
    }
    if let Some(known) = nearest_within(1, name, known.iter().copied()) {
        return format!("did you mean `{known}`?");
    }
    let replacement = foreign::replacement(name, value, known);
    replacement.unwrap_or_else(|| match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("known keys here: {}", known.join(", ")),
    })
}

/// What to do about a character that cannot be seen, if there is one.
pub(crate) fn invisible(text: &str) -> Option<String> {
    let character = text.chars().find(|c| is_invisible(*c))?;
    Some(format!(
        "there is an invisible character (U+{:04X}) in it; type the blanks anew",
        u32::from(character)
    ))
}

/// What looks like nothing, or like a blank, and is none.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{a0}' | '\u{ad}' | '\u{1680}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}')
}

/// The entry of a section in the JSON Schema.
pub(crate) struct Property {
    pub(crate) key: &'static str,
    pub(crate) about: &'static str,
    pub(crate) schema: Json,
    /// Null when there is no default or the key is required.
    pub(crate) default: Json,
    pub(crate) required: bool,
}

/// Puts a section into `definitions` and returns the reference to it.
pub(crate) fn define(
    name: &'static str,
    about: &'static str,
    definitions: &mut Definitions,
    properties: impl FnOnce(&mut Definitions) -> Vec<Property>,
) -> Json {
    if !definitions.contains_key(name) {
        // Stands in for the section while its properties are described, should one of them refer to it.
        definitions.insert(name.to_owned(), Json::Null);
        let properties = properties(definitions);
        definitions.insert(name.to_owned(), json_schema::object(about, properties));
    }
    serde_json::json!({ "$ref": format!("#/$defs/{name}") })
}

/// Declares a section: a struct with public fields, `new` from its required fields, and its [`Element`].
///
/// A doc comment is the documentation of the field and its description in the JSON Schema. The value after `=` is
/// the default of a key that is left out.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $( required { $( $(#[doc = $rdoc:literal])* $rkey:literal => $rfield:ident: $rtype:ty, )* } )?
            $( $(#[doc = $odoc:literal])* $okey:literal => $ofield:ident: $otype:ty = $default:expr, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name {
            $($( $(#[doc = $rdoc])* pub $rfield: $rtype, )*)?
            $( $(#[doc = $odoc])* pub $ofield: $otype, )*
        }

        impl $name {
            /// Every key that may be left out at its default.
            #[must_use]
            $vis fn new($($($rfield: $rtype),*)?) -> Self {
                Self { $($($rfield,)*)? $($ofield: $default,)* }
            }
        }

        impl $crate::schema::Element for $name {
            fn parse(
                node: &$crate::document::Node,
                report: &mut $crate::diagnostic::Report,
            ) -> Option<Self> {
                let fields = $crate::schema::Fields::open(node, &[$($($rkey,)*)? $($okey,)*], report)?;
                $($( let $rfield = fields.required($rkey, report); )*)?
                $( let $ofield = fields.optional($okey, report); )*
                Some(Self {
                    $($($rfield: $rfield?,)*)?
                    $($ofield: $ofield.unwrap_or_else(|| $default),)*
                })
            }

            fn to_json(&self) -> serde_json::Value {
                let mut keys = serde_json::Map::new();
                $($( keys.insert($rkey.to_owned(), $crate::schema::Element::to_json(&self.$rfield)); )*)?
                $(
                    let default: $otype = $default;
                    if self.$ofield != default {
                        keys.insert($okey.to_owned(), $crate::schema::Element::to_json(&self.$ofield));
                    }
                )*
                serde_json::Value::Object(keys)
            }

            fn schema(definitions: &mut $crate::schema::Definitions) -> serde_json::Value {
                $crate::schema::define(stringify!($name), concat!($($about,)*), definitions, |definitions| vec![
                    $($( $crate::schema::Property {
                        key: $rkey,
                        about: concat!($($rdoc,)*),
                        schema: <$rtype as $crate::schema::Element>::schema(definitions),
                        default: serde_json::Value::Null,
                        required: true,
                    }, )*)?
                    $( $crate::schema::Property {
                        key: $okey,
                        about: concat!($($odoc,)*),
                        schema: <$otype as $crate::schema::Element>::schema(definitions),
                        default: { let value: $otype = $default; $crate::schema::Element::to_json(&value) },
                        required: false,
                    }, )*
                ])
            }
        }
    };
}
pub(crate) use section;

/// For sections without a required field.
macro_rules! default_is_new {
    ($($section:ty),*) => { $(
        impl Default for $section {
            fn default() -> Self {
                Self::new()
            }
        }
    )* };
}
pub(crate) use default_is_new;

#[cfg(test)]
mod tests;
