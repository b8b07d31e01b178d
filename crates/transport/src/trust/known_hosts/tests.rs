use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread};

use proptest::prelude::*;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, certificate::CertType};

use super::{AppendError, Host, KnownHosts, LineProblem, Problem, Verdict, append, line};
use crate::trust::{
    Offered,
    certificate::CertificateError,
    fixtures::{CA, HOST, HOST_OK, KNOWN_HOSTS_HASHED, NOW, USER, at, certificate, key, parsed, sign, text},
};

const FILE: &str = "known_hosts";
const BERLIN: Host<'static> = Host { name: "berlin.example.org", port: 22, alias: None };

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::new();
    known.add(Path::new(FILE), text);
    known
}

fn on_port(port: u16) -> Host<'static> {
    Host { port, ..BERLIN }
}

fn check(lines: &str, host: Host<'_>, seed: u8) -> Verdict {
    known(lines).check(&host, Offered::Key(&key(seed)), NOW)
}

fn found(line: usize) -> Verdict {
    Verdict::Known { location: at(FILE, line) }
}

const UNKNOWN: Verdict = Verdict::Unknown { certificate: None };

#[test]
fn plain_names_lists_and_wildcards() {
    let key = text(1);
    for (hosts, expected) in [
        ("berlin.example.org", true),
        ("BERLIN.example.org", true),
        ("leipzig,berlin.example.org,192.0.2.1", true),
        ("*.example.org", true),
        ("berlin.example.?rg", true),
        ("*.example.org,!berlin.*", false),
        ("!berlin.*,*.example.org", false),
        ("berlin", false),
        ("[berlin.example.org]:2222", false),
    ] {
        let verdict = check(&format!("{hosts} {key} a comment"), BERLIN, 1);
        assert_eq!(verdict, if expected { found(1) } else { UNKNOWN }, "{hosts}");
    }
}

#[test]
fn comments_blank_lines_and_odd_blanks() {
    let lines = format!("# berlin.example.org {}\n\n\t berlin.example.org \t {}  x\r\n", text(2), text(1));
    assert_eq!(check(&lines, BERLIN, 1), found(3));
    assert!(known(&lines).problems().is_empty());
}

#[test]
fn ports_are_part_of_the_name_and_fall_back_to_it() {
    let lines = format!("[berlin.example.org]:2222 {}\nberlin.example.org {}", text(1), text(2));
    assert_eq!(check(&lines, on_port(2222), 1), found(1));
    assert_eq!(check(&lines, BERLIN, 2), found(2));
    assert_eq!(
        check(&lines, on_port(2200), 2),
        found(2),
        "the key of the name alone counts for another port"
    );
    assert_eq!(check(&lines, on_port(2200), 3), UNKNOWN, "but another key there has not changed");
    assert!(matches!(check(&lines, on_port(2222), 2), Verdict::Changed { .. }));
}

#[test]
fn an_alias_replaces_name_and_port() {
    let lines = format!("lab {}", text(1));
    assert_eq!(check(&lines, Host { alias: Some("Lab"), ..on_port(2222) }, 1), found(1));
}

#[test]
fn hashed_names_of_ssh_keygen() {
    let known = known(KNOWN_HOSTS_HASHED);
    let (host, user) = (parsed(HOST), parsed(USER));
    assert_eq!(known.check(&BERLIN, Offered::Key(&host), NOW), found(1));
    let leipzig = Host { name: "Leipzig.example.org", port: 2222, alias: None };
    assert_eq!(known.check(&leipzig, Offered::Key(&user), NOW), found(2));
    assert_eq!(known.check(&Host { port: 22, ..leipzig }, Offered::Key(&user), NOW), UNKNOWN);
}

#[test]
fn another_key_means_changed_and_names_the_one_of_its_kind() {
    let lines = format!("berlin.example.org {HOST}berlin.example.org {}", text(1));
    match check(&lines, BERLIN, 2) {
        Verdict::Changed { location, known, certificate: None } => {
            assert_eq!((location, known), (at(FILE, 2), key(1)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(check(&lines, BERLIN, 1), found(2), "any of several keys will do");
}

#[test]
fn revoked_keys_are_revoked_wherever_they_are_known() {
    let lines = format!("berlin.example.org {0}\n@revoked * {0}", text(1));
    let revoked = Verdict::Revoked { location: at(FILE, 2) };
    assert_eq!(check(&lines, BERLIN, 1), revoked);
    assert_eq!(check(&lines, on_port(2222), 1), revoked);
    let other_host = format!("berlin.example.org {0}\n@revoked leipzig {0}", text(1));
    assert_eq!(check(&other_host, BERLIN, 1), found(1));
    let by_name = format!("@revoked berlin.example.org {}", text(1));
    assert_eq!(check(&by_name, on_port(2222), 1), Verdict::Revoked { location: at(FILE, 1) });
}

#[test]
fn earlier_files_come_first() {
    let mut both = known(&format!("berlin.example.org {}", text(1)));
    both.add(Path::new("/etc/ssh/ssh_known_hosts"), &format!("berlin.example.org {}", text(2)));
    assert_eq!(both.check(&BERLIN, Offered::Key(&key(1)), NOW), found(1));
    let global = Verdict::Known { location: at("/etc/ssh/ssh_known_hosts", 1) };
    assert_eq!(both.check(&BERLIN, Offered::Key(&key(2)), NOW), global);
    match both.check(&BERLIN, Offered::Key(&key(3)), NOW) {
        Verdict::Changed { location, .. } => assert_eq!(location, at(FILE, 1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn certificates_of_a_trusted_authority() {
    let lines = known(&format!("@cert-authority *.example.org {CA}"));
    let cert = certificate(HOST_OK);
    let accepted = Verdict::CertificateAccepted { authority: at(FILE, 1), key_id: "host-1".into() };
    assert_eq!(lines.check(&BERLIN, Offered::Certificate(&cert), NOW), accepted);
    assert_eq!(
        lines.check(&on_port(2222), Offered::Certificate(&cert), NOW),
        accepted,
        "CAs are listed without port"
    );
    assert!(lines.has_authority(&BERLIN));
    let other = Host { name: "leipzig.example.org", ..BERLIN };
    assert!(matches!(
        lines.check(&other, Offered::Certificate(&cert), NOW),
        Verdict::Unknown { certificate: Some(CertificateError::NotAPrincipal { .. }) }
    ));
    let elsewhere = Host { name: "berlin.example.net", ..BERLIN };
    assert_eq!(lines.check(&elsewhere, Offered::Certificate(&cert), NOW), UNKNOWN);
    assert!(!lines.has_authority(&elsewhere));
    assert_eq!(lines.check(&BERLIN, Offered::Key(&parsed(CA)), NOW), UNKNOWN, "an authority is no host key");
}

#[test]
fn a_certificate_that_does_not_help_leaves_its_key() {
    let expired = sign(CertType::Host, &["berlin.example.org"], |_| ());
    let lines = format!("@cert-authority * {}\nberlin.example.org {}", text(9), text(1));
    assert_eq!(known(&lines).check(&BERLIN, Offered::Certificate(&expired), NOW + 100), found(2));
    let lines = format!("@cert-authority * {}\nberlin.example.org {}", text(9), text(2));
    assert!(matches!(
        known(&lines).check(&BERLIN, Offered::Certificate(&expired), NOW + 100),
        Verdict::Changed { certificate: Some(CertificateError::Expired { .. }), .. }
    ));
}

#[test]
fn a_revoked_authority_or_key_refuses_the_certificate() {
    let cert = sign(CertType::Host, &["berlin.example.org"], |_| ());
    for revoked in [9, 1] {
        let lines = format!("@cert-authority * {}\n@revoked * {}", text(9), text(revoked));
        assert_eq!(
            known(&lines).check(&BERLIN, Offered::Certificate(&cert), NOW),
            Verdict::Revoked { location: at(FILE, 2) }
        );
    }
}

#[test]
fn unusable_lines_are_told_and_pass() {
    let key = text(1);
    let lines = format!(
        "@unheard-of * {key}\n@cert-authority @revoked * {key}\nberlin.example.org\nberlin.example.org ssh-ed25519 AAAA\n\
         |1|c2FsdA==|aGFzaA== {key}\n|2|x {key}\n@revoked * future-type AAAA\nberlin.example.org future-type AAAA\n\
         berlin.example.org {key}"
    );
    let known = known(&lines);
    let lines: Vec<usize> = known
        .problems()
        .iter()
        .map(|problem| match problem {
            Problem::Line { location, .. } => location.line,
            Problem::File { .. } => 0,
        })
        .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7]);
    assert!(matches!(known.problems()[4], Problem::Line { problem: LineProblem::Hash, .. }));
    assert_eq!(known.check(&BERLIN, Offered::Key(&super::super::fixtures::key(1)), NOW), found(9));
}

#[test]
fn known_kinds_of_keys_are_preferred() {
    let known = known(&format!("berlin.example.org {HOST}leipzig.example.org {CA}"));
    let ecdsa = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
    let rsa = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
    let supported = [Algorithm::Ed25519, rsa.clone(), ecdsa.clone()];
    assert_eq!(known.prefer_known(&BERLIN, &supported), [ecdsa.clone(), Algorithm::Ed25519, rsa]);
    assert_eq!(known.known_algorithms(&on_port(2222)), [ecdsa]);
    let nowhere = Host { name: "nowhere", ..BERLIN };
    assert_eq!(known.prefer_known(&nowhere, &supported), supported);
}

#[test]
fn lines_to_store() {
    let salt = [0x5a; 20];
    assert_eq!(line(&BERLIN, &key(1), None).unwrap(), format!("berlin.example.org {}", text(1)));
    let with_port = line(&Host { name: "2001:DB8::1", port: 2222, alias: None }, &key(1), None).unwrap();
    assert_eq!(with_port, format!("[2001:db8::1]:2222 {}", text(1)));
    let hashed = line(&BERLIN, &key(1), Some(&salt)).unwrap();
    assert!(hashed.starts_with("|1|WlpaWlpaWlpaWlpaWlpaWlpaWlo=|"), "{hashed}");
    assert_eq!(check(&hashed, BERLIN, 1), found(1));
    for name in ["", "a b", "a,b", "*", "!a", "a\nb", "[a]", "|1|x", "@revoked", "#a"] {
        let error = line(&Host { name, ..BERLIN }, &key(1), None);
        assert!(matches!(error, Err(AppendError::Name(_))), "{name:?} was stored");
    }
}

#[test]
fn storing_makes_private_files_and_keeps_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".ssh/known_hosts");
    append(&file, &BERLIN, &key(1), false).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);

    // As an editor may leave it: without the last newline.
    fs::write(&file, format!("leipzig.example.org {}", text(2))).unwrap();
    append(&file, &BERLIN, &key(1), true).unwrap();
    append(&file, &BERLIN, &key(1), true).unwrap();
    let stored = fs::read_to_string(&file).unwrap();
    assert_eq!(stored.lines().count(), 2, "{stored}");
    let known = KnownHosts::read([&file, &directory.path().join("missing")]);
    assert!(known.problems().is_empty());
    assert!(matches!(known.check(&BERLIN, Offered::Key(&key(1)), NOW), Verdict::Known { .. }));
    let leipzig = Host { name: "leipzig.example.org", ..BERLIN };
    assert!(matches!(known.check(&leipzig, Offered::Key(&key(2)), NOW), Verdict::Known { .. }));
}

#[test]
fn storing_at_once_stores_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| append(&file, &BERLIN, &key(1), true).unwrap());
        }
    });
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let known = KnownHosts::read([directory.path()]);
    assert!(matches!(known.problems(), [Problem::File { .. }]));
    assert!(append(directory.path(), &BERLIN, &key(1), false).is_err());
}

proptest! {
    #[test]
    fn what_is_stored_is_found(name in "[a-zA-Z0-9.:-]{1,30}", port in 1u16.., seed: u8, salt: Option<[u8; 20]>) {
        let host = Host { name: &name, port, alias: None };
        let line = line(&host, &key(seed), salt.as_ref()).unwrap();
        prop_assert_eq!(check(&line, host, seed), found(1));
        prop_assert!(check(&line, host, seed.wrapping_add(1)) != found(1), "another key is known");
    }

    #[test]
    fn nothing_panics(text in "(@?[ -~\t|]{0,40}\n){0,5}") {
        check(&text, on_port(2222), 1);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    crate::trust::fixtures::replay("known_hosts", |bytes| {
        check(&String::from_utf8_lossy(bytes), on_port(2222), 1);
    });
}

#[test]
fn s6_a_revocation_holds_however_the_address_is_written() {
    let key = text(1);
    for (revoked, connected, port) in [
        ("fd51::2", "fd51:0::2", 22),
        ("fd51:0::2", "fd51::2", 22),
        ("FD51::2", "fd51:0:0::2", 22),
        ("[fd51::2]:2222", "fd51:0::2", 2222),
        ("fd51::2", "fd51:0::2", 2222),
        ("[fd51:0::2]:22", "fd51::2", 22),
        ("192.0.2.1", "::ffff:192.0.2.1", 22),
        ("::ffff:192.0.2.1", "192.0.2.1", 22),
        ("192.0.2.1", "192.0.513", 22),
        ("127.0.0.1", "127.1", 2222),
        ("fe80::1", "fe80::1%eth7", 22),
        ("fe80::1%eth7", "fe80:0::1%ETH7", 22),
        ("BERLIN.example.org", "Berlin.Example.org", 22),
        ("berlin.example.org", "berlin.example.org.", 22),
        ("fd51:*", "fd51:0::2", 22),
    ] {
        let host = Host { name: connected, port, alias: None };
        let lines = format!("* {key}\n@revoked {revoked} {key}\n");
        let verdict = check(&lines, host, 1);
        assert_eq!(verdict, Verdict::Revoked { location: at(FILE, 2) }, "{revoked} {connected} {port}");
    }
    for (revoked, connected, port) in [
        ("fd51::3", "fd51:0::2", 22),
        ("[fd51::2]:2223", "fd51::2", 2222),
        ("fe80::1%eth8", "fe80::1%eth7", 22),
        ("*,!fd51:0::2", "fd51::2", 22),
        ("192.0.2.2", "::ffff:192.0.2.1", 22),
    ] {
        let host = Host { name: connected, port, alias: None };
        let verdict = check(&format!("@revoked {revoked} {key}\n* {key}\n"), host, 1);
        assert_eq!(verdict, found(2), "{revoked} {connected} {port}");
    }
}

#[test]
fn s6_addresses_are_stored_in_one_form_and_found_in_any() {
    let salt = [0x5a; 20];
    for salt in [None, Some(&salt)] {
        for (stored, looked_up) in [
            ("fd51:0::2", "FD51::2"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("127.1", "127.0.0.1"),
            ("FE80:0::1%eth7", "fe80::1%eth7"),
            ("0xc0000201", "192.0.2.1"),
        ] {
            for port in [22, 2222] {
                let line = line(&Host { name: stored, port, alias: None }, &key(1), salt).unwrap();
                let host = Host { name: looked_up, port, alias: None };
                assert_eq!(check(&line, host, 1), found(1), "{line}");
                assert!(matches!(check(&line, host, 2), Verdict::Changed { .. }), "{line}");
            }
        }
    }
}

#[test]
fn s6_what_ssh_has_stored_under_a_name_of_its_own_is_found() {
    // ssh stores an alias as it is typed, and a mapped address with its prefix.
    let hashed = |name: &str| format!("{} {}", super::entry::hashed_name(&[1; 20], name), text(1));
    let alias = Host { name: "berlin", port: 2222, alias: Some("Lab-Berlin") };
    assert_eq!(check(&hashed("Lab-Berlin"), alias, 1), found(1));
    let mapped = Host { name: "::FFFF:192.0.2.1", port: 2222, alias: None };
    assert_eq!(check(&hashed("[::ffff:192.0.2.1]:2222"), mapped, 1), found(1));
}

#[test]
fn t5_a_file_that_got_another_key_meanwhile_is_not_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    for before in [
        format!("berlin.example.org {}\n", text(2)),
        format!("*.example.org {}\n", text(2)),
        format!("@revoked * {}\n", text(1)),
        format!("{} {}\n", super::entry::hashed_name(&[1; 20], "berlin.example.org"), text(2)),
    ] {
        fs::write(&file, &before).unwrap();
        let error = append(&file, &BERLIN, &key(1), false).unwrap_err();
        assert!(matches!(error, AppendError::Contradicted { .. }), "{before}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
}

#[test]
fn t5_what_keeps_nothing_is_no_file() {
    for path in ["/dev/null", "/dev/full", "/dev/zero"] {
        let error = append(Path::new(path), &BERLIN, &key(1), false).unwrap_err();
        assert!(matches!(error, AppendError::NotAFile { .. }), "{path}: {error}");
    }
}

#[test]
fn t5_only_a_file_that_is_not_there_says_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    fs::write(&plain, "").unwrap();
    let looped = directory.path().join("looped");
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    let dangling = directory.path().join("dangling");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    let long = directory.path().join("n".repeat(300));
    for (path, readable) in [
        (directory.path().join("missing"), true),
        (dangling, true),
        (Path::new("/dev/null").to_owned(), true),
        (plain.clone(), true),
        (directory.path().to_owned(), false),
        (plain.join("below-a-file"), false),
        (looped, false),
        (long, false),
        (Path::new("/dev/zero").to_owned(), false),
        (Path::new("/proc/self/mem").to_owned(), false),
    ] {
        let known = KnownHosts::read([&path]);
        assert_eq!(known.unreadable().is_none(), readable, "{}", path.display());
    }
}

#[test]
fn t13_a_strangers_link_is_not_written_through() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (link, target) = (directory.path().join("known_hosts"), directory.path().join("target"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let host = Host { name: "berlin.example.org", port: 22, alias: None };
    std::os::unix::fs::lchown(&link, Some(4711), None).unwrap();
    let error = append(&link, &host, &key(1), false).unwrap_err().to_string();
    assert!(error.contains("symbolic link of user 4711"), "{error}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "");
    std::os::unix::fs::lchown(&link, Some(0), None).unwrap();
    append(&link, &host, &key(1), false).unwrap();
}
