use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

fn resolved(arguments: &[&str], ssh_config: &str) -> Result<HostOptions, UsageError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, ssh_config).unwrap();
    let cli = Cli::try_parse_from(["tapline", "connect"].iter().chain(arguments)).unwrap();
    let Command::Connect(args) = cli.command else { panic!("{:?}", cli.command) };
    resolve(&SshFiles::read(&path)?, &args)
}

#[test]
fn s11_a_destination_may_be_a_uri() {
    let options = resolved(&["ssh://root@berlin.example.org:2222"], "User no\nPort 7").unwrap();
    assert_eq!((options.host_name(), options.user(), options.port()), ("berlin.example.org", "root", 2222));
    let options = resolved(&["-p", "1", "-l", "me", "ssh://root@berlin:2222"], "").unwrap();
    assert_eq!((options.user(), options.port()), ("me", 1));
    let options = resolved(&["-o", "User=x", "-oPort=9", "ssh://root@berlin:2222"], "").unwrap();
    assert_eq!((options.user(), options.port()), ("x", 9));
    for destination in ["ssh://", "ssh://berlin/path", "@berlin", "ssh://berlin:x", "root@"] {
        let message = resolved(&[destination], "").unwrap_err().to_string();
        assert!(message.contains("ssh://[USER@]HOST[:PORT]"), "{message}");
    }
}

#[test]
fn s15_the_options_are_printed_as_ssh_prints_them() {
    let options =
        resolved(&["-w", "7", "-c", "aes128-ctr", "root@Berlin"], "ServerAliveInterval 60\nPort 2222")
            .unwrap();
    let text = lines(&options).unwrap();
    for line in [
        "host Berlin",
        "user root",
        "hostname berlin",
        "port 2222",
        "tunnel ethernet",
        "tunneldevice 7:any",
        "serveraliveinterval 60",
        "ciphers aes128-ctr",
        "stricthostkeychecking ask",
        "connecttimeout 10",
        "rekeylimit 0 0",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}:\n{text}");
    }
    assert!(lines(&resolved(&["-c", "3des-cbc", "h"], "").unwrap()).is_err());
    assert!(resolved(&["-c", "bogus", "h"], "").is_err());
}

#[test]
fn u2_a_configured_interval_takes_the_place_of_the_default() {
    let interval = |text: &str| resolved(&["h"], text).unwrap().server_alive_interval();
    assert_eq!(interval(""), client_options::ALIVE_INTERVAL);
    assert_eq!(interval("ServerAliveInterval 60"), Duration::from_secs(60));
    assert_eq!(interval("ServerAliveInterval 0"), Duration::ZERO);
}
