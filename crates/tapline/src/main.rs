//! The program: command line, daemon, checks and labs. Only wiring; the work is in the other crates.

mod background;
mod cli;
mod client_options;
mod connect;
mod daemon;
mod log;
mod prepare;
mod ssh_options;
mod tuning;

use std::io::{IsTerminal, Stdout, Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use tapline_config::{LoadError, Loaded, Severity};
use tapline_lab::{Event, LabError, Report, RunOptions, TextReport};
use tracing_subscriber::EnvFilter;

use cli::{CheckArgs, Cli, Command, LabArgs, LabCommand};
use connect::ConnectError;
use daemon::DaemonError;

/// Something did not work.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const WRONG_USAGE: u8 = 2;
/// `connect` failed; as ssh.
const SSH_FAILED: u8 = 255;

fn main() -> ExitCode {
    // A lab starts this program again for its inside, before anything else may have happened in it.
    if let Some(code) = tapline_lab::entry() {
        return code;
    }
    let cli = Cli::parse();
    let mut is_quiet = false;
    if let Command::Connect(args) = &cli.command {
        is_quiet = args.ssh.quiet;
        if let Some(path) = &args.log_file
            && let Err(error) = connect::log_to(path)
        {
            log::say(&format!("tapline: {error}"));
            return ExitCode::from(WRONG_USAGE);
        }
    }
    start_log(cli.verbose, is_quiet);
    if matches!(cli.command, Command::Run(_) | Command::Connect(_)) {
        log::begin();
    }
    let result = match cli.command {
        Command::Run(args) => daemon::run(&args.config, &args.state_dir).map_err(Failure::from),
        Command::Check(args) => check(&args),
        Command::Connect(args) => connect::connect(*args).map_err(Failure::from),
        Command::Lab(LabCommand::Run(args)) => lab(&args),
    };
    match result {
        Ok(()) => {
            log::finish();
            ExitCode::SUCCESS
        }
        Err(Failure { text, code }) => {
            if !text.is_empty() && (!is_quiet || code == WRONG_USAGE) {
                log::say(&text);
            }
            log::finish();
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
            ConnectError::Failed(error) => Self { code: SSH_FAILED, ..error.into() },
            error @ ConnectError::Background(_) => {
                Self { text: format!("tapline: {error}"), code: SSH_FAILED }
            }
            ConnectError::Ended(code) => Self { text: String::new(), code },
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = Loaded::load(&args.config)?;
    let prepared = prepare::prepare(&loaded).map_err(LoadError::from)?;
    let config = &loaded.config;
    let server = if config.server.is_some() { ", a server" } else { "" };
    let summary = format!("{} links, {} bridges{server}", config.links.len(), config.bridges.len());
    let found = prepared.into_diagnostics(loaded);
    if found.has_errors() {
        return Err(LoadError::from(found).into());
    }
    let warnings = found.iter().filter(|found| found.severity == Severity::Warning).count();
    let and = match warnings {
        0 => String::new(),
        1 => ", one warning".to_owned(),
        several => format!(", {several} warnings"),
    };
    if warnings > 0 {
        log::say(&format!("{found}\n"));
    }
    print(&format!("{}: {summary}; no mistakes{and}", args.config.display()));
    Ok(())
}

fn lab(args: &LabArgs) -> Result<(), Failure> {
    let mut report =
        LabReport { text: (!args.json).then(|| TextReport::new(stdout(), has_colours(&stdout()))) };
    let options = RunOptions { keep: args.keep.clone(), ..RunOptions::default() };
    let outcome = tapline_lab::run(&args.file, &options, &mut report).map_err(|error| match error {
        LabError::Invalid(diagnostics) => Failure { text: diagnostics.to_string(), code: WRONG_USAGE },
        error @ LabError::Read { .. } => Failure { text: format!("tapline: {error}"), code: WRONG_USAGE },
        error => Failure { text: format!("tapline: {error}"), code: FAILED },
    })?;
    if args.json {
        let json = serde_json::to_string_pretty(&outcome)
            .map_err(|error| Failure { text: format!("tapline: {error}"), code: FAILED })?;
        print(&json);
    }
    // The report has said which checks failed and why.
    if outcome.passed() { Ok(()) } else { Err(Failure { text: String::new(), code: FAILED }) }
}

/// On stdout. A reader who has gone, such as `head`, is no mistake.
fn print(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// Lines for people, or nothing until the end.
struct LabReport {
    text: Option<TextReport<Stdout>>,
}

impl Report for LabReport {
    fn event(&mut self, event: &Event) {
        if let Some(text) = &mut self.text {
            text.event(event);
        }
    }
}

fn start_log(verbose: u8, is_quiet: bool) {
    // Of other crates only what concerns an administrator: russh tells of every packet, and netlink of every attribute.
    let default = match verbose {
        _ if is_quiet => "off",
        0 => "info,russh_channels=off",
        1 => "warn,tapline=debug,russh_channels=off",
        2 => "warn,tapline=trace,russh_channels=debug,russh_channels::sshbuffer=info",
        _ => "debug,tapline=trace,russh_channels=trace",
    };
    let filter = EnvFilter::try_from_env("TAPLINE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log::writer)
        .with_target(verbose > 1)
        .with_ansi(has_colours(&stderr()))
        // What cannot be written is lost, and that is all that happens.
        .log_internal_errors(false)
        .init();
}

/// As <https://no-color.org> has it.
fn has_colours(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
