//! The daemon: what a configuration describes, kept up until it is told to stop.

mod accept;
mod desired;
mod link;
mod mac;
mod network;
mod notify;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_config::{Config, Link, LoadError, Server};
use tapline_control::{Desired, Interface, InterfaceName};
use tapline_device::{Device, MultiQueue, OffloadPolicy, OpenRequest, Unit};
use tapline_frame::Mode;
use tapline_transport::client::{self, NonInteractive, Prompter};
use tapline_transport::tunnel::NativePolicy;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::client_options::{self, ClientOptionsError};
use crate::ssh_options::{SshFiles, SshOptionsError};
use accept::AcceptingServer;
use link::{LinkHandle, LinkNews, LinkPlan};
use network::{NetworkError, NetworkHandle, NetworkKeeper};

pub(crate) use link::Persistence;

/// Everything a daemon needs to start: a configuration, or one link of the command line.
pub(crate) struct Plan {
    pub(crate) state_dir: PathBuf,
    pub(crate) bridges: Desired,
    pub(crate) links: Vec<LinkSpec>,
    pub(crate) server: Option<Server>,
}

/// A link as it is to be.
pub(crate) struct LinkSpec {
    pub(crate) name: String,
    /// What the configuration says, to be compared when it is read again.
    pub(crate) source: Option<Link>,
    pub(crate) options: client::Options,
    pub(crate) mode: Mode,
    pub(crate) local_unit: Unit,
    pub(crate) remote_unit: Option<u32>,
    pub(crate) native: NativePolicy,
    /// SSH connections over which its flows are spread.
    pub(crate) connections: u32,
    pub(crate) interface: Interface,
    pub(crate) persistence: Persistence,
    pub(crate) prompter: Arc<dyn Prompter>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("link {link}: {error}")]
    Options { link: String, error: ClientOptionsError },
    #[error(transparent)]
    SshFiles(#[from] SshOptionsError),
    #[error("link {link}: {error}")]
    Device { link: String, error: tapline_device::OpenError },
    #[error("link {link}: {why}")]
    Link { link: String, why: String },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Server(#[from] server::ServerError),
    #[error("cannot create {path}: {error}; give another directory with --state-dir")]
    StateDir { path: String, error: std::io::Error },
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// `tapline run`.
pub(crate) fn run(config: &Path, state_dir: &Path) -> Result<(), DaemonError> {
    client_options::keep_pins_in(state_dir);
    let plan = Plan::from_config(&Config::load(config)?, state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anything is added that a signal has to remove.
        let mut signals = Signals::new()?;
        let mut daemon = Daemon::start(plan).await?;
        notify::notify("READY=1");
        let ended = daemon.until_stopped(&mut signals, Some(config)).await;
        notify::notify("STOPPING=1");
        daemon.stop().await?;
        ended
    })
}

/// `tapline connect`: one link, until it is interrupted or cannot be opened.
pub(crate) fn connect(plan: Plan) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut daemon = Daemon::start(plan).await?;
        let ended = daemon.until_stopped(&mut signals, None).await;
        daemon.stop().await?;
        ended
    })
}

impl Plan {
    pub(crate) fn from_config(config: &Config, state_dir: &Path) -> Result<Self, DaemonError> {
        let files = SshFiles::read_default()?;
        let mut links = Vec::new();
        for (name, link) in &config.links {
            let options = client_options::of_link(&files, link)
                .map_err(|error| DaemonError::Options { link: name.to_string(), error })?;
            links.push(LinkSpec {
                name: name.to_string(),
                source: Some(link.clone()),
                options,
                mode: match link.tunnel {
                    tapline_config::Tunnel::Ethernet => Mode::Ethernet,
                    tapline_config::Tunnel::PointToPoint => Mode::PointToPoint,
                },
                local_unit: device_unit(link.tunnel_device.local),
                remote_unit: match link.tunnel_device.remote {
                    tapline_config::Unit::Any => None,
                    tapline_config::Unit::Number(number) => Some(number),
                },
                native: match link.native {
                    tapline_config::Native::Auto => NativePolicy::Auto,
                    tapline_config::Native::Only => NativePolicy::Only,
                    tapline_config::Native::No => NativePolicy::No,
                },
                connections: link.connections.get(),
                interface: desired::link_device(link),
                persistence: Persistence::Always,
                prompter: Arc::new(NonInteractive),
            });
        }
        Ok(Self {
            state_dir: state_dir.to_owned(),
            bridges: desired::bridges(config),
            links,
            server: config.server.clone(),
        })
    }
}

pub(crate) fn device_unit(unit: tapline_config::Unit) -> Unit {
    match unit {
        tapline_config::Unit::Any => Unit::Any,
        tapline_config::Unit::Number(number) => Unit::Number(number),
    }
}

/// A running daemon.
struct Daemon {
    network: NetworkHandle,
    server: Option<AcceptingServer>,
    server_config: Option<Server>,
    links: BTreeMap<String, RunningLink>,
    news_sender: mpsc::UnboundedSender<(String, LinkNews)>,
    news: mpsc::UnboundedReceiver<(String, LinkNews)>,
}

struct RunningLink {
    handle: LinkHandle,
    source: Option<Link>,
    interface: InterfaceName,
}

impl Daemon {
    /// Brings everything up, or takes back what was done so far.
    async fn start(plan: Plan) -> Result<Self, DaemonError> {
        std::fs::create_dir_all(&plan.state_dir)
            .map_err(|error| DaemonError::StateDir { path: plan.state_dir.display().to_string(), error })?;
        let (keeper, network) = NetworkKeeper::new(&plan.state_dir).await?;
        tokio::spawn(keeper.run());
        match Self::bring_up(plan, network.clone()).await {
            Ok(daemon) => Ok(daemon),
            Err(error) => {
                if let Err(left) = network.remove_all().await {
                    warn!("{left}");
                }
                Err(error)
            }
        }
    }

    async fn bring_up(plan: Plan, network: NetworkHandle) -> Result<Self, DaemonError> {
        // Devices first: their names decide what is wanted of the kernel.
        let mut desired = plan.bridges;
        let mut links = Vec::new();
        for link in plan.links {
            let (devices, interface) = open_devices(&link)?;
            desired.interfaces.insert(interface.clone(), link.interface.clone());
            links.push((link, devices, interface));
        }
        network.replace(desired).await?;

        let server = match &plan.server {
            Some(config) => Some(AcceptingServer::start(config, network.clone())?),
            None => None,
        };
        let (news_sender, news) = mpsc::unbounded_channel();
        let mut daemon =
            Self { network, server, server_config: plan.server, links: BTreeMap::new(), news_sender, news };
        for (link, devices, interface) in links {
            daemon.start_link(link, devices, interface)?;
        }
        Ok(daemon)
    }

    fn start_link(
        &mut self,
        link: LinkSpec,
        devices: Vec<Box<dyn Device>>,
        interface: InterfaceName,
    ) -> Result<(), DaemonError> {
        let plan = LinkPlan {
            name: link.name.clone(),
            options: link.options,
            devices,
            remote_unit: link.remote_unit,
            native: link.native,
            persistence: link.persistence,
        };
        let handle = LinkHandle::start(plan, link.prompter, self.news_sender.clone())?;
        self.links.insert(link.name, RunningLink { handle, source: link.source, interface });
        Ok(())
    }

    /// Returns when a signal asks for the end, or when the only link has given up.
    async fn until_stopped(
        &mut self,
        signals: &mut Signals,
        config: Option<&Path>,
    ) -> Result<(), DaemonError> {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Asked::Stop => return Ok(()),
                    Asked::Reload => self.reload(config).await,
                },
                Some((link, news)) = self.news.recv() => match news {
                    LinkNews::Up => self.network.settle(),
                    LinkNews::Down => {}
                    LinkNews::Ended(why) => {
                        self.links.remove(&link);
                        return Err(DaemonError::Link { link, why });
                    }
                },
            }
        }
    }

    /// Reads the configuration again. One with mistakes changes nothing.
    async fn reload(&mut self, config: Option<&Path>) {
        let Some(path) = config else { return };
        notify::notify("RELOADING=1");
        info!("reading {} again", path.display());
        let plan =
            Config::load(path).map_err(DaemonError::from).and_then(|config| Plan::from_config(&config, path));
        match plan {
            Ok(plan) => {
                if let Err(error) = self.change_to(plan).await {
                    error!("not everything could be changed: {error}");
                }
            }
            Err(error) => error!("the configuration is not used: {error}"),
        }
        notify::notify("READY=1");
    }

    /// Links whose sessions would be the same stay up.
    async fn change_to(&mut self, plan: Plan) -> Result<(), DaemonError> {
        let mut desired = plan.bridges;
        let mut stays = BTreeSet::new();
        let mut comes = Vec::new();
        for link in plan.links {
            match self.links.get_mut(&link.name) {
                Some(running) if same_session(running.source.as_ref(), link.source.as_ref()) => {
                    desired.interfaces.insert(running.interface.clone(), link.interface);
                    running.source = link.source;
                    stays.insert(link.name);
                }
                _ => comes.push(link),
            }
        }
        // What goes, goes first: a device number may be wanted anew.
        let (stay, go) =
            std::mem::take(&mut self.links).into_iter().partition(|(name, _)| stays.contains(name));
        self.links = stay;
        let go: BTreeMap<String, RunningLink> = go;
        for (_, link) in go {
            link.handle.stop().await;
        }
        let mut opened = Vec::new();
        for link in comes {
            let (devices, interface) = open_devices(&link)?;
            desired.interfaces.insert(interface.clone(), link.interface.clone());
            opened.push((link, devices, interface));
        }
        self.network.replace(desired).await?;
        for (link, devices, interface) in opened {
            self.start_link(link, devices, interface)?;
        }
        self.change_server_to(plan.server).await
    }

    async fn change_server_to(&mut self, config: Option<Server>) -> Result<(), DaemonError> {
        if self.server_config == config {
            return Ok(());
        }
        let same_addresses = matches!((&self.server_config, &config), (Some(before), Some(now)) if before.listen == now.listen);
        match (&config, &self.server) {
            (Some(config), Some(server)) if same_addresses => server.reload(config).await?,
            _ => {
                if let Some(server) = self.server.take() {
                    server.stop().await;
                }
                if let Some(config) = &config {
                    self.server = Some(AcceptingServer::start(config, self.network.clone())?);
                }
            }
        }
        self.server_config = config;
        Ok(())
    }

    /// Ends every session and removes exactly what was added.
    async fn stop(self) -> Result<(), DaemonError> {
        info!("stopping");
        for (_, link) in self.links {
            link.handle.stop().await;
        }
        if let Some(server) = self.server {
            server.stop().await;
        }
        Ok(self.network.remove_all().await?)
    }
}

/// The link's interface, with a queue for each connection if it has several.
fn open_devices(link: &LinkSpec) -> Result<(Vec<Box<dyn Device>>, InterfaceName), DaemonError> {
    let request =
        OpenRequest { mode: link.mode, unit: link.local_unit, name: None, offloads: OffloadPolicy::Probe };
    let device_error = |error| DaemonError::Device { link: link.name.clone(), error };
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    let name = if link.connections > 1 {
        let interface = MultiQueue::open(&request).map_err(device_error)?;
        mac::settle(link.mode, interface.name(), mac::End::Opened(&link.name), |address| {
            interface.set_address(address)
        });
        for _ in 0..link.connections {
            devices.push(Box::new(interface.queue().map_err(device_error)?));
        }
        interface.name().to_owned()
    } else {
        let device = tapline_device::open(&request).map_err(device_error)?;
        mac::settle(link.mode, device.name(), mac::End::Opened(&link.name), |address| {
            device.set_address(address)
        });
        let name = device.name().to_owned();
        devices.push(Box::new(device));
        name
    };
    let interface = name
        .parse()
        .map_err(|error| DaemonError::Link { link: link.name.clone(), why: format!("{error}") })?;
    Ok((devices, interface))
}

/// Whether both describe the same SSH session and device, whatever they say of addresses and the like.
fn same_session(running: Option<&Link>, wanted: Option<&Link>) -> bool {
    let session_part = |link: &Link| Link {
        bridge: None,
        mtu: None,
        macaddress: None,
        addresses: Vec::new(),
        routes: Vec::new(),
        accept_ra: None,
        link_local: None,
        ..link.clone()
    };
    running.map(session_part) == wanted.map(session_part)
}

enum Asked {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
