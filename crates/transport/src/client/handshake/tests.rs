use super::*;

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

#[test]
fn s13_a_time_out_names_the_step() {
    let limit = std::time::Duration::from_secs(10);
    let timed_out = |said: &[u8]| {
        let heard = Heard::default();
        heard.add(said);
        explain(HandshakeError::TimedOut(limit), "berlin.example.org", &heard).to_string()
    };
    assert_eq!(
        timed_out(b""),
        "berlin.example.org took the connection and then sent no SSH version within 10 s; check that the port is an SSH \
         server's"
    );
    let version = timed_out(b"SSH-2.0-x\r\n");
    assert!(version.contains("sent its SSH version and then no key exchange"), "{version}");
    assert!(version.contains("lower the MTU"), "{version}");
    let kexinit = timed_out(b"SSH-2.0-x\r\n\0\0\0\x0c\x04\x140123456789");
    assert!(kexinit.contains("did not answer ours (SSH_MSG_KEX_ECDH_REPLY) within 10 s"), "{kexinit}");
    assert!(kexinit.contains("ping -M do"), "{kexinit}");
}
