//! A file with a line that ssh refuses is refused, with the line.

use super::{Fake, berlin, problems, resolve_with, to};
use crate::ssh_config::{Problem, Proxy, Scope};

/// The places of the mistakes in a file that would run another host's ProxyCommand if the line were passed over.
fn places(line: &str) -> Vec<String> {
    let text = format!("Host other\n{line}\n  ProxyCommand touch /tmp/x\n");
    problems(&text).into_iter().map(|(place, _)| place).collect()
}

#[test]
fn s1_a_block_line_with_a_mistake_refuses_the_file() {
    for line in [
        "\u{feff}Host third",
        "Host\u{a0}third",
        "\u{a0}Host third",
        "Hots third",
        "Host\u{200b} third",
        "Hst third",
        "Matchh all",
        "Macth host third",
        "Match hots third",
        "Match host",
        "Match",
        "Host",
        "Host \"third",
        "Host \"\" third",
        "[Host third]",
        "Host: third",
        "User\"x",
    ] {
        assert_eq!(places(line), ["config:2"], "{line:?}");
    }
}

#[test]
fn s1_the_first_line_may_not_have_a_byte_order_mark() {
    let found = problems("\u{feff}Host other\nProxyCommand x\n");
    assert_eq!(found.len(), 1);
    let (place, problem) = &found[0];
    assert_eq!(place, "config:1");
    let message = problem.to_string();
    assert!(message.contains("<U+FEFF>Host") && message.contains("invisible"), "{message}");
    let message = problems("Host\u{a0}other\n")[0].1.to_string();
    assert!(message.contains("Host<U+00A0>other") && message.contains("no-break space"), "{message}");
}

#[test]
fn s1_every_unknown_keyword_is_refused_wherever_it_stands() {
    for text in
        ["IdentifyFile x", "Host other\nIdentifyFile x", "Match !all\n UseKeychain yes", "Host *\nx y"]
    {
        let found = problems(text);
        assert!(matches!(found.as_slice(), [(_, Problem::UnknownOption { .. })]), "{text}: {found:?}");
    }
    assert_eq!(
        problems("IdentifyFile x")[0].1.to_string(),
        "`IdentifyFile` is no option of ssh_config; did you mean IdentityFile?"
    );
    assert_eq!(
        problems("UseKeychain yes")[0].1.to_string(),
        "`UseKeychain` is no option of ssh_config; remove the line, or name it in IgnoreUnknown before it"
    );
}

#[test]
fn s1_ignore_unknown_is_honoured() {
    for text in [
        "IgnoreUnknown UseKeychain\nUseKeychain yes",
        "IgnoreUnknown ident*,usekeychain\nIdentifyFile x\nUseKeychain yes",
        "Host other\nIgnoreUnknown nothing\nHost *\nIgnoreUnknown Use*\nHost other\nUseKeychain x",
        "IgnoreUnknown=*\nAnything goes",
    ] {
        assert_eq!(problems(text), [], "{text}");
    }
    for text in [
        "UseKeychain yes\nIgnoreUnknown UseKeychain",
        "Host other\nIgnoreUnknown UseKeychain\nHost *\nUseKeychain yes",
        "IgnoreUnknown *,!usekeychain\nUseKeychain yes",
        "IgnoreUnknown UseKeychain\nUseKeychain \"yes",
        "IgnoreUnknown UseKeychain\nUseKeychain",
        "IgnoreUnknown a b",
    ] {
        assert_eq!(problems(text).len(), 1, "{text}");
    }
    let options =
        resolve_with(&Fake::default(), &["IgnoreUnknown=x"], &[("x y", Scope::User)], &to("berlin"));
    assert_eq!(options.unwrap().ignore_unknown.as_deref(), Some("x"));
}

#[test]
fn s1_bytes_that_are_no_text_are_refused_where_they_count() {
    assert_eq!(problems("IdentityFile /home/j\u{fffd}rg/key")[0].1, Problem::NotUtf8);
    assert!(matches!(problems("Us\u{fffd}r x")[0].1, Problem::UnknownOption { .. }));
    for text in ["# J\u{fffd}rg", "Port 22 # \u{fffd}"] {
        assert_eq!(problems(text), [], "{text}");
    }
}

#[test]
fn u18_a_mode_is_no_device() {
    for word in ["ethernet", "Ethernet", "point-to-point", "yes", "no"] {
        let message = problems(&format!("TunnelDevice {word}"))[0].1.to_string();
        assert!(message.contains(&format!("`Tunnel {word}`")), "{message}");
    }
    assert!(matches!(problems("TunnelDevice tap0")[0].1, Problem::BadValue { .. }));
}

#[test]
fn s1_a_keyword_may_stand_in_quotes() {
    assert_eq!(berlin("\"Port\" 7\n\"ProxyCommand\" x").proxy(), &Proxy::Command("x".to_owned()));
}
