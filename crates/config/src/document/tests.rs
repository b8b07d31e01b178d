use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Node {
    let mut report = Report::default();
    let root = read(text, &mut report);
    assert!(report.is_empty(), "{}", report.into_diagnostics("f", text));
    root.expect("a document")
}

/// The mistakes in `text`, as `line:column: message`.
fn mistakes(text: &str) -> Vec<String> {
    let mut report = Report::default();
    read(text, &mut report);
    report
        .into_diagnostics("f", text)
        .iter()
        .map(|d| format!("{}:{}: {}", d.line, d.column, d.message))
        .collect()
}

#[test]
fn every_piece_knows_its_place() {
    let root = tree("links:\n  berlin: {mtu: 1500, \"user\": 'root'}\n  ümläut: [a,\n    b]\n");
    let links = root.value("links").unwrap();
    let berlin = links.value("berlin").unwrap();
    assert_eq!(berlin.name, Span { line: 2, column: 3, width: 6 });
    assert_eq!(berlin.value("mtu").unwrap().span, Span { line: 2, column: 17, width: 4 });
    assert_eq!(berlin.value("user").unwrap().span, Span { line: 2, column: 31, width: 6 });
    let [_, item] = links.value("ümläut").unwrap().items() else { panic!("two items") };
    assert_eq!((item.span, item.text()), (Span { line: 4, column: 5, width: 1 }, Some("b")));
}

#[test]
fn nothing_is_not_text() {
    let root = tree("a:\nb: ~\nc: null\nd: 'null'\ne: \"\"\n");
    for key in ["a", "b", "c"] {
        assert!(matches!(root.value(key).unwrap().content, Content::Null), "{key}");
    }
    assert_eq!(root.value("a").unwrap().span, Span { line: 1, column: 1, width: 1 });
    assert_eq!(root.value("d").unwrap().text(), Some("null"));
    assert_eq!(root.value("e").unwrap().text(), Some(""));
}

#[test]
fn an_alias_stands_for_what_it_names() {
    let root = tree("a: &x {mtu: 1}\nb: *x\n");
    assert_eq!(root.value("b").unwrap().value("mtu").unwrap().text(), Some("1"));
}

#[test]
fn empty_documents_have_no_tree() {
    for text in ["", "\n", "# only a comment\n", "\u{feff}"] {
        assert!(read(text, &mut Report::default()).is_none(), "{text:?}");
    }
}

#[test]
fn mistakes_of_yaml_have_their_place() {
    for (text, expected) in [
        ("a: 1\na: 2\n", "2:1: duplicate key `a`, first on line 1"),
        ("{a: 1, 'a': 2}", "1:8: duplicate key `a`, first on line 1"),
        ("[x]: 1\n", "1:1: a key must be a word, not a list"),
        ("a: !!str 1\n", "1:10: YAML tags have no meaning here"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document starts here"),
        ("a: &x [*x]\n", "1:8: this alias stands inside what it names"),
        ("a: *x\n", "1:4: not valid YAML: while parsing node, found unknown anchor"),
        ("a: 1\n\tb: 2\n", "2:1: not valid YAML: while scanning a plain scalar, found a tab"),
        ("a: \"open\n", "1:4: not valid YAML: unclosed quote"),
        ("a: b: c\n", "1:5: not valid YAML: mapping values are not allowed in this context"),
    ] {
        assert_eq!(mistakes(text), [expected], "{text:?}");
    }
}

#[test]
fn what_stands_before_a_syntax_error_is_kept() {
    let mut report = Report::default();
    let root = read("links:\n  berlin:\n    mtu: big\n  munich: [1, 2\n", &mut report).expect("a part");
    assert!(report.is_truncated());
    assert_eq!(
        root.value("links").unwrap().value("berlin").unwrap().value("mtu").unwrap().text(),
        Some("big")
    );
}

#[test]
fn a_document_cannot_grow_without_bound() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(mistakes(&bomb)[0].contains("too large or too deep"));

    let mut ladder = String::from("a0: &a0 [x]\n");
    for level in 1..1000 {
        ladder.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(mistakes(&ladder)[0].contains("too large or too deep"));

    let long = format!("[{}x]", "x,".repeat(MAX_ENTRIES));
    assert_eq!(mistakes(&long), [format!("1:{}: more than 4096 entries in one place", 2 * MAX_ENTRIES + 2)]);
    let wide: String = (0..=MAX_ENTRIES).map(|key| format!("k{key}: x\n")).collect();
    assert_eq!(mistakes(&wide), ["4097:1: more than 4096 entries in one place"]);

    for deep in ["[".repeat(100_000), "{a: ".repeat(10_000), "- ".repeat(10_000)] {
        assert_eq!(mistakes(&deep).len(), 1);
    }
    assert!(mistakes(&"x".repeat(MAX_BYTES + 1))[0].contains("more than the 1048576 allowed"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s)[-a-c:,\\[\\]{}&*!#'\"|> \n\t%?~.0]{0,200}") {
        read(&text, &mut Report::default());
    }

    #[test]
    fn any_characters_are_read_or_refused(text in "(?s).{0,100}") {
        let mut report = Report::default();
        let is_read = read(&text, &mut report).is_some();
        prop_assert!(is_read || report.is_truncated() || report.is_empty());
    }
}
