//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tapline_config::InterfaceAddress;

mod ssh;

pub(crate) use ssh::SshArguments;

/// Where the daemon looks for its configuration.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/tapline/tapline.yaml";
/// Where the daemon keeps the record of what it changed.
pub(crate) const DEFAULT_STATE_DIR: &str = "/run/tapline";

/// Ethernet over SSH: hosts that reach each other by SSH become ports of one layer-2 network.
#[derive(Debug, Parser)]
#[command(name = "tapline", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Say more on stderr: of a log-in what `ssh -v` says; twice for details of the SSH sessions.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tapline lab run deploy/examples/two-sites.yaml     two hosts as namespaces, and proof that a link works
  tapline connect -w any:any --address fd77::2/64 root@berlin.example.org
  tapline check -c /etc/tapline/tapline.yaml
  tapline run";

const SSH_LETTERS: &str = "\
The letters are ssh's and may be combined, as in -fN. -N, -T, -n, -a, -x, -k, -e and -2 are taken
as well and change nothing, as there is no shell; what else ssh knows is refused with the reason,
or named in the log.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground: server, links and bridges of the configuration.
    ///
    /// Says READY=1 to systemd once everything is set up. SIGHUP reads the configuration again; SIGTERM and Ctrl-C
    /// remove exactly what the daemon added to the kernel.
    Run(RunArgs),
    /// Report every mistake in a configuration and what will not work, with file:line:column and a hint.
    ///
    /// Refuses whatever `run` would refuse without asking the kernel: links are resolved through ssh_config, keys and
    /// certificates are read, and the network is drawn on paper. Warnings alone end with status 0.
    Check(CheckArgs),
    /// Open one link without a configuration file, as `ssh -w` does, and keep it up until interrupted.
    #[command(after_help = SSH_LETTERS)]
    Connect(Box<ConnectArgs>),
    /// Several hosts as network namespaces of this machine; no root needed, nothing of this host is touched.
    #[command(subcommand)]
    Lab(LabCommand),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,

    /// Where the record of changed network state is kept; a daemon that was killed finds there what to clean up.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    pub(crate) state_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) ssh: SshArguments,

    /// The SSH configuration to read instead of ~/.ssh/config and /etc/ssh/ssh_config; `none` reads none.
    #[arg(short = 'F', value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Append the log to this file instead of writing it to stderr.
    #[arg(short = 'E', value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// Make the tap a port of this bridge, which is created when it does not exist.
    #[arg(long, value_name = "BR", conflicts_with = "address")]
    pub(crate) bridge: Option<String>,

    /// Address of the device, with its prefix, and with `,peer=ADDRESS` the other end's; may be given several times.
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    pub(crate) address: Vec<InterfaceAddress>,

    /// Largest packet in bytes, without the Ethernet header.
    #[arg(long, value_name = "BYTES")]
    pub(crate) mtu: Option<u32>,

    /// Where the record of changed network state is kept. [default: one directory per link in /run/tapline]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Give up after the first failure instead of connecting again.
    #[arg(long)]
    pub(crate) once: bool,

    /// The SSH server: `[USER@]HOST` or `ssh://[USER@]HOST[:PORT]`.
    #[arg(value_name = "[USER@]HOST")]
    pub(crate) destination: String,

    /// Not built yet.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) remote_command: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Set the lab up, run the checks of its file, and take it down.
    Run(LabArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// The lab's file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Leave configurations, keys and logs in this directory, to be looked at.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests;
