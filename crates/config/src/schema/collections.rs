//! Lists, mappings by name, and values that may be left out.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value as Json, json};

use super::{Definitions, Element, Scalar};
use crate::diagnostic::Report;
use crate::document::{Content, Node};

impl<T: Element> Element for Option<T> {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        T::parse(node, report).map(Some)
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, Element::to_json)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        T::schema(definitions)
    }
}

impl<T: Element + PartialEq> Element for Vec<T> {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let Content::List(items) = &node.content else {
            let message = format!("expected a list, found {}", node.kind());
            report.error(node.span, message, "write `[a, b]`, or one `- a` a line");
            return None;
        };
        let mut values: Vec<T> = Vec::with_capacity(items.len());
        for item in items {
            if let Some(value) = T::parse(item, report) {
                if values.contains(&value) {
                    report.error(
                        item.span,
                        "the same entry stands in this list twice",
                        "remove one of the two",
                    );
                } else {
                    values.push(value);
                }
            }
        }
        Some(values)
    }

    fn to_json(&self) -> Json {
        self.iter().map(Element::to_json).collect()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "type": "array", "items": T::schema(definitions), "uniqueItems": true })
    }
}

impl<K: Scalar + Ord + fmt::Display, V: Element> Element for BTreeMap<K, V> {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let entries = match &node.content {
            Content::Map(entries) => entries.as_slice(),
            Content::Null => &[],
            _ => {
                let message = format!("expected a mapping of names, found {}", node.kind());
                report.error(node.span, message, "write `name:` and its keys below it, indented");
                return None;
            }
        };
        let mut values = Self::new();
        for (key, value) in entries {
            let key = K::parse(key, report);
            let value = V::parse(value, report);
            if let (Some(key), Some(value)) = (key, value) {
                values.insert(key, value);
            }
        }
        Some(values)
    }

    fn to_json(&self) -> Json {
        Json::Object(self.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect())
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({
            "type": ["object", "null"],
            "propertyNames": K::schema(),
            "additionalProperties": V::schema(definitions),
        })
    }
}

/// One value, or a list of them: OpenSSH lets many options stand once or several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(Vec<T>);

impl<T> OneOrMany<T> {
    /// Nothing: the default of every such key.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T> std::ops::Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Element + PartialEq> Element for OneOrMany<T> {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        match node.content {
            Content::List(_) => Vec::parse(node, report).map(Self),
            _ => T::parse(node, report).map(|value| Self(vec![value])),
        }
    }

    fn to_json(&self) -> Json {
        self.0.to_json()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "anyOf": [T::schema(definitions), Vec::<T>::schema(definitions)] })
    }
}
