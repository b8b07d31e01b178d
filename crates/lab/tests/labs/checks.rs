//! Labs whose checks pass, and labs whose checks do not.

use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;
use tapline_config::Config;
use tapline_lab::{Figures, LabError, Outcome, RunOptions, Verdict};

use crate::{run, run_with, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("two_hosts_reach_each_other", two_hosts_reach_each_other),
        trial("ipv4_addresses_alone_mean_no_ipv6", ipv4_addresses_alone_mean_no_ipv6),
        trial("a_router_forwards", a_router_forwards),
        trial("every_port_hears_multicast", every_port_hears_multicast),
        trial("u7_sixty_four_hosts_answer_a_group", u7_sixty_four_hosts_answer_a_group),
        trial("what_fails_has_a_reason", what_fails_has_a_reason),
        trial("a_daemon_that_ends_is_the_reason", a_daemon_that_ends_is_the_reason),
        trial("a_daemon_that_ends_badly_is_warned_about", a_daemon_that_ends_badly_is_warned_about),
        trial("kept_files_are_private_and_valid", kept_files_are_private_and_valid),
        trial("a_directory_in_use_is_refused", a_directory_in_use_is_refused),
        trial("mistakes_are_shown_with_their_lines", mistakes_are_shown_with_their_lines),
    ]
}

//   left                          right
//   192.0.2.1, 2001:db8::1 --lan-- 192.0.2.2, 2001:db8::2
const TWO_HOSTS: &str = "
networks: {lan: {mtu: 9000}}
hosts:
  left: {interfaces: {lan: {addresses: [192.0.2.1/24, '2001:db8::1/64']}}}
  right: {interfaces: {lan: {addresses: [192.0.2.2/24, '2001:db8::2/64']}}}
";

fn verdicts(outcome: &Outcome) -> Vec<&Verdict> {
    outcome.checks.iter().map(|check| &check.verdict).collect()
}

fn reason(outcome: &Outcome, index: usize) -> &str {
    match &outcome.checks[index].verdict {
        Verdict::Failed { reason } => reason,
        passed @ Verdict::Passed { .. } => panic!("{passed:?}"),
    }
}

fn two_hosts_reach_each_other() {
    let checks = "
checks:
  - {from: left, ping: 192.0.2.2}
  - {from: left, ping: 192.0.2.2%lan}
  - {from: right, ping: '2001:db8::1', count: 100}
  - {from: left, ping: '127.0.0.1'}
  - {from: left, multicast: 'ff02::1%lan', replies-from: [right]}
  - {from: right, multicast: 'ff02::1%lan', replies-from: [left, right]}
  - {from: left, throughput: 192.0.2.2, to: right, seconds: 1}
  - {from: right, throughput: '2001:db8::1', to: left, seconds: 1, name: back}
";
    let outcome = run(&format!("{TWO_HOSTS}{checks}")).unwrap();
    assert!(outcome.passed(), "{outcome:#?}");
    assert_eq!(outcome.warnings, [""; 0]);
    assert_eq!(outcome.checks.len(), 8);
    assert_eq!(outcome.checks[7].name.as_deref(), Some("back"));
    let Verdict::Passed { figures: Figures::Rate { bytes, seconds, .. } } = &outcome.checks[7].verdict else {
        panic!("{outcome:#?}");
    };
    assert!(*bytes > 0 && *seconds > 0.0);
}

fn ipv4_addresses_alone_mean_no_ipv6() {
    let text = "
networks: {lan: {}}
hosts:
  left: {interfaces: {lan: {addresses: [192.0.2.1/24]}}}
  right: {interfaces: {lan: {addresses: [192.0.2.2/24]}}}
checks:
  - {from: left, ping: 192.0.2.2}
  - {from: left, multicast: 'ff02::1%lan', replies-from: [right], within: 1}
";
    let outcome = run(text).unwrap();
    assert!(outcome.checks[0].verdict.passed(), "{outcome:#?}");
    assert!(reason(&outcome, 1).starts_with("no answer from right in 1 s"), "{outcome:#?}");
}

//   left --west-- router --east-- right
fn a_router_forwards() {
    let text = "
networks: {west: {}, east: {}}
hosts:
  left:
    interfaces: {west: {addresses: [192.0.2.2/24, '2001:db8:1::2/64']}}
    routes: [{to: default, via: 192.0.2.1}, {to: '2001:db8::/32', via: '2001:db8:1::1'}]
  router:
    forwarding: true
    interfaces:
      west: {addresses: [192.0.2.1/24, '2001:db8:1::1/64']}
      east: {addresses: [198.51.100.1/24, '2001:db8:2::1/64']}
  right:
    interfaces: {east: {addresses: [198.51.100.2/24, '2001:db8:2::2/64']}}
    routes: [{to: default, via: 198.51.100.1}, {to: default, via: '2001:db8:2::1'}]
checks:
  - {from: left, ping: 198.51.100.2}
  - {from: left, ping: '2001:db8:2::2'}
";
    let outcome = run(text).unwrap();
    assert!(outcome.passed(), "{outcome:#?}");
}

fn u7_sixty_four_hosts_answer_a_group() {
    for count in [8, 64] {
        let names: Vec<String> = (0..count).map(|number| format!("h{number}")).collect();
        let hosts: Vec<String> =
            names.iter().map(|name| format!("{name}: {{interfaces: {{lan: {{}}}}}}")).collect();
        let text = format!(
            "
networks: {{lan: {{}}}}
hosts: {{{}}}
checks: [{{from: h3, multicast: 'ff02::1%lan', replies-from: [{}]}}]
",
            hosts.join(", "),
            names.join(", ")
        );
        let outcome = run(&text).unwrap();
        let Verdict::Passed { figures: Figures::Answers { rtt_ms_by_host } } = verdicts(&outcome)[0] else {
            panic!("{count}: {outcome:#?}");
        };
        assert_eq!(rtt_ms_by_host.len(), count);
    }
}

fn every_port_hears_multicast() {
    let text = "
networks: {lan: {}}
hosts: {a: {interfaces: {lan: {}}}, b: {interfaces: {lan: {}}}, c: {interfaces: {lan: {}}}}
checks: [{from: b, multicast: 'ff02::1%lan', replies-from: [a, c]}]
";
    let outcome = run(text).unwrap();
    let Verdict::Passed { figures: Figures::Answers { rtt_ms_by_host } } = verdicts(&outcome)[0] else {
        panic!("{outcome:#?}");
    };
    assert_eq!(rtt_ms_by_host.keys().collect::<Vec<_>>(), ["a", "c"]);
}

fn what_fails_has_a_reason() {
    let checks = "
checks:
  - {from: left, ping: 192.0.2.77, within: 1}
  - {from: left, ping: 203.0.113.1, within: 1}
  - {from: left, ping: 'fe80::1%tap0', within: 1}
  - {from: left, throughput: 192.0.2.1, to: right, seconds: 1, within: 1}
  - {from: left, multicast: 'ff02::1%lan', replies-from: [left, right]}
";
    let outcome = run(&format!("{TWO_HOSTS}{checks}")).unwrap();
    assert_eq!(outcome.failed(), 4, "{outcome:#?}");
    assert!(reason(&outcome, 0).starts_with("no answer in 1 s"), "{outcome:#?}");
    assert!(reason(&outcome, 1).contains("Network is unreachable"), "{outcome:#?}");
    assert!(reason(&outcome, 2).contains("No such device"), "{outcome:#?}");
    assert!(reason(&outcome, 3).contains("Connection refused"), "{outcome:#?}");
}

/// Two hosts; the stub on the one that connects does what the name of its link says.
fn with_stub(link: &str, check: &str) -> String {
    format!(
        "
networks: {{lan: {{}}}}
hosts:
  left:
    interfaces: {{lan: {{addresses: [192.0.2.1/24]}}}}
    tapline: {{server: {{permit-tunnel: ethernet, accept: {{right: {{}}}}}}}}
  right:
    interfaces: {{lan: {{addresses: [192.0.2.2/24]}}}}
    tapline: {{links: {{{link}: {{host: left, port: 2222}}}}}}
checks: [{check}]
"
    )
}

fn a_daemon_that_ends_is_the_reason() {
    let outcome = run(&with_stub("die", "{from: left, ping: 192.0.2.77, within: 600}")).unwrap();
    let expected = "the daemon of right ended, exit status: 1: ERROR the stub was told to die";
    assert_eq!(reason(&outcome, 0), expected, "{outcome:#?}");
    assert_eq!(outcome.logs["right"], ["INFO stub of 1 links", "ERROR the stub was told to die"]);
    assert_eq!(outcome.logs["left"], ["INFO stub of 0 links"]);
}

fn a_daemon_that_ends_badly_is_warned_about() {
    // A check that takes a second, so that the stub is there when it is told to end.
    let check = "{from: left, throughput: 192.0.2.2, to: right, seconds: 1}";
    let outcome = run(&with_stub("fail", check)).unwrap();
    assert!(outcome.passed(), "{outcome:#?}");
    assert_eq!(outcome.warnings, ["the daemon of right ended badly, exit status: 3"]);
    assert!(outcome.logs.is_empty());
}

fn kept_files_are_private_and_valid() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept/here");
    let options = RunOptions { keep: Some(keep.clone()), ..RunOptions::default() };
    let outcome = run_with(&with_stub("link", "{from: left, ping: 192.0.2.2}"), &options).unwrap();
    assert!(outcome.passed(), "{outcome:#?}");
    for host in ["left", "right"] {
        let files = ["id_ed25519", "ssh_host_ed25519_key", "authorized_keys", "known_hosts", "tapline.yaml"];
        for file in files.map(|file| keep.join(host).join(file)) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
        assert_eq!(keep.join(host).metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(keep.join(host).join("log").exists());
    }
    let right = Config::load(keep.join("right/tapline.yaml")).unwrap();
    assert_eq!(right.links["link"].host.to_string(), "192.0.2.1");
}

fn a_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mine"), "").unwrap();
    let options = RunOptions { keep: Some(directory.path().to_owned()), ..RunOptions::default() };
    let error = run_with(TWO_HOSTS, &options).unwrap_err();
    assert!(error.to_string().contains("for the lab's files"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

fn mistakes_are_shown_with_their_lines() {
    let error = run("networks: {lan: {}}\nhosts: {a: {interfaces: {lam: {}}}}\n").unwrap_err();
    assert!(matches!(error, LabError::Invalid(_)));
    assert!(error.to_string().contains("lab.yaml:2:"), "{error}");
}
