use super::*;

#[test]
fn reads_a_line_with_a_difficult_name() {
    let line = "4711 (sshd: x) (y) S 12 4711 4711 0 -1 4194560 1 2 3 4 250 750 9 9 20 0 1 0 100 1 1\n";
    assert_eq!(Stat::parse(line), Some(Stat { parent: 12, ticks: 1000 }));
}

#[test]
fn refuses_what_is_no_such_line() {
    assert_eq!(Stat::parse(""), None);
    assert_eq!(Stat::parse("1 (init) S 0 1"), None);
}

#[test]
fn finds_this_process_among_its_own() {
    assert!(family(std::process::id()).contains(&std::process::id()));
    assert!(peak(&[std::process::id()]) > 0.0);
}
