use super::*;

#[test]
fn u16_the_same_failure_is_told_ever_more_rarely() {
    let mut failures = Failures::default();
    let told: Vec<_> = (0..100).filter_map(|_| failures.count("no answer")).collect();
    assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
    assert_eq!(failures.count("refused"), Some(1));
    assert_eq!(failures.count("no answer"), Some(1), "news is told at once");
    assert_eq!(failures.count("no answer"), Some(2));
    assert_eq!(failures.count("no answer"), None);
}
