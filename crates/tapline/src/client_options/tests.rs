use std::path::Path;

use tapline_config::Config;
use tapline_transport::Congestion;

use super::*;

fn of(yaml: &str) -> Options {
    let config = Config::from_str("test.yaml", yaml).unwrap();
    let files = SshFiles::read(Path::new("none")).unwrap();
    of_link(&files, config.links.values().next().unwrap()).unwrap()
}

#[test]
fn a_link_that_says_nothing_of_its_path_has_the_default() {
    assert_eq!(of("links: {berlin: {host: berlin.example.org}}").tuning, Tuning::default());
}

#[test]
fn a_link_says_how_its_path_is_used() {
    let options = of("links: {berlin: {host: berlin.example.org, window-limit: 1G, congestion: dctcp}}");
    assert_eq!(
        options.tuning,
        Tuning { window_limit: 1 << 30, congestion: Congestion::Named("dctcp".to_owned()) }
    );
}

#[test]
fn the_first_jump_host_has_the_connection() {
    let options = of(
        "links: {berlin: {host: berlin.example.org, proxy-jump: 'a,b', congestion: system, window-limit: 1M}}",
    );
    let Proxy::Jump(hops) = &options.proxy else { panic!("{:?}", options.proxy) };
    let wanted = Tuning { window_limit: 1 << 20, congestion: Congestion::System };
    assert_eq!(hops.iter().map(|hop| &hop.tuning).collect::<Vec<_>>(), [&wanted, &wanted]);
}

#[test]
fn u2_a_silent_peer_is_asked_and_an_attempt_ends_unless_somebody_says_otherwise() {
    let seconds = |number| Some(Duration::from_secs(number));
    for (more, interval, count, timeout) in [
        ("", seconds(5), 3, seconds(10)),
        (", server-alive-interval: 15", seconds(15), 3, seconds(10)),
        (", server-alive-interval: 0", None, 3, seconds(10)),
        (", server-alive-count-max: 7", seconds(5), 7, seconds(10)),
        (", connect-timeout: 1m", seconds(5), 3, seconds(60)),
        (", connect-timeout: 0", seconds(5), 3, None),
        (", proxy-command: 'nc %h %p'", seconds(5), 3, seconds(10)),
    ] {
        let options = of(&format!("links: {{berlin: {{host: berlin.example.org{more}}}}}"));
        let has = (options.server_alive_interval, options.server_alive_count_max, options.connect_timeout);
        assert_eq!(has, (interval, count, timeout), "{more}");
    }
    // A file of ssh_config is somebody too.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, "ServerAliveInterval 45\nConnectTimeout 3\n").unwrap();
    let files = SshFiles::read(&file).unwrap();
    let query = Query { host: "berlin.example.org".to_owned(), user: None, port: None };
    let options = of_host(&files, &files.resolve(&[], &query).unwrap()).unwrap();
    assert_eq!((options.server_alive_interval, options.connect_timeout), (seconds(45), seconds(3)));
}

fn of_file(text: &str) -> Result<Options, ClientOptionsError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, text).unwrap();
    let files = SshFiles::read(&path)?;
    let host = files.resolve(&[], &Query { host: "berlin.example.org".into(), ..Query::default() })?;
    of_host(&files, &host)
}

#[test]
fn s2_lists_of_algorithms_reach_the_client() {
    let options = of_file(
        "Ciphers aes128-ctr,aes256-gcm@openssh.com\nMACs ^hmac-sha2-256\nKexAlgorithms -curve*\n\
         HostKeyAlgorithms rsa-sha2-512\nCASignatureAlgorithms ssh-ed25519\nPubkeyAcceptedKeyTypes ssh-ed25519*\n\
         RequiredRSASize 4096",
    );
    let Options { algorithms, required_rsa_size, .. } = options.unwrap();
    let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    assert_eq!(algorithms.cipher, list(&["aes128-ctr", "aes256-gcm@openssh.com"]));
    assert_eq!(
        algorithms.mac,
        list(&["hmac-sha2-256", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"])
    );
    assert_eq!(algorithms.key_exchange, list(&["mlkem768x25519-sha256"]));
    assert_eq!(
        algorithms.host_key,
        Some(HostKeyAlgorithms { names: vec!["rsa-sha2-512".to_owned()], ordered: true })
    );
    assert_eq!(algorithms.ca_signature, list(&["ssh-ed25519"]));
    assert_eq!(algorithms.public_key, list(&["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"]));
    assert_eq!(required_rsa_size, 4096);
    assert_eq!(of_file("").unwrap().algorithms, Algorithms::default());
}

#[test]
fn s2_a_list_of_which_nothing_is_known_is_refused_and_the_known_named() {
    for (line, known) in [
        ("Ciphers aes128-cbc,3des-cbc", "aes256-gcm@openssh.com"),
        ("Ciphers -*", "chacha20-poly1305@openssh.com"),
        ("MACs hmac-sha1", "hmac-sha2-512-etm@openssh.com"),
        ("KexAlgorithms diffie-hellman-group1-sha1", "curve25519-sha256"),
        ("HostKeyAlgorithms ssh-rsa", "rsa-sha2-512"),
        ("PubkeyAcceptedAlgorithms ssh-dss", "ssh-ed25519"),
        ("CASignatureAlgorithms ssh-rsa", "ssh-ed25519"),
        ("PreferredAuthentications hostbased,gssapi-with-mic", "keyboard-interactive"),
    ] {
        let message = of_file(line).unwrap_err().to_string();
        assert!(message.contains("knows") && message.contains(known), "{message}");
        assert!(message.contains(line.split(' ').next().unwrap()), "{message}");
    }
}

#[test]
fn s3_what_was_passed_over_reaches_the_client() {
    let options = of_file(
        "BindInterface lo\nRevokedHostKeys /r /s\nKnownHostsCommand /bin/false %H\nTCPKeepAlive no\n\
         PreferredAuthentications password,publickey\nNumberOfPasswordPrompts 1\nKbdInteractiveDevices pam",
    )
    .unwrap();
    assert_eq!(options.bind_interface.as_deref(), Some("lo"));
    assert_eq!(options.revoked_host_keys, [PathBuf::from("/r"), PathBuf::from("/s")]);
    let command = options.known_hosts_command.unwrap();
    assert_eq!(command.words, ["/bin/false", "%H"]);
    assert_eq!(command.tokens[&'h'], "berlin.example.org");
    assert!(!options.tcp_keep_alive);
    assert_eq!(options.preferred_authentications.unwrap(), ["password", "publickey"]);
    assert_eq!(options.number_of_password_prompts, 1);
    assert_eq!(options.kbd_interactive_devices.as_deref(), Some("pam"));
}

#[test]
fn s5_no_limit_is_a_connect_timeout_of_zero() {
    let limit = |text: &str| of_file(text).unwrap().connect_timeout;
    assert_eq!(limit("ConnectTimeout 0"), None);
    assert_eq!(limit("ConnectTimeout 0s\nConnectTimeout 7"), None);
    assert_eq!(limit("ConnectTimeout 7"), Some(Duration::from_secs(7)));
    assert_eq!(of_file("ServerAliveInterval 0").unwrap().server_alive_interval, None);
    for time in ["0", "0s", "0m"] {
        let options =
            of(&format!("links: {{berlin: {{host: berlin.example.org, connect-timeout: {time}}}}}"));
        assert_eq!(options.connect_timeout, None, "{time}");
    }
    let silent = of("links: {berlin: {host: berlin.example.org, server-alive-interval: 0}}");
    assert_eq!(silent.server_alive_interval, None);
}

#[test]
fn u13_a_local_command_waits_for_the_name_of_its_interface() {
    for (command, line) in [
        ("logger up %T", "logger up %T"),
        ("echo 100%% %h", "echo 100%% berlin.example.org"),
        ("echo %%T %T%T", "echo %%T %T%T"),
        ("date", "date"),
    ] {
        let options =
            of(&format!("links: {{berlin: {{host: berlin.example.org, local-command: '{command}'}}}}"));
        assert_eq!(options.local_command.as_deref(), Some(line), "{command}");
    }
    assert_eq!(of("links: {berlin: {host: berlin.example.org}}").local_command, None);
}
