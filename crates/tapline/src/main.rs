//! The program: command line, daemon, checks and labs. Only wiring; the work is in the other crates.

mod cli;
mod client_options;
mod connect;
mod daemon;
mod ssh_options;

use std::process::ExitCode;

use clap::Parser;
use tapline_config::{Config, LoadError};
use tracing_subscriber::EnvFilter;

use cli::{CheckArgs, Cli, Command, LabCommand};
use connect::ConnectError;
use daemon::DaemonError;

/// Something did not work.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.verbose);
    let result = match cli.command {
        Command::Run(args) => daemon::run(&args.config, &args.state_dir).map_err(Failure::from),
        Command::Check(args) => check(&args),
        Command::Connect(args) => connect::connect(*args).map_err(Failure::from),
        Command::Lab(LabCommand::Run(args)) => lab(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { text, code }) => {
            if !text.is_empty() {
                eprintln!("{text}");
            }
            ExitCode::from(code)
        }
    }
}

/// What goes to stderr, and the exit status.
struct Failure {
    text: String,
    code: u8,
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read { .. } => Self { text: format!("tapline: {error}"), code: WRONG_USAGE },
            LoadError::Invalid(diagnostics) => Self { text: diagnostics.to_string(), code: WRONG_USAGE },
        }
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Config(error) => error.into(),
            error => Self { text: format!("tapline: {error}"), code: FAILED },
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Usage(error) => Self { text: format!("tapline: {error}"), code: WRONG_USAGE },
            ConnectError::Failed(error) => error.into(),
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let server = if config.server.is_some() { ", a server" } else { "" };
    println!(
        "{}: {} links, {} bridges{server}; no mistakes",
        args.config.display(),
        config.links.len(),
        config.bridges.len()
    );
    Ok(())
}

fn lab(_args: &cli::LabArgs) -> Result<(), Failure> {
    Err(Failure { text: "tapline: labs are not built yet".to_owned(), code: FAILED })
}

fn start_log(verbose: u8) {
    // russh tells of every packet, at levels that suit a library under development.
    let default = match verbose {
        0 => "info,russh_channels=off",
        1 => "debug,russh_channels=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("TAPLINE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(verbose > 1)
        .init();
}
