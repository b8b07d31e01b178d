//! Known hosts files as `ssh-keygen -F` sees them.
//!
//! Differences that stay, each with its reason:
//!
//! | line | ssh-keygen -F | here | because |
//! |---|---|---|---|
//! | a damaged key | found | told as a problem | `-F` does not decode keys; ssh itself passes over the line as well |
//! | a tab behind a marker | passed over | in use | ssh looks for a blank alone there; a revocation must hold all the same |
//! | a DSA key, a certificate as a key | found | not in use | neither can be used as a host's key |
//! | an address in another spelling | found as it is spelled | found | a revocation must not depend on the spelling |
//! | `[name]:22` | found under that name alone | found for the name | it is the same server |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ssh_key::PublicKey;
use tapline_transport::trust::known_hosts::{Host, KnownHosts, line};

use crate::harness::Keys;

/// Numbers from a seed (xorshift), so that a failure comes again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

const HOSTS: &[(&str, u16)] = &[
    ("berlin.example.org", 22),
    ("berlin.example.org", 2222),
    ("leipzig", 22),
    ("192.0.2.1", 22),
    ("192.0.2.1", 2222),
    ("2001:db8::1", 22),
    ("2001:db8::1", 2222),
    ("fe80::1%eth7", 22),
    ("lab", 22),
];

const PATTERNS: &[&str] = &[
    "berlin.example.org",
    "Berlin.Example.ORG",
    "*.example.org",
    "*.example.*",
    "b?rlin.example.org",
    "!berlin.example.org",
    "!*.example.org",
    "[berlin.example.org]:2222",
    "[*.example.org]:2222",
    "[*]:2222",
    "[*]:*",
    "![berlin.example.org]:2222",
    "leipzig",
    "leip*",
    "?eipzig",
    "192.0.2.1",
    "192.0.2.*",
    "[192.0.2.1]:2222",
    "!192.0.2.1",
    "2001:db8::1",
    "2001:db8:*",
    "[2001:db8::1]:2222",
    "fe80::1%eth7",
    "fe80::1",
    "lab",
    "*",
    "",
    "?",
];

/// One line, and whether `ssh-keygen -F` finds it though its key is of no use.
fn random_line(numbers: &mut Numbers, keys: &[PublicKey]) -> (String, bool) {
    let key = keys[numbers.below(keys.len())].clone();
    let text = key.to_openssh().unwrap();
    let text: Vec<&str> = text.split(' ').collect();
    let (kind, blob) = (text[0], text[1]);
    let hosts = match numbers.below(4) {
        0 => {
            let (name, port) = HOSTS[numbers.below(HOSTS.len())];
            let salt = std::array::from_fn(|_| u8::try_from(numbers.below(256)).unwrap());
            let hashed = line(&Host { name, port, alias: None }, key.key_data(), Some(&salt)).unwrap();
            hashed.split(' ').next().unwrap().to_owned()
        }
        _ => (0..=numbers.below(4)).map(|_| numbers.one_of(PATTERNS)).collect::<Vec<_>>().join(","),
    };
    let marker = numbers.one_of(&[
        "",
        "",
        "",
        "",
        "@cert-authority ",
        "@revoked ",
        "@revoked\t",
        "@revoked  ",
        "@bogus ",
        "@revoked @revoked ",
    ]);
    let gap = numbers.one_of(&[" ", " ", " ", "\t", "  ", " \t "]);
    let before = numbers.one_of(&["", "", "", "", " ", "\t", "# ", "#"]);
    let after = numbers.one_of(&["", "", " comment", " a longer comment", "\tcomment", " ", "\r"]);
    let certificate = format!("{kind}-cert-v01@openssh.com");
    let (kind, blob, useless) = match numbers.below(12) {
        0 => (kind, "AAAA", true),
        1 => ("ssh-dss", blob, true),
        2 => (certificate.as_str(), blob, true),
        3 => ("ssh-future@example.org", blob, false),
        // What follows is taken for the key then.
        4 => (kind, "", true),
        _ => (kind, blob, false),
    };
    (format!("{before}{marker}{hosts}{gap}{kind}{gap}{blob}{after}"), useless)
}

/// The numbers of the lines that ssh-keygen finds.
fn found_by_ssh_keygen(file: &Path, host: &Host<'_>) -> BTreeSet<usize> {
    let name = match host.port {
        22 => host.name.to_owned(),
        port => format!("[{}]:{port}", host.name),
    };
    let output = Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |line: &str| {
        line.strip_prefix("# Host ")?.split_once(" found: line ")?.1.split(' ').next()?.parse().ok()
    };
    said.lines().filter_map(number).collect()
}

#[test]
fn s6_known_hosts_are_what_ssh_keygen_finds() {
    let directory = Keys::new();
    let keys: Vec<PublicKey> = ["ed25519", "ecdsa", "rsa -b 2048"]
        .iter()
        .map(|kind| {
            let name = kind.split(' ').next().unwrap();
            directory.generate(name, kind, "");
            directory.text(&format!("{name}.pub")).parse().unwrap()
        })
        .collect();
    let mut numbers = Numbers(0x5eed_0f5a_b1e5_0001);
    let mut differences = Vec::new();
    for _ in 0..200 {
        let lines: Vec<(String, bool)> =
            (0..=numbers.below(20)).map(|_| random_line(&mut numbers, &keys)).collect();
        let mut text: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
        if numbers.below(4) == 0 {
            text.pop();
        }
        let file = directory.write("known_hosts", &text);
        let mut known = KnownHosts::new();
        known.add(Path::new("known_hosts"), &text);
        for _ in 0..4 {
            let (name, port) = HOSTS[numbers.below(HOSTS.len())];
            let host = Host { name, port, alias: None };
            let ours: BTreeSet<usize> = known.lines_about(&host).map(|location| location.line).collect();
            let theirs = found_by_ssh_keygen(&file, &host);
            for number in ours.symmetric_difference(&theirs) {
                let (line, useless) = &lines[number - 1];
                let stays = match theirs.contains(number) {
                    true => *useless,
                    false => line.trim_start().starts_with("@revoked\t"),
                };
                if stays {
                    continue;
                }
                differences.push(format!(
                    "{host}: {line:?}: {}",
                    if ours.contains(number) { "ours" } else { "theirs" }
                ));
            }
        }
    }
    differences.sort();
    differences.dedup();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn s6_the_differences_that_stay_are_these() {
    let directory = Keys::new();
    directory.generate("key", "ed25519", "");
    let key = directory.text("key.pub");
    for (line, name, port, ours, theirs) in [
        (format!("leipzig {}AAAA", "ssh-ed25519 "), "leipzig", 22, false, true),
        (format!("leipzig ssh-dss {}", key.split(' ').nth(1).unwrap()), "leipzig", 22, false, true),
        (format!("@revoked\tleipzig {key}"), "leipzig", 22, true, false),
        (format!("fd51:0::2 {key}"), "fd51::2", 22, true, false),
        (format!("[leipzig]:22 {key}"), "leipzig", 22, true, false),
        (format!("::ffff:192.0.2.1 {key}"), "192.0.2.1", 22, true, false),
    ] {
        let file: PathBuf = directory.write("known_hosts", &line);
        let host = Host { name, port, alias: None };
        let mut known = KnownHosts::new();
        known.add(&file, &line);
        assert_eq!(known.lines_about(&host).count() == 1, ours, "{line}");
        assert_eq!(found_by_ssh_keygen(&file, &host).len() == 1, theirs, "{line}");
    }
}
