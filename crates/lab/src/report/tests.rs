use std::collections::BTreeMap;

use super::{Event, Report, TextReport};
use crate::outcome::{CheckResult, Figures, Outcome, Verdict};

fn check(name: Option<&str>, verdict: Verdict) -> CheckResult {
    CheckResult {
        name: name.map(str::to_owned),
        probe: "ping".to_owned(),
        from: "leipzig".to_owned(),
        target: "10.77.0.1".to_owned(),
        seconds: 0.5,
        verdict,
    }
}

fn passed() -> Verdict {
    Verdict::Passed { figures: Figures::RoundTrip { rtt_ms: 0.214 } }
}

fn failed() -> Verdict {
    Verdict::Failed { reason: "no answer in 10 s".to_owned() }
}

fn text(events: &[Event], colour: bool) -> String {
    let mut out = Vec::new();
    let mut report = TextReport::new(&mut out, colour);
    events.iter().for_each(|event| report.event(event));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_run_reads_well() {
    let logs = BTreeMap::from([("berlin".to_owned(), vec!["listening".to_owned()])]);
    let checks = vec![check(None, passed()), check(Some("IPv4"), failed())];
    let outcome = Outcome { checks: checks.clone(), logs, warnings: vec!["late".to_owned()] };
    let mut events = vec![Event::Starting { hosts: 2, networks: 1 }];
    events.extend(checks.into_iter().map(Event::Checked));
    events.push(Event::Finished(outcome));
    let way = "leipzig -> 10.77.0.1                ";
    let expected = [
        "starting 2 hosts, 1 network".to_owned(),
        format!("ok   {way}  ping        rtt 0.21 ms"),
        format!("FAIL {way}  ping  (IPv4): no answer in 10 s"),
        "last lines of berlin's log:".to_owned(),
        "  listening".to_owned(),
        "warning: late".to_owned(),
        "1 of 2 checks failed".to_owned(),
    ];
    assert_eq!(text(&events, false), expected.join("\n") + "\n");
}

#[test]
fn the_last_line_counts() {
    let finished = |verdicts: &[Verdict]| {
        let checks = verdicts.iter().map(|verdict| check(None, verdict.clone())).collect();
        text(&[Event::Finished(Outcome { checks, ..Outcome::default() })], false)
    };
    assert_eq!(finished(&[passed(), passed()]), "2 checks passed\n");
    assert_eq!(finished(&[passed()]), "1 check passed\n");
    assert_eq!(finished(&[failed()]), "1 of 1 check failed\n");
}

#[test]
fn colour_only_when_asked_for() {
    let event = [Event::Checked(check(None, passed()))];
    assert!(!text(&event, false).contains('\x1b'));
    assert!(text(&event, true).starts_with("\x1b[32mok  \x1b[0m "));
}

#[test]
fn an_outcome_survives_json() {
    let rate = Verdict::Passed { figures: Figures::Rate { bytes: 9, seconds: 2.0, gbit_per_second: 3.5 } };
    let hosts = BTreeMap::from([("berlin".to_owned(), 0.5)]);
    let answers = Verdict::Passed { figures: Figures::Answers { rtt_ms_by_host: hosts } };
    let checks = [passed(), failed(), rate, answers].map(|verdict| check(None, verdict)).to_vec();
    let outcome = Outcome { checks, ..Outcome::default() };
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["checks"][0]["result"], "passed");
    assert_eq!(json["checks"][0]["figures"]["rtt-ms"], 0.214);
    assert_eq!(json["checks"][1]["reason"], "no answer in 10 s");
    assert_eq!(json["checks"][2]["figures"]["gbit-per-second"], 3.5);
    assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
}
