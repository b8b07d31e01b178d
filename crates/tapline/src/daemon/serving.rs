//! The accepting side: what is wanted of it, what runs, and what it has to wait for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tapline_config::Server;
use tracing::{error, warn};

use super::accept::{AcceptingServer, Reserved};
use super::network::NetworkHandle;
use super::retry::Retry;
use super::server::ServerError;

/// Brings the server to what is wanted of it. Addresses that are not there yet are waited for.
pub(super) struct Serving {
    network: NetworkHandle,
    wanted: Option<(Server, Arc<Reserved>)>,
    running: Option<AcceptingServer>,
    /// Addresses that cannot be had, as it was said last.
    missing: BTreeSet<String>,
    /// Why the server could not be started, or keeps its former options.
    failed: Option<ServerError>,
    retry: Retry,
}

impl Serving {
    pub(super) fn new(network: NetworkHandle) -> Self {
        Self {
            network,
            wanted: None,
            running: None,
            missing: BTreeSet::new(),
            failed: None,
            retry: Retry::default(),
        }
    }

    /// As [`Serving::change_to`], where there is nothing but the server to go on with.
    ///
    /// # Errors
    /// Something is wrong that a person has to mend.
    pub(super) async fn start_alone(
        &mut self,
        wanted: Option<(Server, Arc<Reserved>)>,
    ) -> Result<(), ServerError> {
        let Some((server, reserved)) = &wanted else { return Ok(()) };
        let (running, missing) = AcceptingServer::start(server, Arc::clone(reserved), self.network.clone())?;
        self.wanted = wanted;
        self.running = Some(running);
        self.say(None, missing.iter().map(ToString::to_string).collect());
        Ok(())
    }

    /// From now on this is wanted, with the devices that the configuration names. Files that it names are read again though it is the same as before.
    pub(super) async fn change_to(&mut self, wanted: Option<(Server, Arc<Reserved>)>) {
        self.wanted = wanted;
        self.pursue(true).await;
    }

    /// Tries again what failed.
    pub(super) async fn try_again(&mut self) {
        self.pursue(self.failed.is_some()).await;
    }

    /// Ready when something that waits is to be tried again. Cancel safe.
    pub(super) async fn due(&self) {
        self.retry.due().await;
    }

    /// Soon, as an interface has come.
    pub(super) fn hurry(&mut self) {
        if !self.missing.is_empty() {
            self.retry.hurry(Instant::now());
        }
    }

    /// Ends every session; the devices are gone when this returns.
    pub(super) async fn stop(self) {
        if let Some(server) = self.running {
            server.stop().await;
        }
    }

    async fn pursue(&mut self, read_again: bool) {
        let mut failed = None;
        let mut missing = Vec::new();
        match (&self.wanted, &self.running) {
            (None, _) => {
                if let Some(server) = self.running.take() {
                    server.stop().await;
                }
            }
            (Some((wanted, reserved)), Some(server)) => {
                if read_again {
                    failed = server.reload(wanted, Arc::clone(reserved)).await.err();
                }
                missing = server.listen(wanted).await;
            }
            (Some((wanted, reserved)), None) => {
                match AcceptingServer::start(wanted, Arc::clone(reserved), self.network.clone()) {
                    Ok((server, not_there)) => {
                        self.running = Some(server);
                        missing = not_there;
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        self.say(failed, missing.iter().map(ToString::to_string).collect());
    }

    /// Each reason once.
    fn say(&mut self, failed: Option<ServerError>, missing: BTreeSet<String>) {
        for reason in missing.difference(&self.missing) {
            warn!("server: {reason}; waiting for it, the rest goes on");
        }
        let known = self.failed.as_ref().map(ToString::to_string);
        if let Some(failed) = failed.as_ref().filter(|failed| Some(failed.to_string()) != known) {
            match self.running {
                Some(_) => error!("{failed}; the server goes on with its former options"),
                None => error!("{failed}; the server waits for that"),
            }
        }
        self.retry.waits(failed.is_some() || !missing.is_empty(), Instant::now());
        self.missing = missing;
        self.failed = failed;
    }
}
