use super::*;
use crate::Link;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn new_link(index: u32, text: &str, flags: LinkFlags) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = flags;
    link.attributes.push(LinkAttribute::IfName(text.to_owned()));
    RouteNetlinkMessage::NewLink(link)
}

#[test]
fn carrier_and_administrative_state_make_up_and_down() {
    let mut table = LinkTable::default();
    let both = LinkFlags::Up | LinkFlags::LowerUp;
    let new = table.message(&new_link(3, "tap0", LinkFlags::Up));
    assert_eq!(new, [LinkEvent::New { interface: name("tap0"), index: 3, up: false }]);
    assert_eq!(table.message(&new_link(3, "tap0", LinkFlags::Up)), []);
    assert_eq!(
        table.message(&new_link(3, "tap0", both)),
        [LinkEvent::Up { interface: name("tap0"), index: 3 }]
    );
    let down = table.message(&new_link(3, "tap0", LinkFlags::LowerUp));
    assert_eq!(down, [LinkEvent::Down { interface: name("tap0"), index: 3 }]);
}

#[test]
fn a_rename_is_told_as_gone_and_new() {
    let mut table = LinkTable::default();
    table.message(&new_link(3, "eth0", LinkFlags::Up));
    let events = table.message(&new_link(3, "lan0", LinkFlags::Up));
    assert_eq!(
        events,
        [
            LinkEvent::Gone { interface: name("eth0"), index: 3 },
            LinkEvent::New { interface: name("lan0"), index: 3, up: false },
        ]
    );
}

#[test]
fn leaving_a_bridge_is_not_leaving_the_host() {
    let mut table = LinkTable::default();
    table.message(&new_link(3, "tap0", LinkFlags::Up));
    let mut link = LinkMessage::default();
    link.header.index = 3;
    link.header.interface_family = AddressFamily::Bridge;
    assert_eq!(table.message(&RouteNetlinkMessage::DelLink(link.clone())), []);
    link.header.interface_family = AddressFamily::Unspec;
    let gone = table.message(&RouteNetlinkMessage::DelLink(link.clone()));
    assert_eq!(gone, [LinkEvent::Gone { interface: name("tap0"), index: 3 }]);
    assert_eq!(table.message(&RouteNetlinkMessage::DelLink(link)), []);
}

#[test]
fn lost_events_are_made_up_from_the_difference() {
    let mut table = LinkTable::default();
    table.message(&new_link(3, "tap0", LinkFlags::Up));
    table.message(&new_link(4, "tap1", LinkFlags::Up));
    let links = [
        (name("tap1"), Link { index: 4, up: true, carrier: true, ..Link::default() }),
        (name("tap2"), Link { index: 5, ..Link::default() }),
    ];
    let events = table.replace(&Observed { links: links.into(), ..Observed::default() });
    assert_eq!(
        events,
        [
            LinkEvent::Gone { interface: name("tap0"), index: 3 },
            LinkEvent::Up { interface: name("tap1"), index: 4 },
            LinkEvent::New { interface: name("tap2"), index: 5, up: false },
        ]
    );
}

#[test]
fn any_datagram_parses_to_something() {
    for bytes in [&[][..], &[1, 0], &[16, 0, 0, 0], &[0; 16], &[255; 40], &[0, 0, 0, 0, 0, 0, 0, 0]] {
        assert!(parse(bytes).is_empty());
    }
}
