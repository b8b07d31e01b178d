//! What the kernel remembers of the stations on a link: its neighbours (ARP, NDP), and where a bridge saw them last.

use std::collections::BTreeSet;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use nix::libc;

use crate::netlink::{Netlink, NetlinkError};

/// The kernel's number of an Ethernet address in the tables: six bytes that mean one station or a group.
type Station = Vec<u8>;

/// Makes the kernel forget the neighbours of the bridge with the number `bridge` that no port but `port` leads to. What it
/// has been told to keep (permanent, or without resolution) stays. Returns how many those were.
pub(crate) async fn forget_behind(netlink: &Netlink, bridge: u32, port: u32) -> Result<usize, NetlinkError> {
    let elsewhere = seen_elsewhere(netlink, bridge, port).await?;
    let mut forgotten = 0;
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for neighbour in table(netlink, family).await? {
            if is_suspect(&neighbour, bridge, &elsewhere) {
                forgotten += 1;
                match netlink.change(RouteNetlinkMessage::DelNeighbour(without_news(neighbour)), 0).await {
                    // It has gone by itself.
                    Err(error) if error.errno() == Some(libc::ENOENT) => {}
                    result => result?,
                }
            }
        }
    }
    Ok(forgotten)
}

/// The stations that the bridge has seen on other ports, or is itself.
async fn seen_elsewhere(
    netlink: &Netlink,
    bridge: u32,
    port: u32,
) -> Result<BTreeSet<Station>, NetlinkError> {
    let table = table(netlink, AddressFamily::Bridge).await?;
    let of_bridge = |entry: &NeighbourMessage| {
        entry.attributes.contains(&NeighbourAttribute::Controller(bridge)) && (entry.header.ifindex != port)
    };
    Ok(table.iter().filter(|entry| of_bridge(entry)).filter_map(station).cloned().collect())
}

async fn table(netlink: &Netlink, family: AddressFamily) -> Result<Vec<NeighbourMessage>, NetlinkError> {
    let mut query = NeighbourMessage::default();
    query.header.family = family;
    let answers = netlink.dump(RouteNetlinkMessage::GetNeighbour(query)).await?;
    Ok(answers
        .into_iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(entry) if entry.header.family == family => Some(entry),
            _ => None,
        })
        .collect())
}

fn is_suspect(neighbour: &NeighbourMessage, bridge: u32, elsewhere: &BTreeSet<Station>) -> bool {
    let kept = matches!(neighbour.header.state, NeighbourState::Permanent | NeighbourState::Noarp);
    neighbour.header.ifindex == bridge
        && !kept
        && station(neighbour).is_none_or(|station| !elsewhere.contains(station))
}

fn station(entry: &NeighbourMessage) -> Option<&Station> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(station) => Some(station),
        _ => None,
    })
}

/// What names the entry, and nothing that a dump tells besides.
fn without_news(mut entry: NeighbourMessage) -> NeighbourMessage {
    entry.attributes.retain(|attribute| matches!(attribute, NeighbourAttribute::Destination(_)));
    entry
}

#[cfg(test)]
mod tests;
