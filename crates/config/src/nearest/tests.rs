use super::*;

const KEYS: [&str; 5] = ["bridge", "mtu", "macaddress", "identity-file", "to"];

#[test]
fn a_slip_finds_its_word() {
    for (slip, word) in [
        ("brige", "bridge"),
        ("birdge", "bridge"),
        ("mut", "mtu"),
        ("mac-address", "macaddress"),
        ("identity_file", "identity-file"),
        ("IdentityFile", "identity-file"),
        ("too", "to"),
    ] {
        assert_eq!(nearest(slip, KEYS), Some(word), "{slip}");
    }
}

#[test]
fn far_words_suggest_nothing() {
    for word in ["", "x", "stp", "hostname", "ü", &"bridge".repeat(20)] {
        assert_eq!(nearest(word, ["bridge", "macaddress"]), None, "{word}");
    }
}

#[test]
fn distance_counts_edits() {
    let count = |a: &str, b: &str| distance(&folded(a), &folded(b));
    assert_eq!(count("", ""), 0);
    assert_eq!(count("", "abc"), 3);
    assert_eq!(count("abc", ""), 3);
    assert_eq!(count("ca", "abc"), 3);
    assert_eq!(count("ab", "ba"), 1);
    assert_eq!(count("kitten", "sitting"), 3);
}
