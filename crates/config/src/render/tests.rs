use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::diagnostic::Report;
use crate::document::{Content, Node, read};

#[test]
fn yaml_looks_as_people_write_it() {
    let value = serde_json::json!({
        "links": { "berlin": { "mtu": 1500, "routes": [{ "to": "::/0", "via": "fd77::1" }], "addresses": ["fd77::2/64"] } },
        "bridges": {},
    });
    let expected = "bridges: {}\nlinks:\n  berlin:\n    addresses: [\"fd77::2/64\"]\n    mtu: 1500\n    routes:\n      - to: \"::/0\"\n        via: \"fd77::1\"\n";
    assert_eq!(document(&value), expected);
}

/// Any value: words that YAML could take for something else, lists and mappings.
fn any_value() -> impl Strategy<Value = Json> {
    let word =
        prop_oneof!["[ -~äöü]{0,12}", "(null|yes|true|~|-|- a|a: b|#|0x1|1e3|any:any|!x|&a|\\*a|%|@|`)"];
    let leaf = prop_oneof![word.prop_map(Json::from), any::<u32>().prop_map(Json::from)];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::from),
            btree_map("[ -~]{1,8}", inner, 0..5).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn same(node: &Node, value: &Json) -> bool {
    match (value, &node.content) {
        (Json::Object(keys), Content::Map(entries)) => {
            keys.len() == entries.len()
                && keys.iter().all(|(key, value)| node.value(key).is_some_and(|node| same(node, value)))
        }
        (Json::Array(items), Content::List(nodes)) => {
            items.len() == nodes.len() && items.iter().zip(nodes).all(|(value, node)| same(node, value))
        }
        (Json::String(string), Content::Scalar(text)) => string == text,
        (Json::Number(number), Content::Scalar(text)) => text.parse().ok() == number.as_u64(),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_rendered_reads_as_the_same(value in any_value()) {
        let text = document(&value);
        let mut report = Report::default();
        let root = read(&text, &mut report);
        prop_assert!(report.is_empty(), "{text}\n{}", report.into_diagnostics("f", &text));
        prop_assert!(root.is_some_and(|root| same(&root, &value)), "{text}");
    }
}
