//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tapline_config::{InterfaceAddress, TunnelDevice};

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
    /// Tunnel devices here and there, each a number or `any`.
    #[arg(short = 'w', value_name = "LOCAL[:REMOTE]")]
    pub(crate) tunnel_device: Option<TunnelDevice>,

    /// An option of ssh_config(5), such as `Tunnel=point-to-point`; may be given several times.
    #[arg(short = 'o', value_name = "OPTION=VALUE")]
    pub(crate) options: Vec<String>,

    /// Private key to log in with; may be given several times.
    #[arg(short = 'i', value_name = "KEY")]
    pub(crate) identity: Vec<PathBuf>,

    /// Port of the SSH server.
    #[arg(short = 'p', value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// Name to log in with.
    #[arg(short = 'l', value_name = "USER")]
    pub(crate) user: Option<String>,

    /// Hosts to go through, as in `ssh -J`.
    #[arg(short = 'J', value_name = "HOST[,HOST]")]
    pub(crate) jump: Option<String>,

    /// The SSH configuration to read instead of ~/.ssh/config and /etc/ssh/ssh_config; `none` reads none.
    #[arg(short = 'F', value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

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

    /// The SSH server.
    #[arg(value_name = "[USER@]HOST")]
    pub(crate) destination: String,
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
