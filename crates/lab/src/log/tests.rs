use super::{LONGEST, complaint, tail};

#[test]
fn the_tail_has_no_colours_and_no_empty_lines() {
    let log = "one\n\x1b[31mtwo\x1b[0m\n\n  three\x07 \n";
    assert_eq!(tail(log, 2), ["two", "three"]);
    assert_eq!(tail(log, 9), ["one", "two", "three"]);
    assert_eq!(tail("", 3), [""; 0]);
}

#[test]
fn the_complaint_is_the_last_thing_wrong() {
    assert_eq!(complaint("WARN a\nERROR b\ninfo c\n").as_deref(), Some("ERROR b"));
    assert_eq!(complaint("started\nready\n").as_deref(), Some("ready"));
    assert_eq!(complaint("\n\n"), None);
}

#[test]
fn an_unfinished_escape_and_a_long_line_are_cut() {
    assert_eq!(tail("a\x1b[31", 1), ["a"]);
    assert_eq!(tail("a\x1b", 1), ["a"]);
    let line = tail(&"ä".repeat(1000), 1).remove(0);
    assert_eq!(line.chars().count(), LONGEST + 3);
}
