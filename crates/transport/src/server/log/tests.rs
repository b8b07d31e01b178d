#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use super::*;

fn source(number: u32) -> Subject {
    let [_, a, b, c] = number.to_be_bytes();
    Subject::Source(Source::host(SocketAddr::from(([10, a, b, c], 1))))
}

fn key(name: &str) -> Subject {
    Subject::Key(name.to_owned())
}

/// How many of `count` lines pass.
fn passed(ledger: &mut Ledger, now: Instant, about: &Subject, count: u32) -> u32 {
    (0..count).map(|_| u32::from(ledger.line(now, about).0)).sum()
}

#[test]
fn a_peer_cannot_forge_lines() {
    assert_eq!(printable("root\nAccepted"), "root\u{fffd}Accepted");
    assert_eq!(printable("\u{1b}[31mred"), "\u{fffd}[31mred");
    assert_eq!(printable("ünïcode ok"), "ünïcode ok");
    assert_eq!(printable(&"x".repeat(1000)).chars().count(), 101);
}

#[test]
fn t12_one_source_leaves_the_lines_of_another() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    assert_eq!(passed(&mut ledger, now, &source(1), 10_000), SOURCE_LINES);
    assert_eq!(passed(&mut ledger, now, &source(2), 1), 1);
    assert_eq!(passed(&mut ledger, now, &key("a"), 10_000), KEY_LINES);
    assert_eq!(passed(&mut ledger, now, &key("b"), 1), 1);
}

#[test]
fn t12_what_was_left_out_is_said_once_when_the_period_is_over() {
    let mut ledger = Ledger::default();
    let start = Instant::now();
    passed(&mut ledger, start, &source(1), SOURCE_LINES + 70);
    passed(&mut ledger, start, &source(2), SOURCE_LINES);
    assert_eq!(ledger.due(start + PERIOD - Duration::from_millis(1)), []);
    assert_eq!(ledger.due(start + PERIOD), [Summary { about: source(1), left_out: 70 }]);
    assert_eq!(ledger.due(start + 2 * PERIOD), []);
    assert!(ledger.accounts.is_empty());
}

#[test]
fn t12_the_next_line_brings_the_sum_with_it() {
    let mut ledger = Ledger::default();
    let start = Instant::now();
    passed(&mut ledger, start, &source(1), SOURCE_LINES + 1);
    let (passes, summaries) = ledger.line(start + PERIOD, &source(1));
    assert!(passes);
    assert_eq!(summaries, [Summary { about: source(1), left_out: 1 }]);
}

#[test]
fn t12_sources_without_number_share_one_budget() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    let first = passed(&mut ledger, now, &source(0), 1);
    let all: u32 = (1..100_000).map(|number| passed(&mut ledger, now, &source(number), 1)).sum();
    assert_eq!(first + all, MAX_SUBJECTS as u32 + KEY_LINES);
    assert!(ledger.accounts.len() <= MAX_SUBJECTS + 1);
    // Who was there before keeps its own.
    assert_eq!(passed(&mut ledger, now, &source(0), 100), SOURCE_LINES - 1);
    // And when the period is over there is room again.
    assert_eq!(passed(&mut ledger, now + PERIOD, &source(200_000), 100), SOURCE_LINES);
    let others = ledger.due(now + 2 * PERIOD);
    assert!(ledger.accounts.is_empty(), "{others:?}");
}

#[test]
fn t12_a_sum_names_its_source() {
    let said = Summary { about: source(1), left_out: 70 }.to_string();
    assert_eq!(said, "70 more lines of the last 10s left out, about connections from 10.0.0.1");
    assert!(Summary { about: key("SHA256:x"), left_out: 1 }.to_string().contains("SHA256:x"));
}
