//! Which cipher a link has whose client is OpenSSH's.

use tapline_tests::{Keys, Namespace, Process, Ssh, are_met, eventually, run};

use crate::link::{server_section_with, two_hosts};

const CHACHA: &str = "chacha20-poly1305@openssh.com";
const AES: &str = "aes256-gcm@openssh.com";

/// A stock client of the server 192.0.2.1 that knows these ciphers, most wanted first.
fn ssh(client: &Namespace, keys: &Keys, ciphers: [&str; 2]) -> Process {
    Ssh::new(client, &keys.path("id"))
        .option("Tunnel=ethernet")
        .option(&format!("Ciphers={}", ciphers.join(",")))
        .start("-w any:any root@192.0.2.1")
}

/// What `ssh -v` says of each key exchange.
fn agreed(ssh: &Process) -> Vec<String> {
    let log = ssh.log();
    let ciphers = log.lines().filter_map(|line| line.split_once("kex: server->client cipher: "));
    ciphers.filter_map(|(_, rest)| rest.split_whitespace().next().map(str::to_owned)).collect()
}

/// Which cipher the server prefers depends on its processor.
#[test]
fn the_server_decides_the_cipher() {
    if !are_met(&["ssh"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let mut tapline = run(&server, &server_section_with(&server, &keys, &keys.public("id")));
    tapline.wait_for("Server listening");

    let clients = [ssh(&client, &keys, [CHACHA, AES]), ssh(&client, &keys, [AES, CHACHA])];
    eventually("both have changed keys if they had to", || {
        clients.iter().map(|ssh| agreed(ssh).len()).sum::<usize>() >= 3
    });
    eventually("both have a device on the server", || {
        ["tap0", "tap1"].iter().all(|tap| server.has_interface(tap))
    });
    let [one, other] = clients.each_ref().map(agreed);
    assert_eq!(one[0], CHACHA);
    assert_eq!(other[0], AES);
    assert_eq!(one.last(), other.last());
    assert_eq!(one.len() + other.len(), 3, "{one:?} {other:?}");
}
