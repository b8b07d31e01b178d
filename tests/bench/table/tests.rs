use super::*;
use crate::results::Figure;

#[test]
fn a_line_has_the_median_the_spread_and_the_ratios() {
    let mut results = Results::default();
    for value in [9.0, 8.0, 12.5] {
        results.add(Subject::Native, Figure::more("tcp", "Gbit/s"), value);
    }
    results.add(Subject::Stock, Figure::more("tcp", "Gbit/s"), 1.5);
    let table = render(&results);
    let lines: Vec<_> =
        table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["tcp", "[Gbit/s]", "more", "is", "better", "/stock", "/ceiling", "/veth"]);
    assert_eq!(lines[1], ["stock", "1.50", "1.50", "..", "1.50", "1.00", "-", "-"]);
    assert_eq!(lines[2], ["native", "9.00", "8.00", "..", "12.5", "6.00", "-", "-"]);
}

#[test]
fn nothing_is_compared_with_zero() {
    let mut results = Results::default();
    for subject in [Subject::Stock, Subject::Native] {
        results.add(subject, Figure::less("drops", "frames"), 0.0);
    }
    let line = ["native", "0", "0", "..", "0", "-", "-", "-"];
    assert_eq!(render(&results).lines().last().unwrap().split_whitespace().collect::<Vec<_>>(), line);
}
