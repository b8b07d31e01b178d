//! Values back into YAML, in the block style that people write.

use serde_json::Value as Json;

/// `value` as a YAML document.
pub(crate) fn document(value: &Json) -> String {
    let mut text = String::new();
    match value {
        Json::Object(keys) if !keys.is_empty() => below(&mut text, value, 0),
        _ => {
            flow(&mut text, value);
            text.push('\n');
        }
    }
    text
}

/// The keys or items of a collection that is not empty, one a line.
fn below(text: &mut String, value: &Json, indent: usize) {
    let margin = " ".repeat(indent);
    match value {
        Json::Object(keys) => {
            for (key, value) in keys {
                text.push_str(&margin);
                word(text, key);
                text.push(':');
                beside(text, value, indent);
            }
        }
        Json::Array(items) => {
            for item in items {
                let start = text.len();
                beside(text, item, indent);
                // The first key of an item stands beside its dash.
                let rest = text.split_off(start);
                text.push_str(&margin);
                text.push_str("- ");
                text.push_str(rest.trim_start());
            }
        }
        _ => {}
    }
}

/// A value behind its key or dash: mappings and lists of them go below, everything else stays in the line.
fn beside(text: &mut String, value: &Json, indent: usize) {
    let goes_below = match value {
        Json::Object(keys) => !keys.is_empty(),
        Json::Array(items) => items.iter().any(Json::is_object),
        _ => false,
    };
    if goes_below {
        text.push('\n');
        below(text, value, indent + 2);
    } else {
        text.push(' ');
        flow(text, value);
        text.push('\n');
    }
}

fn flow(text: &mut String, value: &Json) {
    match value {
        Json::String(string) => word(text, string),
        Json::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                flow(text, item);
            }
            text.push(']');
        }
        // Empty mappings, numbers, booleans and null are the same in JSON and YAML.
        other => text.push_str(&other.to_string()),
    }
}

/// A string without quotes where that is plainly safe, else as a JSON string, which YAML reads the same way.
fn word(text: &mut String, string: &str) {
    let is_plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && string.chars().all(|c| c.is_ascii_alphanumeric() || "-_./@".contains(c))
        && !matches!(
            string.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off"
        );
    if is_plain {
        text.push_str(string);
    } else {
        text.push_str(&Json::from(string).to_string());
    }
}

#[cfg(test)]
mod tests;
