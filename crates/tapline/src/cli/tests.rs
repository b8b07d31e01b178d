use clap::{CommandFactory, Parser};
use tapline_config::Unit;

use super::*;

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
    assert_eq!(args.tunnel_device.unwrap().local, Unit::Number(7));
    assert_eq!(args.tunnel_device.unwrap().remote, Unit::Any);
    assert_eq!((args.port, args.options.as_slice()), (Some(2222), ["Tunnel=ethernet".to_owned()].as_slice()));
    assert_eq!(args.destination, "root@berlin.example.org");
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
