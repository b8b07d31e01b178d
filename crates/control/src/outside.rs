//! Routes that keep the connection of a tunnel outside of what it carries. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use ipnet::IpNet;

use crate::{Bridge, Desired, Interface, InterfaceName, Observed, PROTOCOL, Route, observed::Link};

/// Tunnels by their interfaces, and the addresses that their own connections go to.
pub type Tunnels = BTreeMap<InterfaceName, BTreeSet<IpAddr>>;

/// What [`keep_outside`] did to what is desired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptOutside {
    /// Routes to single hosts, through the ways in use, that were added.
    pub routes: Vec<(InterfaceName, Route)>,
    /// What stands in the way.
    pub obstacles: BTreeSet<Obstacle>,
}

/// A connection that cannot be kept outside of its own tunnel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The tunnel's route is as narrow as a route can be, so it was left out.
    Route { tunnel: InterfaceName, server: IpAddr, route: Route },
    /// The way to the server is a bridge that the tunnel is a port of.
    Bridge { tunnel: InterfaceName, server: IpAddr, bridge: InterfaceName },
    /// The way to the server is an interface that is to be a port of that bridge, on which its addresses would be dead.
    /// It was left out of the bridge.
    Port { tunnel: InterfaceName, server: IpAddr, port: InterfaceName, bridge: InterfaceName },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { tunnel, server, route } => write!(
                f,
                "route {route} of {tunnel} is left out, as it leads the connection to {server} into its own tunnel; remove \
                 it, or give it a larger metric"
            ),
            Self::Bridge { tunnel, server, bridge } => write!(
                f,
                "the connection of {tunnel} goes to {server} through bridge {bridge}, whose port {tunnel} is, and may come \
                 back into itself; reach {server} by an interface that is not in the bridge"
            ),
            Self::Port { tunnel, server, port, bridge } => write!(
                f,
                "{port} is left out of bridge {bridge}: the connection of {tunnel} goes to {server} through it, and \
                 addresses of a port do not work; give the addresses and routes of {port} to {bridge}"
            ),
        }
    }
}

/// Adds to `desired` a route to each server whose way a route or an address of its own tunnel, or of the bridge that the
/// tunnel is a port of, would take over. The route is the way that is used now without the tunnels.
pub fn keep_outside(desired: &mut Desired, observed: &Observed, tunnels: &Tunnels) -> KeptOutside {
    let mut kept = KeptOutside::default();
    let inside: BTreeSet<InterfaceName> = tunnels
        .keys()
        .flat_map(|tunnel| [Some(tunnel.clone()), bridge_of(desired, tunnel).cloned()])
        .flatten()
        .collect();
    for (tunnel, servers) in tunnels {
        for server in servers {
            if is_local(observed, *server) {
                continue;
            }
            let bridge = bridge_of(desired, tunnel).cloned();
            let is_covered = covers(desired, tunnel, *server)
                || bridge.as_ref().is_some_and(|bridge| covers(desired, bridge, *server));
            match way(observed, *server, &inside) {
                Some(way) => {
                    // Also one that is in it already: it joined before it had an address, or before the server was known.
                    if let Some(bridge) = bridge_of(desired, &way.interface).cloned() {
                        leave_out_port(desired, &way.interface, &bridge);
                        let (server, tunnel) = (*server, tunnel.clone());
                        kept.obstacles.insert(Obstacle::Port {
                            tunnel,
                            server,
                            port: way.interface.clone(),
                            bridge,
                        });
                    }
                    if is_covered {
                        let route = way.host_route(*server);
                        leave_out_route(desired, tunnel, *server, &route, &mut kept);
                        if let Some(bridge) = &bridge {
                            leave_out_route(desired, bridge, *server, &route, &mut kept);
                        }
                        settings(desired, &way.interface).routes.push(route);
                        kept.routes.push((way.interface, route));
                    }
                }
                None => {
                    if let Some(bridge) = bridge.filter(|bridge| leads_to(observed, bridge, *server)) {
                        let tunnel = tunnel.clone();
                        kept.obstacles.insert(Obstacle::Bridge { tunnel, server: *server, bridge });
                    }
                }
            }
        }
    }
    kept
}

/// Whether something that is desired of a tunnel, or of its bridge, could take over the way to one of its servers, so that
/// [`keep_outside`] is to be asked.
pub fn may_need(desired: &Desired, tunnel: &InterfaceName, servers: &BTreeSet<IpAddr>) -> bool {
    let bridge = bridge_of(desired, tunnel);
    bridge.is_some() || servers.iter().any(|server| covers(desired, tunnel, *server))
}

/// A way out of this host.
struct Way {
    interface: InterfaceName,
    via: Option<IpAddr>,
    on_link: bool,
}

impl Way {
    fn host_route(&self, server: IpAddr) -> Route {
        // The most preferred metric there is; an IPv6 route has none below 1.
        let metric = if server.is_ipv4() { 0 } else { 1 };
        let route = Route::new(server.into()).metric(metric);
        let route = self.via.map_or(route, |via| route.via(via));
        if self.on_link { route.on_link() } else { route }
    }
}

/// The best of the ways that are there without the interfaces `inside`, as the kernel would choose: the longest prefix,
/// then the least metric.
fn way(observed: &Observed, server: IpAddr, inside: &BTreeSet<InterfaceName>) -> Option<Way> {
    let outside = observed.links.iter().filter(|(name, link)| link.up && !inside.contains(*name));
    let ways =
        outside.flat_map(|(name, link)| ways_of(link, server).map(move |(rank, way)| (rank, name, way)));
    let (_, name, (via, on_link)) = ways.min_by_key(|(rank, ..)| *rank)?;
    Some(Way { interface: name.clone(), via, on_link })
}

type Rank = (std::cmp::Reverse<u8>, u32);

fn ways_of(link: &Link, server: IpAddr) -> impl Iterator<Item = (Rank, (Option<IpAddr>, bool))> {
    let host = IpNet::from(server);
    let on_the_link = link.addresses.iter().map(|address| address.assigned().network());
    let on_the_link = on_the_link.filter(move |net| net.contains(&server));
    let on_the_link = on_the_link.map(|net| ((std::cmp::Reverse(net.prefix_len()), 0), (None, false)));
    // Not what was added before for this very purpose.
    let others =
        link.routes.iter().filter(move |found| !(found.protocol == PROTOCOL && found.route.to == host));
    let routes = others.map(|found| found.route).filter(move |route| route.to.contains(&server));
    on_the_link.chain(routes.map(|route| {
        let rank = (std::cmp::Reverse(route.to.prefix_len()), route.effective_metric());
        (rank, (route.via, route.on_link))
    }))
}

fn leads_to(observed: &Observed, interface: &InterfaceName, server: IpAddr) -> bool {
    observed.links.get(interface).is_some_and(|link| link.up && ways_of(link, server).next().is_some())
}

fn is_local(observed: &Observed, server: IpAddr) -> bool {
    let is_own = |link: &Link| link.addresses.iter().any(|address| address.net.addr() == server);
    let is_scoped = matches!(server, IpAddr::V6(address) if address.is_unicast_link_local());
    server.is_loopback() || server.is_unspecified() || is_scoped || observed.links.values().any(is_own)
}

/// The bridge that `port` is to be a port of.
fn bridge_of<'a>(desired: &'a Desired, port: &InterfaceName) -> Option<&'a InterfaceName> {
    let own = desired.interfaces.get(port).and_then(|interface| interface.bridge.as_ref());
    let lists = |(_, bridge): &(&InterfaceName, &Bridge)| bridge.interfaces.contains(port);
    own.or_else(|| desired.bridges.iter().find(lists).map(|(name, _)| name))
}

fn covers(desired: &Desired, interface: &InterfaceName, server: IpAddr) -> bool {
    let bridge = desired.bridges.get(interface).map(|bridge| &bridge.settings);
    bridge.or_else(|| desired.interfaces.get(interface)).is_some_and(|settings| {
        settings.routes.iter().any(|route| route.to.contains(&server))
            || settings.addresses.iter().any(|address| address.network().contains(&server))
            // A router on the link may tell of any way.
            || (settings.accept_ra == Some(true) && server.is_ipv6())
    })
}

fn settings<'a>(desired: &'a mut Desired, interface: &InterfaceName) -> &'a mut Interface {
    if let Some(bridge) = desired.bridges.get_mut(interface) {
        return &mut bridge.settings;
    }
    desired.interfaces.entry(interface.clone()).or_insert_with(Interface::untouched)
}

fn leave_out_port(desired: &mut Desired, port: &InterfaceName, bridge: &InterfaceName) {
    if let Some(bridge) = desired.bridges.get_mut(bridge) {
        bridge.interfaces.remove(port);
    }
    if let Some(interface) = desired.interfaces.get_mut(port) {
        interface.bridge = None;
    }
}

/// Of two routes to the same host the kernel takes the one with the smaller metric.
fn leave_out_route(
    desired: &mut Desired,
    interface: &InterfaceName,
    server: IpAddr,
    host_route: &Route,
    kept: &mut KeptOutside,
) {
    let beats = |route: &Route| {
        route.to == host_route.to && route.effective_metric() <= host_route.effective_metric()
    };
    let settings = settings(desired, interface);
    for route in settings.routes.iter().filter(|route| beats(route)) {
        let tunnel = interface.clone();
        kept.obstacles.insert(Obstacle::Route { tunnel, server, route: *route });
    }
    settings.routes.retain(|route| !beats(route));
}

#[cfg(test)]
mod tests;
