//! Links whose own routes or addresses lead to their server: once they are up, the SSH connection would have to go
//! through itself.

use std::net::IpAddr;

use tapline_config::ipnet::IpNet;
use tapline_config::{Diagnostic, InterfaceAddress, Link, Loaded, Name, Route};
use tapline_transport::client::{Options, Proxy};

/// Default routes that are there already have metrics of this and above, as DHCP clients and routers make them.
const USUAL_METRIC: u32 = 100;

/// What of the link, or of its bridge, covers the way to its own server as far as the file shows.
pub(super) fn warnings(loaded: &Loaded, name: &Name, link: &Link, options: &Options) -> Vec<Diagnostic> {
    let Some(first) = first_host(options) else { return Vec::new() };
    let server = first.split('%').next().and_then(|address| address.parse::<IpAddr>().ok());
    let mut found = covered(loaded, &["links", name.as_str()], &link.addresses, &link.routes, first, server);
    if let Some((bridge, config)) =
        link.bridge.as_ref().and_then(|name| loaded.config.bridges.get_key_value(name))
    {
        let path = ["bridges", bridge.as_str()];
        found.extend(covered(loaded, &path, &config.addresses, &config.routes, first, server));
    }
    found
}

/// What the first TCP connection goes to. Where a command leads, nobody knows.
fn first_host(options: &Options) -> Option<&str> {
    match &options.proxy {
        Proxy::Direct => Some(&options.host),
        Proxy::Jump(hops) => hops.first().and_then(first_host),
        Proxy::Command(_) => None,
    }
}

fn covered(
    loaded: &Loaded,
    path: &[&str],
    addresses: &[InterfaceAddress],
    routes: &[Route],
    host: &str,
    server: Option<IpAddr>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut warn = |key: &str, index: usize, what: String, hint: &str| {
        let index = index.to_string();
        let at = [path, &[key, &index]].concat();
        let message = format!("{what} covers the way to the link's own server, {host}");
        found.push(loaded.places.warning(&at, message, hint));
    };
    for (index, address) in addresses.iter().enumerate() {
        let network = IpNet::new(address.peer.unwrap_or(address.net.addr()), address.net.prefix_len());
        if let (Ok(network), Some(server)) = (network, server)
            && network.contains(&server)
            && !is_local(server)
        {
            let hint = "the link would have to carry its own SSH connection; take another network for it";
            warn("addresses", index, format!("the network {}", network.trunc()), hint);
        }
    }
    for (index, route) in routes.iter().enumerate() {
        let is_default = route.to.prefix_len() == 0;
        let covers = match server {
            Some(server) => route.to.contains(&server) && !is_local(server),
            // Half of all addresses, or all of them.
            None => route.to.prefix_len() <= 1,
        };
        if !covers || is_default && metric(route) >= USUAL_METRIC {
            continue;
        }
        let hint = if is_default {
            "the daemon keeps its connection outside with a host route where it can; a `metric` above that of the default route that is there keeps all other traffic outside too"
        } else {
            "the daemon keeps its connection outside with a host route where it can; leave the server's address out of the route to be sure"
        };
        warn("routes", index, format!("the route to {}", route.to), hint);
    }
    found
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// What the kernel makes of a metric that is left out; it has no IPv6 route with 0.
fn metric(route: &Route) -> u32 {
    match (route.to, route.metric) {
        (IpNet::V4(_), metric) => metric.unwrap_or(0),
        // A router's own default has 1024 as well.
        (IpNet::V6(_), None | Some(0)) => 0,
        (IpNet::V6(_), Some(metric)) => metric,
    }
}
