//! The daemon: what a configuration describes, kept up until it is told to stop.

mod accept;
mod desired;
mod devices;
mod leftovers;
mod limits;
mod link;
mod links;
mod local_command;
mod mac;
mod network;
mod notify;
mod outside;
mod retry;
mod server;
mod serving;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_config::{Diagnostics, Link, LoadError, Loaded, Server};
use tapline_control::{Desired, Interface};
use tapline_device::Unit;
use tapline_frame::Mode;
use tapline_transport::client::{self, NonInteractive, Prompter};
use tapline_transport::tunnel::NativePolicy;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::client_options;
use crate::prepare::{Prepared, in_one_line, prepare};
use crate::ssh_options::SshFiles;
use link::LinkNews;
use links::Links;
use network::{NetworkError, NetworkHandle, NetworkKeeper, NetworkNews};
use serving::Serving;
use signals::{Asked, Signals};

pub(crate) use accept::Reserved;
pub(crate) use desired::{accepted_device, address, bridges, link_device};
pub(crate) use leftovers::own_directory;
pub(crate) use link::Persistence;
#[cfg(test)]
pub(crate) use server::options as server_options;
pub(crate) use server::path as server_path;

/// Everything a daemon needs to start: a configuration, or one link of the command line.
pub(crate) struct Plan {
    pub(crate) state_dir: PathBuf,
    pub(crate) bridges: Desired,
    pub(crate) links: Vec<WantedLink>,
    pub(crate) server: Option<Server>,
    /// The devices that the configuration names.
    pub(crate) reserved: Arc<Reserved>,
}

/// A link of the configuration or the command line.
pub(crate) enum WantedLink {
    Resolved(Box<LinkSpec>),
    /// With `ssh_config` as it is now, the link has no options.
    Unresolved {
        name: String,
        link: Box<Link>,
        reserved: Arc<Reserved>,
        why: String,
    },
}

/// A link as it is to be.
#[derive(Clone)]
pub(crate) struct LinkSpec {
    pub(crate) name: String,
    /// What the configuration says, to be compared when it is read again.
    pub(crate) source: Option<Link>,
    pub(crate) options: client::Options,
    pub(crate) mode: Mode,
    pub(crate) local_unit: Unit,
    /// A name of its own in the place of tapN and tunN.
    pub(crate) set_name: Option<String>,
    /// Devices that are others'.
    pub(crate) reserved: Arc<Reserved>,
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
    let plan = Plan::from_config(&Loaded::load(config)?, state_dir).map_err(LoadError::from)?;
    limits::raise_open_files();
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

/// `tapline connect`: one link, until it is interrupted or cannot be opened. `when_up` is called the first time that it
/// is up.
pub(crate) fn connect(plan: Plan, when_up: impl FnOnce() + 'static) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::of_a_terminal()?;
        let state_dir = plan.state_dir.clone();
        let mut daemon = Daemon::start(plan).await.inspect_err(|_| leftovers::forget(&state_dir))?;
        daemon.when_up = Some(Box::new(when_up));
        let ended = daemon.until_stopped(&mut signals, None).await;
        daemon.stop().await?;
        leftovers::forget(&state_dir);
        ended
    })
}

impl Plan {
    /// What a configuration wants.
    ///
    /// # Errors
    /// Every mistake in the file, as `check` says it.
    pub(crate) fn from_config(loaded: &Loaded, state_dir: &Path) -> Result<Self, Diagnostics> {
        let Prepared { links: mut resolved, mut waiting, warnings, .. } = prepare(loaded)?;
        for warning in loaded.warnings.iter().chain(&warnings) {
            warn!("{}", warning.in_one_line());
        }
        let config = &loaded.config;
        let reserved = Arc::new(Reserved::of(config));
        let links = config.links.iter().map(|(name, link)| match resolved.remove(name.as_str()) {
            Some(options) => {
                let spec = LinkSpec::new(name.as_str(), link, options, Arc::clone(&reserved));
                WantedLink::Resolved(Box::new(spec))
            }
            None => WantedLink::Unresolved {
                name: name.to_string(),
                link: Box::new(link.clone()),
                reserved: Arc::clone(&reserved),
                why: in_one_line(&waiting.remove(name.as_str()).unwrap_or_default()),
            },
        });
        let links = links.collect();
        Ok(Self {
            state_dir: state_dir.to_owned(),
            bridges: bridges(config),
            links,
            server: config.server.clone(),
            reserved,
        })
    }
}

impl WantedLink {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Resolved(spec) => &spec.name,
            Self::Unresolved { name, .. } => name,
        }
    }

    /// As `ssh_config` may have changed.
    fn resolve_again(&mut self) {
        let Self::Unresolved { name, link, reserved, why } = self else { return };
        let files = SshFiles::read_default().map_err(|error| error.to_string());
        let options =
            files.and_then(|files| client_options::of_link(&files, link).map_err(|error| error.to_string()));
        match options {
            Ok(options) => {
                *self = Self::Resolved(Box::new(LinkSpec::new(name, link, options, Arc::clone(reserved))))
            }
            Err(error) => *why = error,
        }
    }
}

impl LinkSpec {
    fn new(name: &str, link: &Link, options: client::Options, reserved: Arc<Reserved>) -> Self {
        Self {
            name: name.to_owned(),
            source: Some(link.clone()),
            options,
            mode: match link.tunnel {
                tapline_config::Tunnel::Ethernet => Mode::Ethernet,
                tapline_config::Tunnel::PointToPoint => Mode::PointToPoint,
            },
            local_unit: device_unit(link.tunnel_device.local),
            set_name: link.set_name.as_ref().map(ToString::to_string),
            reserved,
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
            interface: link_device(link),
            persistence: Persistence::Always,
            prompter: Arc::new(NonInteractive),
        }
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
    state_dir: PathBuf,
    links: Links,
    serving: Serving,
    link_news: mpsc::UnboundedReceiver<(String, LinkNews)>,
    network_news: mpsc::UnboundedReceiver<NetworkNews>,
    /// Of `connect`: called once.
    when_up: Option<Box<dyn FnOnce()>>,
}

impl Daemon {
    /// Brings up what can be had, or takes back what was done so far.
    async fn start(plan: Plan) -> Result<Self, DaemonError> {
        std::fs::create_dir_all(&plan.state_dir)
            .map_err(|error| DaemonError::StateDir { path: plan.state_dir.display().to_string(), error })?;
        leftovers::clean_up(&plan.state_dir).await;
        let (keeper, network, network_news) = NetworkKeeper::new(&plan.state_dir).await?;
        tokio::spawn(keeper.run());
        let (news, link_news) = mpsc::unbounded_channel();
        let mut daemon = Self {
            links: Links::new(network.clone(), news),
            serving: Serving::new(network.clone()),
            network,
            state_dir: plan.state_dir.clone(),
            link_news,
            network_news,
            when_up: None,
        };
        match daemon.bring_up(plan).await {
            Ok(()) => Ok(daemon),
            Err(error) => {
                if let Err(left) = daemon.stop().await {
                    warn!("{left}");
                }
                Err(error)
            }
        }
    }

    async fn bring_up(&mut self, plan: Plan) -> Result<(), DaemonError> {
        let only_serves = plan.links.is_empty();
        let server = plan.server.map(|server| (server, plan.reserved));
        self.links.change_to(plan.bridges, plan.links).await?;
        if let Some((link, why)) = self.links.hopeless() {
            return Err(DaemonError::Link { link, why });
        }
        if only_serves {
            self.serving.start_alone(server).await?;
        } else {
            self.serving.change_to(server).await;
        }
        Ok(())
    }

    /// Returns when a signal asks for the end, or when the only link has given up.
    async fn until_stopped(
        &mut self,
        signals: &mut Signals,
        config: Option<&Path>,
    ) -> Result<(), DaemonError> {
        loop {
            let done = tokio::select! {
                signal = signals.next() => match (signal, config) {
                    (Asked::Reload, Some(config)) => {
                        self.reload(config).await;
                        Ok(())
                    }
                    // The terminal is gone, and nobody sees the link any more.
                    (Asked::Reload, None) | (Asked::Stop, _) => return Ok(()),
                },
                Some((link, news)) = self.link_news.recv() => match news {
                    LinkNews::Up => {
                        self.network.settle();
                        if let Some(tell) = self.when_up.take() {
                            tell();
                        }
                        self.links.came_up(&link);
                        Ok(())
                    }
                    LinkNews::Down => Ok(()),
                    LinkNews::Speaks(dialect) => {
                        if let Some(interface) = self.links.interface_of(&link) {
                            self.network.peer_speaks(interface.clone(), dialect);
                        }
                        Ok(())
                    }
                    LinkNews::Ended(why) if self.links.persists(&link) => {
                        warn!("link {link}: {why}; it starts anew");
                        self.links.start_anew(&link).await
                    }
                    LinkNews::Ended(why) => return Err(DaemonError::Link { link, why }),
                },
                Some(news) = self.network_news.recv() => match news {
                    NetworkNews::Gone { interface, index } => self.links.interface_gone(&interface, index).await,
                    NetworkNews::Up(interface) => {
                        tracing::debug!(%interface, "up: what waits is tried again");
                        self.links.nudge();
                        self.serving.hurry();
                        Ok(())
                    }
                },
                () = self.links.due() => self.links.try_again().await,
                () = self.serving.due() => {
                    self.serving.try_again().await;
                    Ok(())
                }
            };
            if let Err(error) = done {
                warn!("{error}");
            }
        }
    }

    /// Reads the configuration again. One with mistakes changes nothing.
    async fn reload(&mut self, config: &Path) {
        notify::notify("RELOADING=1");
        info!("reading {} again", config.display());
        let plan = Loaded::load(config)
            .and_then(|loaded| Plan::from_config(&loaded, &self.state_dir).map_err(LoadError::from));
        match plan {
            Ok(plan) => {
                if let Err(error) = self.links.change_to(plan.bridges, plan.links).await {
                    error!("not everything could be changed: {error}");
                }
                self.serving.change_to(plan.server.map(|server| (server, plan.reserved))).await;
                self.links.nudge();
            }
            Err(error) => error!("the configuration is not used: {error}"),
        }
        notify::notify("READY=1");
    }

    /// Ends every session and removes exactly what was added.
    async fn stop(self) -> Result<(), DaemonError> {
        info!("stopping");
        self.links.stop().await;
        self.serving.stop().await;
        Ok(self.network.remove_all().await?)
    }
}
