use std::path::PathBuf;
use std::{env, fs};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value as Json;

use super::*;
use crate::diagnostic::Span;
use crate::document::read;

fn deployed(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

/// Every section with its keys, read from the schema.
fn sections() -> Vec<(String, Vec<String>)> {
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let keys =
        |section: &Json| section["properties"].as_object().expect("properties").keys().cloned().collect();
    definitions.iter().map(|(name, section)| (name.clone(), keys(section))).collect()
}

#[test]
fn the_deployed_schema_is_current() {
    let file = deployed("tapline.schema.json");
    let current = json_schema();
    if env::var_os("TAPLINE_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&current).expect("JSON") + "\n";
        fs::write(&file, text).expect("written");
    }
    let text = fs::read_to_string(&file).expect("deploy/tapline.schema.json");
    let deployed: Json = serde_json::from_str(&text).expect("JSON");
    assert!(deployed == current, "deploy/tapline.schema.json is stale; run this test with TAPLINE_UPDATE=1");
}

#[test]
fn every_key_is_described() {
    for (name, section) in json_schema()["$defs"].as_object().expect("definitions") {
        assert!(section["description"].as_str().is_some_and(|about| !about.is_empty()), "{name}");
        for (key, property) in section["properties"].as_object().expect("properties") {
            assert!(
                property["description"].as_str().is_some_and(|about| about.ends_with('.')),
                "{name}.{key}"
            );
        }
    }
}

/// Whether `schema` has room for `node`; patterns aside, which no crate here evaluates.
fn admits(schema: &Json, node: &Node, root: &Json) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).expect("a definition");
        return admits(target, node, root);
    }
    if let Some(choices) = schema["anyOf"].as_array().filter(|_| schema["type"].is_null()) {
        return choices.iter().any(|choice| admits(choice, node, root));
    }
    let word = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    if let Some(words) = schema["enum"].as_array() {
        return node.text().is_some_and(|text| words.iter().any(|value| word(value) == text));
    }
    if !schema["const"].is_null() {
        return node.text() == Some(&*word(&schema["const"]));
    }
    let is = |kind: &str| {
        schema["type"] == kind || schema["type"].as_array().is_some_and(|t| t.contains(&kind.into()))
    };
    match &node.content {
        Content::Null => is("null"),
        Content::List(items) => is("array") && items.iter().all(|item| admits(&schema["items"], item, root)),
        Content::Scalar(text) => {
            let number = text.parse::<u64>().ok().filter(|_| is("integer"));
            let fits = |number: u64| {
                schema["minimum"].as_u64().is_none_or(|least| number >= least)
                    && schema["maximum"].as_u64().is_none_or(|most| number <= most)
            };
            is("string") || number.is_some_and(fits)
        }
        Content::Map(entries) => {
            let has = |key: &Json| entries.iter().any(|(name, _)| name.text() == key.as_str());
            let fits = |(name, value): &(Node, Node)| {
                let property = &schema["properties"][name.text().unwrap_or_default()];
                let schema = if property.is_null() { &schema["additionalProperties"] } else { property };
                schema.is_object() && admits(schema, value, root)
            };
            is("object")
                && schema["required"].as_array().is_none_or(|keys| keys.iter().all(has))
                && entries.iter().all(fits)
        }
    }
}

#[test]
fn the_schema_admits_what_the_parser_does() {
    let schema = json_schema();
    let lab = serde_json::json!({ "$ref": "#/$defs/Lab" });
    for (file, start) in [
        ("tapline.yaml", &schema),
        ("examples/site-to-site-berlin.yaml", &schema),
        ("examples/site-to-site-leipzig.yaml", &schema),
        ("examples/two-sites.yaml", &lab),
    ] {
        let text = fs::read_to_string(deployed(file)).expect(file);
        let root = read(&text, &mut Report::default()).expect(file);
        assert!(admits(start, &root, &schema), "{file}");
    }
    let root = read("links: {a: {host: b, mut: 1}}", &mut Report::default()).expect("a document");
    assert!(!admits(&schema, &root, &schema));
}

fn every_key_below(node: &Node, keys: &mut Vec<String>) {
    keys.extend(node.entries().iter().filter_map(|(name, _)| name.text().map(ToOwned::to_owned)));
    node.entries()
        .iter()
        .map(|(_, value)| value)
        .chain(node.items())
        .for_each(|below| every_key_below(below, keys));
}

/// The sample is exhaustive: it has every key of a configuration.
#[test]
fn the_sample_has_every_key() {
    let text = fs::read_to_string(deployed("tapline.yaml")).expect("the sample");
    let mut written = Vec::new();
    every_key_below(&read(&text, &mut Report::default()).expect("a document"), &mut written);
    let lab_only = ["Lab", "Network", "Host", "Attachment", "CheckKeys"];
    for (section, keys) in sections().into_iter().filter(|(name, _)| !lab_only.contains(&name.as_str())) {
        let missing: Vec<_> = keys.iter().filter(|key| !written.contains(key)).collect();
        assert!(missing.is_empty(), "{section}: {missing:?}");
    }
}

fn hints(section: &str, keys: &[String]) -> Vec<String> {
    let known: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut report = Report::default();
    let root = read(section, &mut report).expect("a document");
    Fields::open(&root, &known, &mut report);
    report.into_diagnostics("f", section).iter().filter_map(|d| d.hint.clone()).collect()
}

#[test]
fn an_unknown_key_without_a_neighbour_names_them_all() {
    let keys = ["to".to_owned(), "via".to_owned()];
    assert_eq!(hints("colour: 1", &keys), ["known keys here: to, via"]);
    assert_eq!(hints("<<: 1", &keys), ["merge keys are no part of YAML 1.2; write the keys out"]);
    assert_eq!(hints("[]", &keys), ["it may hold: to, via"]);
}

#[test]
fn missing_keys_are_told_at_the_name_of_their_section() {
    let mut report = Report::default();
    let root = read("berlin:\n  mtu: 1500\n", &mut report).expect("a document");
    missing(root.value("berlin").expect("a section"), "host", "", &mut report);
    let found = report.into_diagnostics("f", "berlin:\n  mtu: 1500\n");
    let at = found.iter().map(|d| Span { line: d.line, column: d.column, width: d.width }).next();
    assert_eq!(at, Some(Span { line: 1, column: 1, width: 6 }));
}

/// One slip of the fingers: a letter left out, put in, replaced, or swapped with its neighbour.
fn slip(key: &str, kind: u8, at: Index, letter: char) -> String {
    let mut letters: Vec<char> = key.chars().collect();
    let at = at.index(letters.len());
    match kind {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letter),
        2 => letters[at] = letter,
        _ => letters.swap(at, (at + 1) % key.len().max(1)),
    }
    letters.into_iter().collect()
}

proptest! {
    #[test]
    fn a_slip_in_any_key_gets_a_suggestion(
        (keys, key) in select(sections()).prop_flat_map(|(_, keys)| (Just(keys.clone()), select(keys))),
        kind in 0u8..4,
        at in any::<Index>(),
        letter in "[a-z]",
    ) {
        let typed = slip(&key, kind, at, letter.chars().next().unwrap_or('x'));
        // Swapping the ends of a word is two slips, and some slips hit another key or nothing.
        prop_assume!(!typed.is_empty() && !keys.contains(&typed));
        prop_assume!(kind < 3 || nearest(&typed, [key.as_str()]).is_some());
        let hints = hints(&format!("\"{typed}\": x"), &keys);
        prop_assert!(hints.len() == 1 && hints[0].starts_with("did you mean `"), "{typed}: {hints:?}");
    }
}
