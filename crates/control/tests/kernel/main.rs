//! The crate against a real kernel, each test in fresh network namespaces of its own:
//!
//! ```text
//!   +------ here ------+          +------ there -----+
//!   |             eth0 |==========| eth0             |
//!   +------------------+   veth   +------------------+
//! ```
//!
//! Needs root, or `unshare -Urn cargo test`. The interfaces of the host are never touched.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy takes what tests call for production code")]

mod addresses;
mod bridges;
mod events;
mod filters;
mod found;
mod namespaces;
mod outside;
mod privilege;
mod recovery;
mod returning;
mod routes;

use std::{collections::BTreeSet, future::Future};

use tapline_control::{
    Controller, Desired, IfAddr, Interface, InterfaceName, IpNet, Journal, Link, Observed,
    namespace::{Namespace, NamespaceError, WireEnd, wire},
};

/// Two hosts and a wire, both of its ends up.
struct Hosts {
    here: Namespace,
    there: Namespace,
}

/// `None`, said loudly, where the privilege is missing; in CI that is a failure.
fn hosts() -> Option<Hosts> {
    let hosts = Hosts { here: namespace()?, there: namespace()? };
    let end = |namespace| WireEnd::new(namespace, name("eth0"));
    wire(&end(&hosts.here), &end(&hosts.there)).unwrap();
    Some(hosts)
}

fn namespace() -> Option<Namespace> {
    match Namespace::new() {
        Ok(namespace) => Some(namespace),
        Err(NamespaceError::Create(error)) if std::env::var_os("CI").is_none() => {
            eprintln!(
                "SKIPPED: no network namespaces here ({error}); run the tests as root or with unshare -Urn"
            );
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> BTreeSet<IfAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// `eth0` alone.
fn eth0(settings: Interface) -> Desired {
    Desired { interfaces: [(name("eth0"), settings)].into(), ..Desired::default() }
}

/// Runs `test` in the namespace with a controller that keeps no file.
fn controlled<T: Send, F: Future<Output = T>>(
    namespace: &Namespace,
    test: impl FnOnce(Controller) -> F + Send,
) -> T {
    namespace.block_on(|| test(Controller::new(Journal::in_memory()).unwrap())).unwrap()
}

/// What must be the same again after removal: all but what the kernel changes by itself, such as carrier and the end
/// of duplicate address detection.
fn essence(observed: &Observed) -> Vec<(InterfaceName, Link)> {
    let settled = |(name, link): (&InterfaceName, &Link)| {
        let mut link = link.clone();
        link.carrier = false;
        link.addresses.iter_mut().for_each(|address| address.tentative = false);
        link.addresses.sort_by_key(|address| address.assigned());
        link.routes.sort_by_key(|found| found.route);
        (name.clone(), link)
    };
    observed.links.iter().map(settled).collect()
}

async fn link(controller: &Controller, interface: &str) -> Link {
    let observed = controller.observe().await.unwrap();
    observed.links.get(&name(interface)).cloned().unwrap_or_else(|| panic!("{interface} is not there"))
}
