//! The links that this host opens: what is wanted, what runs, and what has to wait for something of this host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use futures::future::join_all;
use tapline_config::Link;
use tapline_control::{Desired, InterfaceName};
use tapline_device::Device;
use tokio::sync::mpsc;
use tracing::warn;

use super::devices::{self, Devices};
use super::link::{Doors, LinkHandle, LinkNews, LinkPlan};
use super::network::{NetworkError, NetworkHandle};
use super::retry::Retry;
use super::{LinkSpec, Persistence, WantedLink, local_command, outside};

/// Brings what runs to what is wanted, link by link: the trouble of one holds up no other.
pub(super) struct Links {
    network: NetworkHandle,
    news: mpsc::UnboundedSender<(String, LinkNews)>,
    bridges: Desired,
    wanted: BTreeMap<String, WantedLink>,
    running: BTreeMap<String, RunningLink>,
    /// Interfaces that links had when they were deleted.
    former: BTreeMap<String, InterfaceName>,
    /// Why links wait, as it was said last.
    waiting: BTreeMap<String, String>,
    retry: Retry,
    doors: Arc<Doors>,
}

struct RunningLink {
    handle: LinkHandle,
    spec: LinkSpec,
    interface: InterfaceName,
    index: u32,
    /// The local command, as long as it runs.
    command: Option<JoinHandle<()>>,
}

/// A change of links: all that can fail is done before anything is stopped.
#[derive(Default)]
struct Change {
    /// Running links that end.
    ends: BTreeSet<String>,
    /// Links whose devices are open.
    ready: Vec<(LinkSpec, Devices)>,
    /// Links that go on with the device of the running one of their name.
    inherit: Vec<LinkSpec>,
    /// Links whose device belongs to a running one that ends.
    follow: Vec<(LinkSpec, String)>,
    /// Links that cannot be had now, and why.
    waiting: BTreeMap<String, String>,
}

impl Links {
    pub(super) fn new(network: NetworkHandle, news: mpsc::UnboundedSender<(String, LinkNews)>) -> Self {
        Self {
            network,
            news,
            bridges: Desired::default(),
            wanted: BTreeMap::new(),
            running: BTreeMap::new(),
            former: BTreeMap::new(),
            waiting: BTreeMap::new(),
            retry: Retry::default(),
            doors: Arc::default(),
        }
    }

    /// From now on these are wanted. What cannot be had waits, a link of its name that works goes on meanwhile, and so does
    /// one of which nothing has changed but addresses and the like.
    ///
    /// # Errors
    /// The network as a whole cannot be changed.
    pub(super) async fn change_to(
        &mut self,
        bridges: Desired,
        wanted: Vec<WantedLink>,
    ) -> Result<(), NetworkError> {
        self.bridges = bridges;
        self.wanted = wanted.into_iter().map(|link| (link.name().to_owned(), link)).collect();
        self.former.retain(|name, _| self.wanted.contains_key(name));
        self.pursue().await
    }

    /// Why a link that cannot wait has to: nobody is there who would come back for it.
    pub(super) fn hopeless(&self) -> Option<(String, String)> {
        self.waiting
            .iter()
            .find(|(name, _)| !self.persists(name))
            .map(|(name, why)| (name.clone(), why.clone()))
    }

    /// Whether the link is kept up whatever happens to it.
    pub(super) fn persists(&self, name: &str) -> bool {
        match self.wanted.get(name) {
            Some(WantedLink::Resolved(spec)) => spec.persistence == Persistence::Always,
            Some(WantedLink::Unresolved { .. }) => true,
            None => false,
        }
    }

    /// Ready when something that waits is to be tried again. Cancel safe.
    pub(super) async fn due(&self) {
        self.retry.due().await;
    }

    /// Tries again what waits.
    ///
    /// # Errors
    /// As [`Links::change_to`].
    pub(super) async fn try_again(&mut self) -> Result<(), NetworkError> {
        for link in self.wanted.values_mut() {
            link.resolve_again();
        }
        self.pursue().await
    }

    /// The interface that a link has.
    pub(super) fn interface_of(&self, name: &str) -> Option<&InterfaceName> {
        self.running.get(name).map(|link| &link.interface)
    }

    /// Links that wait for the next attempt make it now.
    pub(super) fn nudge(&self) {
        for link in self.running.values() {
            link.handle.nudge();
        }
    }

    /// The link is up: its local command runs, unless that of the last time still does.
    pub(super) fn came_up(&mut self, name: &str) {
        let Some(link) = self.running.get_mut(name) else { return };
        let Some(command) = &link.spec.options.local_command else { return };
        if link.command.as_ref().is_some_and(|running| !running.is_finished()) {
            warn!(link = name, "the local command still runs, and is not started again");
            return;
        }
        match local_command::start(name, command, link.interface.as_str()) {
            Ok(running) => link.command = Some(running),
            Err(error) => warn!(link = name, "no thread for the local command: {error}"),
        }
    }

    /// The interface with this number was deleted. If it is a link's it is made anew, and only then the link logs in again.
    ///
    /// # Errors
    /// As [`Links::change_to`].
    pub(super) async fn interface_gone(
        &mut self,
        interface: &InterfaceName,
        index: u32,
    ) -> Result<(), NetworkError> {
        // Not by its name, which one that a link gave up may have had.
        let owner = self.running.iter().find(|(_, link)| link.index == index);
        let Some(name) = owner.map(|(name, _)| name.clone()) else { return Ok(()) };
        warn!(link = name, "{interface} was deleted; it is made anew");
        self.start_anew(&name).await
    }

    /// A link has come to an end that none was to come to.
    ///
    /// # Errors
    /// As [`Links::change_to`].
    pub(super) async fn start_anew(&mut self, name: &str) -> Result<(), NetworkError> {
        if let Some(link) = self.running.remove(name) {
            drop(link.handle.stop().await);
            self.former.insert(name.to_owned(), link.interface);
        }
        self.pursue().await
    }

    /// Ends every link; the devices are gone when this returns.
    pub(super) async fn stop(self) {
        drop(join_all(self.running.into_values().map(|link| link.handle.stop())).await);
    }

    async fn pursue(&mut self) -> Result<(), NetworkError> {
        let mut change = self.prepare();
        self.settle_followers(&mut change);
        let mut ended = self.end(&change.ends).await;
        for spec in change.inherit {
            let devices = match ended.remove(&spec.name) {
                Some(devices) if devices.queues.len() == spec.connections as usize => Ok(devices),
                // A thread of the link has lost its own.
                _ => devices::open(&spec, None),
            };
            match devices {
                Ok(devices) => change.ready.push((spec, devices)),
                Err(error) => drop(change.waiting.insert(spec.name, error.to_string())),
            }
        }
        drop(ended);
        for (spec, _) in change.follow {
            match devices::open(&spec, None) {
                Ok(devices) => change.ready.push((spec, devices)),
                Err(error) => drop(change.waiting.insert(spec.name, error.to_string())),
            }
        }

        let mut desired = self.bridges.clone();
        let running = self.running.values().map(|link| (link.interface.clone(), link.spec.interface.clone()));
        desired.interfaces.extend(running);
        let ready =
            change.ready.iter().map(|(spec, devices)| (devices.interface.clone(), spec.interface.clone()));
        desired.interfaces.extend(ready);
        for (spec, devices) in &change.ready {
            // Before a route covers the way to the server, or a bridge takes the interface that leads there. A link with
            // neither covers nothing but its own network; then its first attempt is early enough.
            if !spec.interface.routes.is_empty() || spec.interface.bridge.is_some() {
                let servers = outside::servers(&spec.options).await;
                self.network.keep_outside(devices.interface.clone(), servers).await;
            }
        }
        let result = self.network.replace(desired).await;
        if result.is_ok() {
            for (spec, devices) in change.ready {
                if let Err((name, error)) = self.start(spec, devices) {
                    change.waiting.insert(name, error.to_string());
                }
            }
        }
        self.say(change.waiting);
        let unfinished = result.is_err() || !self.waiting.is_empty();
        self.retry.waits(unfinished, Instant::now());
        result
    }

    /// Opens what can be opened while everything goes on.
    fn prepare(&mut self) -> Change {
        let mut change = Change::default();
        let unwanted = self.running.keys().filter(|name| !self.wanted.contains_key(*name));
        change.ends.extend(unwanted.cloned());
        for (name, wanted) in &self.wanted {
            let spec = match wanted {
                WantedLink::Resolved(spec) => spec,
                WantedLink::Unresolved { why, .. } => {
                    change.waiting.insert(name.clone(), why.clone());
                    continue;
                }
            };
            match self.running.get_mut(name) {
                Some(running) if same_session(running.spec.source.as_ref(), spec.source.as_ref()) => {
                    running.spec.source.clone_from(&spec.source);
                    running.spec.interface.clone_from(&spec.interface);
                    continue;
                }
                Some(running) if devices::are_the_same(&running.spec, spec) => {
                    change.ends.insert(name.clone());
                    change.inherit.push((**spec).clone());
                    continue;
                }
                _ => {}
            }
            match devices::open(spec, self.former.get(name)) {
                Ok(devices) => {
                    change.ready.push(((**spec).clone(), devices));
                    change.ends.insert(name.clone());
                }
                Err(error) => {
                    let interface = devices::chosen_name(spec);
                    let holder = self
                        .running
                        .iter()
                        .find(|(_, link)| interface.as_deref() == Some(link.interface.as_str()));
                    change.waiting.insert(name.clone(), error.to_string());
                    if let Some((holder, _)) = holder.filter(|_| error.is_taken()) {
                        change.ends.insert(name.clone());
                        change.follow.push(((**spec).clone(), holder.clone()));
                    }
                }
            }
        }
        change
    }

    /// A link whose device is another's has it only if that other one ends.
    fn settle_followers(&self, change: &mut Change) {
        while let Some(blocked) = change.follow.iter().position(|(_, holder)| !change.ends.contains(holder)) {
            let (spec, _) = change.follow.remove(blocked);
            change.ends.remove(&spec.name);
        }
        for (spec, _) in &change.follow {
            change.waiting.remove(&spec.name);
        }
    }

    /// Ends links, all at once, and returns their devices.
    async fn end(&mut self, names: &BTreeSet<String>) -> BTreeMap<String, Devices> {
        let mut ending = Vec::new();
        for name in names {
            let Some(RunningLink { handle, interface, index, .. }) = self.running.remove(name) else {
                continue;
            };
            ending.push(async move {
                let queues: Vec<Box<dyn Device>> = handle.stop().await;
                (name.clone(), Devices { queues, interface, index })
            });
        }
        join_all(ending).await.into_iter().collect()
    }

    fn start(&mut self, spec: LinkSpec, devices: Devices) -> Result<(), (String, std::io::Error)> {
        let name = spec.name.clone();
        let mut options = spec.options.clone();
        outside::keep(&mut options, &self.network, &devices.interface);
        let plan = LinkPlan {
            name: name.clone(),
            options,
            devices: devices.queues,
            remote_unit: spec.remote_unit,
            native: spec.native,
            persistence: spec.persistence,
            doors: Arc::clone(&self.doors),
        };
        let started = LinkHandle::start(plan, spec.prompter.clone(), self.news.clone());
        let handle = started.map_err(|error| (name.clone(), error))?;
        self.former.remove(&name);
        let Devices { interface, index, .. } = devices;
        self.running.insert(name, RunningLink { handle, spec, interface, index, command: None });
        Ok(())
    }

    /// Each reason once.
    fn say(&mut self, waiting: BTreeMap<String, String>) {
        for (name, why) in &waiting {
            if self.waiting.get(name) != Some(why) && self.persists(name) {
                let meanwhile = match self.running.contains_key(name) {
                    true => "it goes on as it was until then",
                    false => "it waits for that",
                };
                warn!("link {name}: {why}; {meanwhile}");
            }
        }
        self.waiting = waiting;
    }
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
