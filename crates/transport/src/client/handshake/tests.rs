use super::*;

#[test]
fn peers_are_told_by_their_first_words() {
    assert_eq!(greeting(b""), Greeting::Nothing);
    assert_eq!(greeting(b"SSH-2.0-OpenSSH_9.2\r\n\0\0\x05"), Greeting::Ssh2);
    assert_eq!(greeting(b"Welcome\r\nto this host\r\nSSH-2.0-x\r\n"), Greeting::Ssh2);
    assert_eq!(greeting(b"SSH-1.5-old\n"), Greeting::Old("SSH-1.5-old".to_owned()));
    assert_eq!(
        greeting(b"Exceeded MaxStartups\r\n"),
        Greeting::TurnedAway("Exceeded MaxStartups".to_owned())
    );
    assert_eq!(
        greeting(b"HTTP/1.1 400 Bad Request\r\n"),
        Greeting::Other("HTTP/1.1 400 Bad Request".to_owned())
    );
    assert_eq!(greeting(b"\x16\x03\x01\x1b[2J"), Greeting::Other("\\u{16}\\u{3}\\u{1}\\u{1b}[2J".to_owned()));
}

#[test]
fn s10_a_peer_that_says_much_before_its_version_is_still_one() {
    for before in ["x\n".repeat(1000), format!("{}\r\n", "x".repeat(8000)), "\n".repeat(511), String::new()] {
        for version in
            ["SSH-2.0-x", "SSH-2.1-OpenSSH_9.2 and a comment that is longer than what is kept of a line"]
        {
            let said = format!("{before}{version}\r\n\0\0\x05");
            // In whatever pieces it comes.
            for size in [1, 7, 600, said.len()] {
                let heard = Heard::default();
                let _ = said.as_bytes().chunks(size).any(|some| heard.add(some));
                assert_eq!(greeting(&heard.bytes()), Greeting::Ssh2, "{} bytes", before.len());
            }
        }
    }
    let heard = Heard::default();
    assert!(!heard.add(&b"HTTP/1.1 400\r\n\r\n SSH-2.0-x\n".repeat(1000)));
    assert!(matches!(greeting(&heard.bytes()), Greeting::Other(_)));
}

#[test]
fn a_failure_is_explained_by_what_the_peer_said() {
    let explained = |said: &[u8], error| {
        let heard = Heard::default();
        heard.add(said);
        explain(HandshakeError::Failed(HandlerError::Ssh(error)), "berlin.example.org", &heard)
    };
    assert_eq!(
        explained(b"220 mail ESMTP\r\n", SshError::Disconnect).to_string(),
        "berlin.example.org speaks no SSH, its answer begins with \"220 mail ESMTP\"; check the port"
    );
    assert!(matches!(explained(b"", SshError::HUP), ConnectError::ClosedEarly { .. }));
    assert!(matches!(explained(b"SSH-2.0-x\r\n", SshError::HUP), ConnectError::ClosedEarly { .. }));
    let turned_away = explained(b"Not allowed at this time\r\n", SshError::Disconnect);
    assert!(!turned_away.is_permanent(), "{turned_away}");
    let none_common = SshError::NoCommonAlgo {
        kind: AlgorithmKind::Kex,
        ours: Vec::new(),
        theirs: vec!["diffie-hellman-group1-sha1".to_owned(), "\x1b[2J".to_owned()],
    };
    let message = explained(b"SSH-2.0-x\r\n", none_common).to_string();
    assert!(message.contains("key exchange algorithm"), "{message}");
    assert!(message.contains("which has diffie-hellman-group1-sha1,[2J;"), "{message}");
}
