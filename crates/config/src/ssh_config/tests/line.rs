use proptest::prelude::*;

use crate::ssh_config::line::{Line, UnclosedQuote, split_arguments};

#[test]
fn keywords_and_arguments() {
    let parse = |text| Line::parse(text).map(|line| (line.keyword, line.rest));
    let said = |keyword: &'static str, rest| Some((keyword.into(), rest));
    for text in ["Port 22", "Port=22", "  Port\t=  22 \r", "Port  22\x0c", "Port = 22"] {
        assert_eq!(parse(text), said("Port", "22"), "{text:?}");
    }
    assert_eq!(parse("ProxyCommand==x"), said("ProxyCommand", "=x"));
    assert_eq!(parse("\"Port\" 22"), said("Port", "22"));
    assert_eq!(parse("Port 22\0 33"), said("Port", "22"));
    assert_eq!(parse("User\"a b\""), said("Usera b", ""), "as ssh, to which this is one keyword");
    assert_eq!(parse("Port"), said("Port", ""));
    for text in ["", "   ", "# Port 22", "\t#", "\r"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[test]
fn quotes_escapes_and_comments() {
    let split = |text| split_arguments(text);
    let words = |words: &[&str]| Ok(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    assert_eq!(split("a  b\tc"), words(&["a", "b", "c"]));
    assert_eq!(split(r#""a b" 'c "d' e"f g"h"#), words(&["a b", "c \"d", "ef gh"]));
    assert_eq!(split(r#"a\ b "a\ b" a\"b \\ \x"#), words(&["a b", r"a\ b", "a\"b", "\\", "\\x"]));
    assert_eq!(split("a # b"), words(&["a"]));
    assert_eq!(split("a#b"), words(&["a#b"]));
    assert_eq!(split(r#""" ''"#), words(&["", ""]));
    assert_eq!(split("# a"), words(&[]));
    for open in ["\"a", "a 'b", "a\"", r#""a\""#] {
        assert_eq!(split(open), Err(UnclosedQuote), "{open}");
    }
}

proptest! {
    #[test]
    fn quoted_words_survive(words in prop::collection::vec("[ -~]{0,10}", 0..5)) {
        let quoted: Vec<String> = words
            .iter()
            .map(|word| format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")))
            .collect();
        prop_assert_eq!(split_arguments(&quoted.join(" ")), Ok(words));
    }
}
