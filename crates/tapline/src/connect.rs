//! `tapline connect`: what `ssh -w` does, in the same words.

use std::path::Path;
use std::sync::Arc;

use tapline_config::ssh_config::{HostOptions, Query, Tunnel, TunnelUnit};
use tapline_control::{Bridge, Desired, Interface, InterfaceName, InterfaceNameError};
use tapline_device::Unit;
use tapline_frame::Mode;
use tapline_transport::client::Terminal;
use tapline_transport::tunnel::NativePolicy;

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
}

pub(crate) fn connect(args: ConnectArgs) -> Result<(), ConnectError> {
    Ok(daemon::connect(plan(args)?)?)
}

fn plan(args: ConnectArgs) -> Result<Plan, UsageError> {
    client_options::keep_pins_in(args.state_dir.as_deref().unwrap_or(Path::new(DEFAULT_STATE_DIR)));
    let files = match &args.ssh_config {
        Some(path) => SshFiles::read(path)?,
        None => SshFiles::read_default()?,
    };
    let (user, host) = match args.destination.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host.to_owned()),
        None => (args.user.clone(), args.destination.clone()),
    };
    let query = Query { host, user, port: args.port };
    let resolved = files.resolve(&ssh_arguments(&args), &query)?;
    let options = client_options::of_host(&files, &resolved)?;
    let mode = mode(&resolved);

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

    let devices = args.tunnel_device.map_or_else(
        || units(&resolved),
        |device| (daemon::device_unit(device.local), daemon::device_unit(device.remote)),
    );
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

/// What the letters of the command line say, as arguments of `-o`; the user's own come first and win.
fn ssh_arguments(args: &ConnectArgs) -> Vec<String> {
    let mut options = args.options.clone();
    options.extend(args.identity.iter().map(|path| format!("IdentityFile=\"{}\"", path.display())));
    options.extend(args.jump.iter().map(|jump| format!("ProxyJump={jump}")));
    options
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
