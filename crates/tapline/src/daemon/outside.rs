//! Keeps the SSH connection of a link outside of the link.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tapline_control::InterfaceName;
use tapline_transport::client::{KeepOutside, Options, Proxy};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::network::NetworkHandle;

/// A resolver that cannot be asked holds up no link for longer.
const RESOLVE: Duration = Duration::from_secs(2);

/// Of one link.
#[derive(Debug)]
struct Outside {
    network: NetworkHandle,
    interface: InterfaceName,
}

impl KeepOutside for Outside {
    fn keep_outside<'a>(&'a self, servers: &'a [IpAddr]) -> BoxFuture<'a, ()> {
        let servers: BTreeSet<IpAddr> = servers.iter().copied().collect();
        Box::pin(self.network.keep_outside(self.interface.clone(), servers))
    }
}

/// Has the network asked before each connection of the link with this interface.
pub(super) fn keep(options: &mut Options, network: &NetworkHandle, interface: &InterfaceName) {
    let outside = Outside { network: network.clone(), interface: interface.clone() };
    set_outside(options, Arc::new(outside));
}

/// The addresses that the link's connection goes to, as they are before the link has routes: with those a resolver may
/// not be reached any more. None for a command.
pub(super) async fn servers(options: &Options) -> BTreeSet<IpAddr> {
    let first = first_hop(options);
    if matches!(first.proxy, Proxy::Command(_)) {
        return BTreeSet::new();
    }
    if let Ok(address) = first.host.parse() {
        return [address].into();
    }
    let found = timeout(RESOLVE, lookup_host((first.host.as_str(), first.port))).await;
    found.ok().and_then(Result::ok).into_iter().flatten().map(|address| address.ip()).collect()
}

/// The host to which there is a connection of TCP: the server, or the first jump host.
fn first_hop(options: &Options) -> &Options {
    match &options.proxy {
        Proxy::Jump(hops) => hops.first().map_or(options, first_hop),
        Proxy::Direct | Proxy::Command(_) => options,
    }
}

fn set_outside(options: &mut Options, outside: Arc<Outside>) {
    if let Proxy::Jump(hops) = &mut options.proxy
        && let Some(first) = hops.first_mut()
    {
        return set_outside(first, outside);
    }
    options.outside = Some(outside);
}
