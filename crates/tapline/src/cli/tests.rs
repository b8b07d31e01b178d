use super::*;
use clap::{CommandFactory, Parser};

#[test]
fn the_table_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_spelling_of_ssh_works() {
    let cli = Cli::try_parse_from([
        "tapline",
        "connect",
        "-w",
        "7:any",
        "-o",
        "Tunnel=ethernet",
        "-p",
        "2222",
        "-i",
        "/k",
        "root@berlin.example.org",
    ])
    .unwrap();
    let Command::Connect(args) = cli.command else { panic!("{:?}", cli.command) };
    assert_eq!(args.ssh.port, Some(2222));
    assert_eq!(args.ssh.options, ["TunnelDevice=7:any", "Tunnel=ethernet", "IdentityFile=\"/k\""]);
    assert_eq!(args.destination, "root@berlin.example.org");
}

fn connect(arguments: &[&str]) -> Result<ConnectArgs, clap::Error> {
    let cli = Cli::try_parse_from(["tapline", "connect"].iter().chain(arguments))?;
    let Command::Connect(args) = cli.command else { panic!("{:?}", cli.command) };
    Ok(*args)
}

#[test]
fn u12_habits_of_ssh_are_taken() {
    for arguments in [
        &["-N", "berlin"][..],
        &["-fN", "berlin"],
        &["-fNT", "-w", "any:any", "root@berlin"],
        &["-Nnaxk2T", "berlin"],
        &["-e", "none", "berlin"],
        &["berlin", "-N", "-v", "-v"],
        &["-NvC", "-4", "-o", "Tunnel=ethernet", "ssh://root@berlin:2222"],
        &["-NN", "berlin"],
        &["-AXYtgK", "berlin"],
        &["-qG", "berlin"],
        &[
            "-E",
            "/tmp/log",
            "-b",
            "192.0.2.1",
            "-B",
            "eth0",
            "-c",
            "aes128-ctr",
            "-m",
            "hmac-sha2-256",
            "berlin",
        ],
        &["-p2222", "-lroot", "-i/k", "-Jhop", "berlin"],
    ] {
        assert!(connect(arguments).is_ok(), "{arguments:?}: {}", connect(arguments).unwrap_err());
    }
    let args = connect(&["-fq", "-G", "berlin", "-N"]).unwrap().ssh;
    assert!(args.background && args.quiet && args.print);
    assert_eq!(args.options, [""; 0]);
    let said = |arguments: &[&str]| connect(arguments).unwrap().ssh.options;
    assert_eq!(said(&["-4", "h"]), ["AddressFamily=inet"]);
    assert_eq!(said(&["-6", "h"]), ["AddressFamily=inet6"]);
    assert_eq!(said(&["-C", "h"]), ["Compression=yes"]);
    assert_eq!(said(&["-P", "lab", "h"]), ["Tag=lab"]);
    assert_eq!(said(&["-i", "/a \"b\"", "h"]), ["IdentityFile=\"/a \\\"b\\\"\""]);
}

#[test]
fn u12_the_order_of_letters_and_options_counts_as_for_ssh() {
    let said = |arguments: &[&str]| {
        let SshArguments { options, user, port, .. } = connect(arguments).unwrap().ssh;
        (options, user, port)
    };
    let (options, user, port) = said(&["-p", "1", "-o", "Port=2", "-l", "a", "-oUser=b", "h"]);
    assert_eq!((options.len(), user.as_deref(), port), (0, Some("a"), Some(1)));
    let (options, user, port) = said(&["-o", "port 2", "-p", "1", "-ouser=b", "-l", "a", "h"]);
    assert_eq!((options, user, port), (vec!["port 2".to_owned(), "user=b".to_owned()], None, None));
    assert_eq!(
        said(&["-l", "a", "-l", "b", "-p", "1", "-p", "2", "h"]),
        (Vec::new(), Some("a".to_owned()), Some(1))
    );
    assert_eq!(
        said(&["-o", "Ciphers=a", "-c", "b", "-c", "d", "h"]).0,
        ["Ciphers=d", "Ciphers=b", "Ciphers=a"]
    );
    assert_eq!(said(&["-J", "a", "-o", "ProxyJump=b", "h"]).0, ["ProxyJump=a", "ProxyJump=b"]);
}

#[test]
fn u12_what_is_not_here_is_refused_in_words() {
    for (arguments, words) in [
        (&["-1", "h"][..], "version 1"),
        (&["-y", "h"], "-E"),
        (&["-s", "h"], "subsystem"),
        (&["-M", "h"], "not built yet"),
        (&["-S", "/x", "h"], "not built yet"),
        (&["-O", "check", "h"], "not built yet"),
        (&["-L", "1:h:2", "h"], "forwarded"),
        (&["-R", "1:h:2", "h"], "forwarded"),
        (&["-D", "1", "h"], "forwarded"),
        (&["-W", "h:1", "h"], "forwarded"),
        (&["-Q", "cipher", "h"], "known"),
        (&["-p", "0", "h"], "65535"),
        (&["-w", "ethernet", "h"], "Tunnel=ethernet"),
    ] {
        let error = connect(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
        assert!(error.to_string().contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn u12_a_command_is_told_from_options() {
    let args = connect(&["-N", "berlin", "ip", "link", "-s"]).unwrap();
    assert_eq!(args.remote_command, ["ip", "link", "-s"]);
    assert!(connect(&["berlin"]).unwrap().remote_command.is_empty());
}

#[test]
fn a_wrong_unit_is_wrong_usage() {
    let error = Cli::try_parse_from(["tapline", "connect", "-w", "x", "berlin.example.org"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

/// The help is part of the interface: a change of it is to be seen in review.
#[test]
fn help_is_as_committed() {
    let mut command = Cli::command().term_width(100);
    let mut help = command.render_help().to_string();
    for name in ["run", "check", "connect", "lab"] {
        help.push_str(&format!(
            "\n==== {name}\n{}",
            command.find_subcommand_mut(name).unwrap().render_help()
        ));
    }
    let committed = include_str!("help.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help.txt"), &help).unwrap();
        return;
    }
    assert_eq!(help, committed, "run with UPDATE_SNAPSHOTS=1 to accept the new help");
}
