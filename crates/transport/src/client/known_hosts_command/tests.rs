use std::collections::BTreeMap;

use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::{CommandError, KnownHostsCommand, Purpose};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILZqEw7BZPPFMXrLNVLgfYh8nYkXLVnSDBMnMeLYNPL";

fn key() -> KeyData {
    PublicKey::from_openssh(KEY).unwrap().key_data().clone()
}

fn run(words: &[&str], purpose: Purpose<'_>) -> Result<String, CommandError> {
    let command = KnownHostsCommand {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        tokens: BTreeMap::from([('h', "berlin.example.org".to_owned()), ('p', "2222".to_owned())]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(command.run(purpose, "[berlin.example.org]:2222"))
}

#[test]
fn s3_tokens_are_those_of_ssh() {
    let words = ["/bin/echo", "%H", "%I", "%t", "%K", "%h:%p", "100%%", "%f"];
    let fingerprint = PublicKey::from_openssh(KEY).unwrap().fingerprint(Default::default());
    let (kind, blob) = KEY.split_once(' ').unwrap();
    assert_eq!(
        run(&words, Purpose::HostName(&key())).unwrap(),
        format!(
            "[berlin.example.org]:2222 HOSTNAME {kind} {blob} berlin.example.org:2222 100% {fingerprint}\n"
        )
    );
    assert_eq!(
        run(&words, Purpose::Order).unwrap(),
        "[berlin.example.org]:2222 ORDER NONE NONE berlin.example.org:2222 100% NONE\n"
    );
}

#[test]
fn s3_a_known_hosts_command_that_fails_says_so() {
    let failure = |words: &[&str]| run(words, Purpose::Order).unwrap_err().to_string();
    assert_eq!(failure(&["/bin/false"]), "it failed (exit status: 1)");
    assert_eq!(
        failure(&["/bin/sh", "-c", "echo no such host >&2; exit 3"]),
        "it failed (exit status: 3): no such host"
    );
    assert_eq!(failure(&["/bin/sh", "-c", "kill -9 $$"]), "it failed (signal: 9 (SIGKILL))");
    assert!(failure(&["/nonexistent/program"]).starts_with("it cannot be run: No such file"));
    assert_eq!(failure(&["false"]), "`false` is not a whole path; write it from the root on");
    assert_eq!(failure(&["/bin/echo", "%Z"]), "%Z means nothing there");
    assert_eq!(failure(&["/bin/echo", "%"]), "%  means nothing there");
    assert_eq!(failure(&[]), "it is empty");
    assert_eq!(
        failure(&["/bin/sh", "-c", "head -c 2000000 /dev/zero"]),
        "it printed more than 1048576 bytes"
    );
}

#[test]
fn s3_what_it_says_on_standard_error_does_not_hold_it_up() {
    let lines =
        run(&["/bin/sh", "-c", "head -c 300000 /dev/zero >&2; echo 'berlin KEY'"], Purpose::Order).unwrap();
    assert_eq!(lines, "berlin KEY\n");
}
