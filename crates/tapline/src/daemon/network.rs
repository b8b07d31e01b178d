//! The keeper of the kernel's network state: the one place of the process that changes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tapline_control::{Controller, Desired, Interface, InterfaceName, Journal, Outcome};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// Duplicate address detection takes the kernel up to two seconds (RFC 4862); then a failure is known.
const SETTLED: Duration = Duration::from_secs(3);

/// Asks the keeper for changes; cheap to clone and usable on any runtime.
#[derive(Debug, Clone)]
pub(crate) struct NetworkHandle {
    requests: mpsc::UnboundedSender<Request>,
}

/// Runs until every handle is gone or it is told to remove everything.
pub(crate) struct NetworkKeeper {
    controller: Controller,
    /// What the configuration names.
    configured: Desired,
    /// Interfaces of accepted links, which come and go.
    accepted: BTreeMap<InterfaceName, Interface>,
    requests: mpsc::UnboundedReceiver<Request>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("{0}")]
    State(#[from] tapline_control::JournalError),
    #[error("no netlink socket: {0}; is this a Linux kernel with CONFIG_NETLINK?")]
    Netlink(#[from] std::io::Error),
    #[error("{0}")]
    Privilege(#[from] tapline_control::MissingPrivilege),
    #[error("{0}")]
    Reconcile(#[from] tapline_control::ReconcileError),
    #[error("cannot remove all that was added: {0}; start and stop the daemon again to retry")]
    Remove(#[from] tapline_control::RemoveError),
    #[error("the network keeper has ended")]
    Ended,
}

enum Request {
    /// An interface has come: set it up so.
    Configure {
        name: InterfaceName,
        interface: Box<Interface>,
        reply: Reply,
    },
    /// An interface goes.
    Forget {
        name: InterfaceName,
    },
    /// A link came up: addresses that waited for carrier are detected now.
    Settle,
    /// The configuration names this.
    Replace {
        configured: Box<Desired>,
        reply: Reply,
    },
    RemoveAll {
        reply: Reply,
    },
}

type Reply = oneshot::Sender<Result<(), NetworkError>>;

impl NetworkKeeper {
    /// Takes over the network namespace of the calling thread, with what an earlier run left behind in `state`.
    pub(crate) async fn new(state: &Path) -> Result<(Self, NetworkHandle), NetworkError> {
        let journal = Journal::open(state.join("network.json"))?;
        let controller = Controller::new(journal)?.with_dad_deadline(Duration::ZERO);
        let (sender, requests) = mpsc::unbounded_channel();
        let keeper = Self { controller, configured: Desired::default(), accepted: BTreeMap::new(), requests };
        Ok((keeper, NetworkHandle { requests: sender }))
    }

    pub(crate) async fn run(mut self) {
        let mut settle: Option<Instant> = None;
        loop {
            let timer = async {
                match settle {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let request = tokio::select! {
                request = self.requests.recv() => request,
                () = timer => {
                    settle = None;
                    self.report_duplicates().await;
                    continue;
                }
            };
            match request {
                None => return,
                Some(Request::Configure { name, interface, reply }) => {
                    let before = self.accepted.insert(name.clone(), *interface);
                    let result = self.reconcile().await;
                    if result.is_err() {
                        match before {
                            Some(before) => self.accepted.insert(name, before),
                            None => self.accepted.remove(&name),
                        };
                    }
                    settle = Some(Instant::now() + SETTLED);
                    let _ = reply.send(result);
                }
                Some(Request::Forget { name }) => {
                    self.accepted.remove(&name);
                    if let Err(error) = self.reconcile().await {
                        warn!("{error}");
                    }
                }
                Some(Request::Settle) => settle = Some(Instant::now() + SETTLED),
                Some(Request::Replace { configured, reply }) => {
                    let before = std::mem::replace(&mut self.configured, *configured);
                    let result = self.reconcile().await;
                    if result.is_err() {
                        self.configured = before;
                    }
                    let _ = reply.send(result);
                }
                Some(Request::RemoveAll { reply }) => {
                    let result = self.controller.remove_all().await.map(drop).map_err(NetworkError::from);
                    let _ = reply.send(result);
                    return;
                }
            }
        }
    }

    async fn reconcile(&mut self) -> Result<(), NetworkError> {
        let outcome = self.controller.reconcile(&self.wanted()).await?;
        for change in &outcome.changes {
            info!("network: {change}");
        }
        Ok(())
    }

    fn wanted(&self) -> Desired {
        let mut wanted = self.configured.clone();
        wanted.interfaces.extend(self.accepted.clone());
        wanted
    }

    async fn report_duplicates(&mut self) {
        match self.controller.reconcile(&self.wanted()).await.map(Outcome::check) {
            Ok(Ok(_)) => {}
            Ok(Err(duplicates)) => warn!("{duplicates}"),
            Err(error) => warn!("{error}"),
        }
    }
}

impl NetworkHandle {
    /// Sets an interface up, with everything else that is wanted. An error leaves the state as it was.
    pub(crate) async fn configure(
        &self,
        name: InterfaceName,
        interface: Interface,
    ) -> Result<(), NetworkError> {
        self.ask(|reply| Request::Configure { name, interface: Box::new(interface), reply }).await
    }

    /// The interface is gone, or soon will be.
    pub(crate) fn forget(&self, name: InterfaceName) {
        let _ = self.requests.send(Request::Forget { name });
    }

    /// A link came up.
    pub(crate) fn settle(&self) {
        let _ = self.requests.send(Request::Settle);
    }

    /// From now on these bridges and interfaces are wanted, besides those of accepted links. An error leaves the
    /// state as it was.
    pub(crate) async fn replace(&self, desired: Desired) -> Result<(), NetworkError> {
        self.ask(|reply| Request::Replace { configured: Box::new(desired), reply }).await
    }

    /// Removes exactly what was added, and ends the keeper.
    pub(crate) async fn remove_all(&self) -> Result<(), NetworkError> {
        self.ask(|reply| Request::RemoveAll { reply }).await
    }

    async fn ask(&self, request: impl FnOnce(Reply) -> Request) -> Result<(), NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| NetworkError::Ended)?;
        answer.await.map_err(|_| NetworkError::Ended)?
    }
}
