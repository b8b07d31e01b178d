use super::*;

fn at(line: usize, column: usize, width: usize) -> Span {
    Span { line, column, width }
}

fn rendered(text: &str, span: Span) -> String {
    let mut report = Report::default();
    report.error(span, "wrong", "mend it");
    report.into_diagnostics("lab.yaml", text).to_string()
}

#[test]
fn a_diagnostic_points_at_the_word() {
    let expected = "lab.yaml:2:6: wrong\n  |\n2 | mtu: big\n  |      ^^^\n  = hint: mend it";
    assert_eq!(rendered("a: b\nmtu: big\n", at(2, 6, 3)), expected);
}

#[test]
fn tabs_before_the_word_keep_the_caret_in_place() {
    assert!(rendered("\tmtu: big\n", at(1, 7, 3)).contains("1 | \tmtu: big\n  | \t     ^^^\n"));
}

#[test]
fn a_long_line_is_shown_around_the_word() {
    let line = format!("{}HERE{}", "x".repeat(5000), "y".repeat(5000));
    let text = rendered(&line, at(1, 5001, 4));
    assert!(text.lines().all(|line| line.chars().count() < 160), "{text}");
    let [_, _, shown, caret, _] = text.lines().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(shown.find("HERE"), caret.find("^^^^"));
    assert!(shown.ends_with("y..."), "{shown}");
}

#[test]
fn carets_end_with_the_line() {
    assert!(rendered("abc", at(1, 3, 500)).contains("\n  |   ^\n"));
    assert!(rendered("abc", at(1, 400, 2)).contains('^'));
    assert!(rendered("abc", at(9, 1, 1)).starts_with("lab.yaml:9:1: wrong\n"));
}

#[test]
fn nothing_reaches_the_terminal_that_could_hide_the_text() {
    let mut report = Report::default();
    report.error(at(1, 1, 1), format!("{} is wrong", quoted("\u{1b}[2J\u{202e}")), "");
    let text = report.into_diagnostics("\u{7}.yaml", "\u{1b}[2J\r\u{85}").to_string();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'));
}

#[test]
fn a_quoted_value_is_cut() {
    assert_eq!(quoted("mtu"), "`mtu`");
    assert_eq!(quoted(&"x".repeat(100)), format!("`{}...`", "x".repeat(60)));
}

#[test]
fn the_same_mistake_at_the_same_place_counts_once() {
    let mut report = Report::default();
    report.error(at(1, 1, 1), "wrong", "");
    report.error(at(1, 1, 1), "wrong", "");
    report.error(at(1, 1, 1), "also wrong", "");
    assert_eq!(report.into_diagnostics("f", "x").count(), 2);
}

#[test]
fn diagnostics_are_in_the_order_of_the_file_and_bounded() {
    let text = "x\n".repeat(1000);
    let mut report = Report::default();
    for line in (1..=1000).rev() {
        report.error(at(line, 1, 1), "wrong", "");
    }
    let found = report.into_diagnostics("f", &text);
    assert_eq!((found.iter().len(), found.count()), (KEPT, 1000));
    assert!(found.iter().is_sorted_by_key(|diagnostic| diagnostic.line));
    assert!(found.to_string().ends_with("... and 900 more"));
}
