//! A lab from beginning to end, inside of its namespaces.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tapline_config::{Diagnostics, InvalidValue, Lab, Name};

use crate::check::{Daemons, attempt};
use crate::daemon::Daemon;
use crate::directory::{Directory, DirectoryError, write};
use crate::identity::{Identity, IdentityError};
use crate::log::tail;
use crate::message::Request;
use crate::network::{BuildError, World};
use crate::outcome::Outcome;
use crate::render::{self, Files};
use crate::report::Event;
use crate::topology::{Topology, TopologyError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("host `{host}`: {source}")]
    Render { host: String, source: InvalidValue },
    #[error("host `{host}`: cannot start the daemon: {source}")]
    Daemon { host: String, source: io::Error },
}

/// How long a daemon may take to remove what it added.
const STOP: Duration = Duration::from_secs(5);
/// Lines of a log that are shown.
const TAIL: usize = 12;

/// Brings the lab up, tries its checks, and takes it down. The last event is [`Event::Finished`].
pub(crate) fn run(request: &Request, report: &mut dyn FnMut(Event)) -> Result<(), SessionError> {
    let lab = Lab::from_str(&request.file, &request.text)?;
    let topology = Topology::of(&lab)?;
    report(Event::Starting { hosts: topology.hosts.len(), networks: topology.networks.len() });
    let directory = match &request.keep {
        Some(path) => Directory::kept(path)?,
        None => Directory::private()?,
    };
    if let Some(path) = &request.keep {
        report(Event::Files { directory: path.clone() });
    }
    let world = World::build(&topology)?;
    let daemons = start(&lab, &world, &directory, &request.daemon)?;

    let mut outcome = Outcome::default();
    for check in &lab.checks {
        let result = attempt(check, &world, &daemons);
        report(Event::Checked(result.clone()));
        outcome.checks.push(result);
    }
    stop(daemons, &mut outcome);
    report(Event::Finished(outcome));
    Ok(())
}

fn start(lab: &Lab, world: &World, directory: &Directory, program: &Path) -> Result<Daemons, SessionError> {
    let identities: BTreeMap<Name, Identity> = lab
        .hosts
        .iter()
        .filter(|(_, host)| host.tapline.is_some())
        .map(|(name, _)| Ok((name.clone(), Identity::new(name.as_str())?)))
        .collect::<Result<_, IdentityError>>()?;
    let known_hosts = render::known_hosts(lab, &identities);
    let mut daemons = BTreeMap::new();
    for (name, host) in &lab.hosts {
        let (Some(written), Some(identity)) = (&host.tapline, identities.get(name)) else { continue };
        let Some(namespace) = world.hosts.get(name) else { continue };
        let home = directory.of_host(name.as_str())?;
        let files = Files::below(&home);
        let configuration = render::configuration(lab, name, written, &files, &identities)
            .map_err(|source| SessionError::Render { host: name.to_string(), source })?;
        write(&files.configuration, &configuration.to_yaml())?;
        write(&files.host_key, &identity.host.private)?;
        write(&files.identity, &identity.user.private)?;
        write(&files.known_hosts, &known_hosts)?;
        write(&files.authorized_keys, &render::authorized_keys(name, &identities))?;
        directory.of_host(&format!("{name}/state"))?;
        let daemon = Daemon::start(program, &files, &home, namespace)
            .map_err(|source| SessionError::Daemon { host: name.to_string(), source })?;
        daemons.insert(name.clone(), daemon);
    }
    Ok(Mutex::new(daemons))
}

fn stop(daemons: Daemons, outcome: &mut Outcome) {
    let mut daemons = daemons.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !outcome.passed() {
        outcome.logs =
            daemons.iter().map(|(host, daemon)| (host.to_string(), tail(&daemon.log(), TAIL))).collect();
    }
    // A daemon that ended before is the reason of a check that failed, unless there was none.
    let ended: Vec<Name> =
        daemons.iter_mut().filter_map(|(host, daemon)| daemon.ended().map(|_| host.clone())).collect();
    daemons.values().for_each(Daemon::terminate);
    let deadline = Instant::now() + STOP;
    for (host, daemon) in &mut daemons {
        let warning = match daemon.wait(deadline) {
            None => format!("the daemon of {host} did not end within {} s of SIGTERM", STOP.as_secs()),
            Some(status) if ended.contains(host) => format!("the daemon of {host} ended by itself, {status}"),
            // One that was still starting had no handler yet for the signal it was sent.
            Some(status) if status.success() || status.signal() == Some(Signal::SIGTERM as i32) => continue,
            Some(status) => format!("the daemon of {host} ended badly, {status}"),
        };
        outcome.warnings.push(warning);
    }
}
