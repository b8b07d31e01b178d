use std::net::Ipv4Addr;

use super::*;

const BRIDGE: u32 = 7;

fn neighbour(interface: u32, state: NeighbourState, station: Option<[u8; 6]>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = interface;
    message.header.state = state;
    message.attributes.push(NeighbourAttribute::Destination(Ipv4Addr::new(192, 0, 2, 9).into()));
    message.attributes.extend(station.map(|station| NeighbourAttribute::LinkLayerAddress(station.to_vec())));
    message
}

#[test]
fn n5_neighbours_that_are_behind_no_other_port_are_forgotten() {
    let here = [2, 0, 0, 0, 0, 1];
    let elsewhere = BTreeSet::from([vec![2, 0, 0, 0, 0, 2]]);
    let is_forgotten =
        |interface, state, station| is_suspect(&neighbour(interface, state, station), BRIDGE, &elsewhere);
    for state in [
        NeighbourState::Reachable,
        NeighbourState::Stale,
        NeighbourState::Delay,
        NeighbourState::Probe,
        NeighbourState::Failed,
    ] {
        assert!(is_forgotten(BRIDGE, state, Some(here)), "{state:?}");
        assert!(!is_forgotten(BRIDGE, state, Some([2, 0, 0, 0, 0, 2])), "{state:?} elsewhere");
        assert!(!is_forgotten(BRIDGE + 1, state, Some(here)), "{state:?} of another interface");
    }
    assert!(is_forgotten(BRIDGE, NeighbourState::Incomplete, None));
    assert!(!is_forgotten(BRIDGE, NeighbourState::Permanent, Some(here)), "the administrator's");
    assert!(!is_forgotten(BRIDGE, NeighbourState::Noarp, Some(here)), "a group's");
}

#[test]
fn n5_what_is_deleted_is_named_and_no_more() {
    let entry = without_news(neighbour(BRIDGE, NeighbourState::Stale, Some([2, 0, 0, 0, 0, 1])));
    assert_eq!(entry.attributes, [NeighbourAttribute::Destination(Ipv4Addr::new(192, 0, 2, 9).into())]);
}
