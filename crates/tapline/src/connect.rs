//! `tapline connect`: what `ssh -w` does, in the same words.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tapline_config::ssh_config::{self, HostOptions, Tunnel, TunnelUnit};
use tapline_control::{Bridge, Desired, Interface, InterfaceName, InterfaceNameError};
use tapline_device::Unit;
use tapline_frame::Mode;
use tapline_transport::client::{AlgorithmKind, Terminal};
use tapline_transport::tunnel::NativePolicy;

use crate::background;
use crate::cli::{ConnectArgs, DEFAULT_STATE_DIR};
use crate::client_options::{self, ClientOptionsError};
use crate::daemon::{self, DaemonError, LinkSpec, Persistence, Plan, WantedLink};
use crate::ssh_options::{SshFiles, SshOptionsError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{0}")]
    Usage(#[from] UsageError),
    #[error("{0}")]
    Failed(#[from] DaemonError),
    #[error("cannot go to the background: {0}")]
    Background(io::Error),
    /// The one in the background has said why it ended.
    #[error("")]
    Ended(u8),
}

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error(transparent)]
    Options(#[from] SshOptionsError),
    #[error(transparent)]
    Client(#[from] ClientOptionsError),
    #[error("--bridge: {0}")]
    Bridge(#[from] InterfaceNameError),
    #[error(
        "--bridge needs Ethernet frames, and the SSH configuration says Tunnel=point-to-point; add -o Tunnel=ethernet"
    )]
    BridgeOfPackets,
    #[error("`{0}` is no destination; write [USER@]HOST or ssh://[USER@]HOST[:PORT]")]
    Destination(String),
    #[error("`{0}`: a command on the far side is not built yet; run it with ssh, once the link is up")]
    RemoteCommand(String),
    #[error("cannot write the log to {path}: {error}; give -E another file")]
    LogFile { path: String, error: io::Error },
}

/// `-E`: from here on what goes to stderr goes to the file.
pub(crate) fn log_to(path: &Path) -> Result<(), UsageError> {
    let failed = |error| UsageError::LogFile { path: path.display().to_string(), error };
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    nix::unistd::dup2_stderr(file).map_err(|error| failed(error.into()))
}

pub(crate) fn connect(args: ConnectArgs) -> Result<(), ConnectError> {
    if let Some(first) = args.remote_command.first() {
        return Err(UsageError::RemoteCommand(first.clone()).into());
    }
    let files = match &args.ssh_config {
        Some(path) => SshFiles::read(path),
        None => SshFiles::read_default(),
    }
    .map_err(UsageError::from)?;
    let resolved = resolve(&files, &args)?;
    if args.ssh.print {
        client_options::tell(&resolved.warnings);
        let lines = lines(&resolved).map_err(UsageError::from)?;
        // Whoever reads no further has what he wants.
        let _ = io::stdout().write_all(lines.as_bytes());
        return Ok(());
    }
    let background = resolved.fork_after_authentication == Some(true);
    if background && !background::is_inside() {
        return match background::start().map_err(ConnectError::Background)? {
            None => Ok(()),
            Some(code) => Err(ConnectError::Ended(code)),
        };
    }
    let plan = plan(&files, &resolved, args)?;
    if !background {
        return Ok(daemon::connect(plan, || {})?);
    }
    background::stay_with_parent();
    daemon::connect(plan, || {
        if let Err(error) = background::leave_terminal() {
            tracing::warn!("cannot leave the terminal: {error}");
        }
    })?;
    Ok(())
}

/// What holds for the destination, with the defaults of a link in place of ssh's.
fn resolve(files: &SshFiles, args: &ConnectArgs) -> Result<HostOptions, UsageError> {
    let mut query = ssh_config::parse_destination(&args.destination)
        .ok_or_else(|| UsageError::Destination(args.destination.clone()))?;
    query.user = args.ssh.user.clone().or(query.user);
    query.port = args.ssh.port.or(query.port);
    let mut resolved = files.resolve(&args.ssh.options, &query)?;
    if args.ssh.background {
        resolved.fork_after_authentication = Some(true);
    }
    resolved.server_alive_interval.get_or_insert(client_options::ALIVE_INTERVAL);
    resolved.connect_timeout.get_or_insert(client_options::CONNECT_TIMEOUT);
    resolved.required_rsa_size.get_or_insert_with(client_options::least_rsa_size);
    resolved.tunnel = Some(match mode(&resolved) {
        Mode::PointToPoint => Tunnel::PointToPoint,
        Mode::Ethernet => Tunnel::Ethernet,
    });
    Ok(resolved)
}

/// The options in the form of `ssh -G`.
fn lines(resolved: &HostOptions) -> Result<String, ClientOptionsError> {
    let algorithms = client_options::algorithms(resolved)?;
    let or_default = |chosen: Option<Vec<String>>, kind: AlgorithmKind| {
        chosen.unwrap_or_else(|| kind.defaults()).join(",")
    };
    let mut lines = resolved.lines();
    lines.extend([
        ("ciphers", or_default(algorithms.cipher, AlgorithmKind::Cipher)),
        ("hostkeyalgorithms", or_default(algorithms.host_key.map(|keys| keys.names), AlgorithmKind::HostKey)),
        ("kexalgorithms", or_default(algorithms.key_exchange, AlgorithmKind::KeyExchange)),
        ("casignaturealgorithms", or_default(algorithms.ca_signature, AlgorithmKind::CaSignature)),
        ("macs", or_default(algorithms.mac, AlgorithmKind::Mac)),
        ("pubkeyacceptedalgorithms", or_default(algorithms.public_key, AlgorithmKind::PublicKey)),
    ]);
    Ok(lines.into_iter().map(|(name, value)| format!("{name} {value}\n")).collect())
}

fn plan(files: &SshFiles, resolved: &HostOptions, args: ConnectArgs) -> Result<Plan, UsageError> {
    client_options::keep_pins_in(args.state_dir.as_deref().unwrap_or(Path::new(DEFAULT_STATE_DIR)));
    let options = client_options::of_host(files, resolved)?;
    let mode = mode(resolved);

    let mut bridges = Desired::default();
    let mut interface = Interface {
        addresses: args.address.iter().map(daemon::address).collect(),
        mtu: args.mtu,
        ..Interface::default()
    };
    if let Some(bridge) = &args.bridge {
        if mode == Mode::PointToPoint {
            return Err(UsageError::BridgeOfPackets);
        }
        let bridge: InterfaceName = bridge.parse()?;
        bridges
            .bridges
            .insert(bridge.clone(), Bridge { settings: Interface::default(), ..Bridge::default() });
        interface.bridge = Some(bridge);
        interface.link_local_ipv6 = Some(false);
    }

    let devices = units(resolved);
    // Each `connect` of this host has a record of its own; nobody else's is cleaned up by it.
    let state_dir = args.state_dir.unwrap_or_else(daemon::own_directory);
    Ok(Plan {
        state_dir,
        bridges,
        links: vec![WantedLink::Resolved(Box::new(LinkSpec {
            name: args.destination,
            source: None,
            options,
            mode,
            local_unit: devices.0,
            set_name: None,
            reserved: Arc::default(),
            remote_unit: match devices.1 {
                Unit::Any => None,
                Unit::Number(number) => Some(number),
            },
            native: NativePolicy::Auto,
            connections: 1,
            interface,
            persistence: if args.once { Persistence::Never } else { Persistence::OnceEstablished },
            prompter: Arc::new(Terminal::default()),
        }))],
        server: None,
        reserved: Arc::default(),
    })
}

/// `ssh -w` without `Tunnel` means point-to-point; Tapline is about Ethernet, so here it means that.
fn mode(options: &HostOptions) -> Mode {
    match options.tunnel {
        Some(Tunnel::PointToPoint) => Mode::PointToPoint,
        Some(Tunnel::Ethernet | Tunnel::No) | None => Mode::Ethernet,
    }
}

fn units(options: &HostOptions) -> (Unit, Unit) {
    let unit = |unit| match unit {
        TunnelUnit::Any => Unit::Any,
        TunnelUnit::Number(number) => Unit::Number(number),
    };
    let device = options.tunnel_device();
    (unit(device.local), unit(device.remote))
}

#[cfg(test)]
mod tests;
