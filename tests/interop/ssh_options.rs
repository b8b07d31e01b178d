//! What ssh's options and letters do when the program itself gets them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapline_tests::{Keys, Namespace, are_met, connect, eventually, sshd, tapline};

use crate::link::two_hosts;

/// Lines that differ, and why: what a link takes as its default where nobody sets anything, and that each program knows
/// other algorithms and default keys.
const OUR_OWN: [&str; 11] = [
    "tunnel",
    "serveraliveinterval",
    "connecttimeout",
    "requiredrsasize",
    "ciphers",
    "macs",
    "kexalgorithms",
    "hostkeyalgorithms",
    "casignaturealgorithms",
    "pubkeyacceptedalgorithms",
    "revokedhostkeys",
];

/// What a program prints, by the names; nothing if it refuses.
fn options(command: &mut Command) -> Option<BTreeMap<String, Vec<String>>> {
    let output = command.output().unwrap();
    let mut options = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        if !(name == "identityfile" && value.starts_with("~/.ssh/id_")) {
            options.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    output.status.success().then_some(options)
}

#[test]
fn s15_connect_prints_what_ssh_prints() {
    if !are_met(&["ssh"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = "Host berlin\n HostName %h.example.org\n User root\nMatch final all\n Port 2222\n\
                Match host *.example.org !user root\n User nobody\nHost *\n IdentityFile /a\n ServerAliveInterval 7\n\
                ProxyJump a@j:22,k\n LocalForward 1 h:2\n RekeyLimit 1G 1h\n Tunnel point-to-point\n ConnectTimeout 9\n";
    for (text, arguments) in [
        (text, "berlin"),
        (text, "other"),
        (text, "-p 7 -l me root@berlin"),
        (text, "-o User=x -oPort=9 me@berlin"),
        (text, "ssh://me@berlin:2022"),
        (text, "-4 -b 192.0.2.1 -B lo berlin"),
        (text, "-J hop -w 3:4 berlin"),
        (text, "-fN -C -q berlin"),
        (text, "-o HostName=192.0.2.9 -o Port=1 -o port=2 berlin"),
        ("", "berlin"),
        ("Match final all\nHost berlin", "berlin"),
        ("Match all host x", "berlin"),
        ("Hots other\nProxyCommand x", "berlin"),
        ("\u{feff}Host other", "berlin"),
        ("Port 0", "berlin"),
        ("Host other\nCiphers bogus", "berlin"),
        ("", "-o Ciphers=bogus berlin"),
        ("", "-c bogus berlin"),
        ("", "-o Unheard=1 berlin"),
        ("IgnoreUnknown Unheard\nUnheard 1", "berlin"),
        ("", "-p 0 berlin"),
        ("", "ssh://berlin/path"),
        ("", "@berlin"),
    ] {
        fs::write(&file, text).unwrap();
        let with =
            |command: &mut Command| options(command.args(["-G", "-F"]).arg(&file).args(arguments.split(' ')));
        let ours = with(tapline().arg("connect"));
        let theirs = with(Command::new("ssh").arg("-T"));
        assert_eq!(ours.is_some(), theirs.is_some(), "whether it is refused: {arguments}\n{text}");
        for (name, value) in ours.iter().flatten().filter(|(name, _)| !OUR_OWN.contains(&name.as_str())) {
            assert_eq!(Some(value), theirs.as_ref().unwrap().get(name), "{name}: {arguments}\n{text}");
        }
    }
}

#[test]
fn s2_chosen_algorithms_are_what_the_server_is_offered() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let sshd = sshd(&server, &keys, &keys.public("id"), "PermitTunnel yes");
    let mut link = connect(
        &client,
        &keys.path("id"),
        "-c aes256-ctr -m hmac-sha2-256 -o KexAlgorithms=ecdh-sha2-nistp256 --address 10.77.0.2/24 root@192.0.2.1",
    );
    link.wait_for(": up device=");
    assert!(sshd.has_said("kex: algorithm: ecdh-sha2-nistp256"), "{}", sshd.log());
    assert!(sshd.has_said("cipher: aes256-ctr MAC: hmac-sha2-256"), "{}", sshd.log());
    server.run("ip address add 10.77.0.1/24 dev tap0");
    server.run("ip link set tap0 up");
    client.run("ping -c 1 -W 5 -s 1400 10.77.0.1");
}

#[test]
fn s2_options_that_fit_nothing_here_or_there_end_the_attempt() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _sshd = sshd(&server, &keys, &keys.public("id"), "PermitTunnel yes\nCiphers aes128-gcm@openssh.com");
    for (option, words) in [
        ("Ciphers=aes256-gcm@openssh.com", "no common cipher"),
        ("Ciphers=3des-cbc", "it knows"),
        ("Ciphers=bogus", "is not a value of Ciphers"),
        ("KexAlgorithms=diffie-hellman-group1-sha1", "it knows"),
        ("HostKeyAlgorithms=rsa-sha2-512", "no common host key"),
        ("PubkeyAcceptedAlgorithms=rsa-sha2-512", "PubkeyAcceptedAlgorithms"),
        ("PreferredAuthentications=password", "permission denied"),
        ("CheckHostIP=yes", "CheckHostIP"),
        ("BindInterface=lo -o ConnectTimeout=2", "no answer from 192.0.2.1"),
        ("BindInterface=nothing0", "BindInterface nothing0"),
        ("KnownHostsCommand=/bin/false", "KnownHostsCommand"),
        ("RevokedHostKeys=/nonexistent", "/nonexistent"),
    ] {
        let mut link = connect(&client, &keys.path("id"), &format!("--once -o {option} root@192.0.2.1"));
        assert!(!link.ended().success(), "{option}");
        assert!(link.has_said(words), "{option}: {}", link.log());
    }
    let mut link = connect(
        &client,
        &keys.path("id"),
        "-B eth0 -o RevokedHostKeys=none -o Ciphers=+aes128-ctr root@192.0.2.1",
    );
    link.wait_for(": up device=");
}

/// The processes whose command line has this text.
fn processes(text: &Path) -> Vec<Pid> {
    let text = text.to_str().unwrap();
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let command = String::from_utf8_lossy(&fs::read(path.join("cmdline")).ok()?).into_owned();
        command.contains(text).then(|| path.file_name()?.to_str()?.parse().ok())?
    });
    numbers.map(Pid::from_raw).collect()
}

#[test]
fn u12_f_goes_to_the_background_once_the_link_is_up() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _sshd = sshd(&server, &keys, &keys.public("id"), "PermitTunnel yes");
    let state = client.path("state-connect");
    let log = client.path("log");
    let words = format!("-fN -E {} --address 10.77.0.2/24 root@192.0.2.1", log.display());
    assert!(connect(&client, &keys.path("id"), &words).ended().success());
    assert!(client.has_interface("tap0"), "the link is up when the command ends");
    assert!(fs::read_to_string(&log).unwrap().contains(": up device="));
    let [background] = processes(&state)[..] else { panic!("{:?}", processes(&state)) };
    kill(background, Signal::SIGTERM).unwrap();
    eventually("it is gone, and its tap with it", || {
        processes(&state).is_empty() && !client.has_interface("tap0")
    });
}

#[test]
fn u12_f_that_gets_no_link_fails_in_the_foreground() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _sshd = sshd(&server, &keys, &keys.public("host"), "PermitTunnel yes");
    for words in ["-fN --once root@192.0.2.1", "-o ForkAfterAuthentication=yes --once root@192.0.2.1"] {
        let mut link = connect(&client, &keys.path("id"), words);
        assert!(!link.ended().success());
        assert!(link.has_said("permission denied"), "{}", link.log());
    }
    let mut quiet = connect(&client, &keys.path("id"), "-qN --once root@192.0.2.1");
    assert!(!quiet.ended().success());
    assert_eq!(quiet.log(), "");
    assert!(processes(&client.path("state-connect")).is_empty());
}

#[test]
fn u12_a_command_on_the_far_side_comes_later() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("client");
    let output = host.output(tapline().args(["connect", "-F", "none", "192.0.2.1", "ip", "link"]));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`ip`: a command on the far side is not built yet"), "{said}");
}

#[test]
fn s15_a_log_in_that_fails_is_told_as_ssh_tells_it() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id", "stranger"]);
    let (client, server) = two_hosts();
    let banner = server.write("banner", "who goes there\n");
    let options = format!("PermitTunnel yes\nBanner {}\nPasswordAuthentication no", banner.display());
    let _sshd = sshd(&server, &keys, &keys.public("id"), &options);
    let stranger = keys.path("stranger");
    let offered = format!("offering {} ED25519 SHA256:", stranger.display());
    let told = |arguments: &str| {
        let mut link = connect(&client, &stranger, &format!("{arguments} --once root@192.0.2.1"));
        assert!(!link.ended().success());
        link.log()
    };
    let log = told("-v");
    for words in [
        "connected to 192.0.2.1 port 22",
        "UserKnownHostsFile",
        "host key of 192.0.2.1: ED25519 SHA256:",
        "the server's version is SSH-2.0-OpenSSH_",
        "agreed: key exchange ",
        "cipher ",
        "the server's banner: who goes there",
        &offered,
        "the server goes on with: publickey",
        "permission denied for root",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!told("").contains("offering"));
    let all = told("-vv");
    assert!(all.lines().count() < 300, "{} lines", all.lines().count());
    assert!(all.contains(&offered) && !all.contains("netlink"), "{all}");
}
