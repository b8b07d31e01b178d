use proptest::prelude::*;

use super::matches;

fn matches_host_list(host: &str, list: &str) -> bool {
    let list: Vec<String> = list.to_ascii_lowercase().split(',').map(str::to_owned).collect();
    super::matches_host_list(&[host.to_owned()], &list)
}

#[test]
fn wildcards() {
    for (text, pattern, expected) in [
        ("", "", true),
        ("", "*", true),
        ("a", "", false),
        ("berlin", "b*n", true),
        ("berlin", "b?rl?n", true),
        ("berlin", "b?n", false),
        ("berlin", "*", true),
        ("berlin", "**", true),
        ("berlin", "*li*in", false),
        ("berlin", "*r*l*n", true),
        ("aaab", "*aab", true),
        ("192.0.2.17", "192.0.2.*", true),
        ("[host]:2222", "[host]:*", true),
        ("é", "?", false),
        ("é", "??", true),
    ] {
        assert_eq!(matches(text, pattern), expected, "{text} against {pattern}");
    }
}

#[test]
fn negation_wins_wherever_it_stands() {
    assert!(matches_host_list("a.example.org", "*.example.org,!b.example.org"));
    assert!(!matches_host_list("b.example.org", "*.example.org,!b.example.org"));
    assert!(!matches_host_list("b.example.org", "!b.example.org,*.example.org"));
    assert!(!matches_host_list("c.example.net", "!b.example.org"));
    assert!(matches_host_list("A.Example.ORG", "a.EXAMPLE.org"));
}

#[test]
fn many_stars_take_no_exponential_time() {
    let text = "a".repeat(5000);
    let pattern = "*a".repeat(500) + "b";
    assert!(!matches(&text, &pattern));
}

/// The definition itself, for short texts.
fn by_definition(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|taken| by_definition(&text[taken..], rest)),
        (Some((b'?', rest)), Some((_, after))) => by_definition(after, rest),
        (Some((wanted, rest)), Some((character, after))) => wanted == character && by_definition(after, rest),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(text in "[abé]{0,8}", pattern in "[abé*?]{0,6}") {
        prop_assert_eq!(matches(&text, &pattern), by_definition(text.as_bytes(), pattern.as_bytes()));
    }
}
