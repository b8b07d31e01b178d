//! `Match final`, `canonical` and `all`, and names that ssh would complete.

use super::{Fake, berlin, problems, resolve_with, to};
use crate::ssh_config::Problem;

fn port(text: &str) -> Option<u16> {
    berlin(text).port
}

#[test]
fn s4_all_may_follow_one_other_criterion() {
    for criteria in [
        "final all",
        "canonical final",
        "final",
        "all",
        "originalhost berlin all",
        "!final all",
        "!canonical all",
        "final originalhost berlin",
        "Final ALL",
        "final all # of a distribution",
    ] {
        assert_eq!(port(&format!("Match {criteria}\nPort 7\nMatch final\n")), Some(7), "{criteria}");
    }
    for criteria in [
        "!all",
        "final !all",
        "originalhost other all",
        "canonical !final",
        "!originalhost berlin all",
        "!final !all",
    ] {
        assert_eq!(port(&format!("Match {criteria}\nPort 7\nMatch final\n")), None, "{criteria}");
    }
}

#[test]
fn s4_all_is_last() {
    for criteria in ["all final", "all host x", "final canonical all", "final host x all", "all all"] {
        let found = problems(&format!("\nMatch {criteria}\nPort 7"));
        assert!(
            matches!(found.as_slice(), [(place, Problem::MatchAllAlone)] if place == "config:2"),
            "{criteria}: {found:?}"
        );
    }
}

#[test]
fn s4_values_of_the_last_pass_come_after_all_others() {
    let options = berlin("Match final all\nPort 7\nUser last\nHost berlin\nPort 8");
    assert_eq!((options.port(), options.user()), (8, "last"));
    assert_eq!(port("Match !final all\nPort 7\nMatch final all\nPort 8"), Some(7));
    assert_eq!(port("Match canonical\nPort 7"), None, "nothing asks for a second pass");
    assert_eq!(port("Match canonical all\nPort 7\nHost x\nMatch final"), Some(7));
}

#[test]
fn s4_a_name_that_needs_no_look_up_is_canonical_as_it_is() {
    for text in [
        "CanonicalizeHostname yes\nMatch canonical all\nPort 7",
        "CanonicalizeHostname yes\nCanonicalDomains none\nMatch canonical\nPort 7",
        "CanonicalizeHostname yes\nCanonicalDomains example.org\nHostName a.b.example.org\nMatch canonical\nPort 7",
        "CanonicalizeHostname yes\nCanonicalDomains example.org\nHostName 192.0.2.1\nMatch canonical\nPort 7",
        "CanonicalizeHostname yes\nCanonicalDomains example.org\nProxyJump j\nMatch canonical\nPort 7",
        "CanonicalizeHostname yes\nCanonicalDomains example.org\nCanonicalizeMaxDots 0\nHostName a.b\nMatch canonical\nPort 7",
    ] {
        assert_eq!(port(text), Some(7), "{text}");
    }
    for text in [
        "CanonicalizeHostname yes\nCanonicalDomains example.org",
        "CanonicalizeHostname always\nCanonicalDomains example.org\nProxyJump j",
        "CanonicalizeHostname yes\nHostName berlin.example.org.",
        "CanonicalizePermittedCNAMEs *.example.org:*.example.net",
        "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no",
    ] {
        assert_eq!(problems(text).len(), 1, "{text}");
    }
    let error = resolve_with(&Fake::default(), &["CanonicalizeHostname=maybe"], &[], &to("berlin"));
    assert!(error.is_err());
}

#[test]
fn s6_addresses_have_one_spelling() {
    let name =
        |host: &str| resolve_with(&Fake::default(), &[], &[], &to(host)).unwrap().host_name().to_owned();
    for (written, meant) in [
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:0db8::1", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("FE80:0::1%Eth0", "fe80::1%Eth0"),
        ("::FFFF:C000:201", "::ffff:192.0.2.1"),
        ("Berlin.Example.ORG", "berlin.example.org"),
    ] {
        assert_eq!(name(written), meant);
    }
}
