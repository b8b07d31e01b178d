use tapline_control::{
    Desired, Interface, LinkEvent,
    namespace::{WireEnd, wire},
};

use crate::{controlled, eth0, name, namespace};

/// Waits for `expected`, past events of other interfaces.
async fn expect(events: &mut tapline_control::LinkEvents, expected: impl Fn(&LinkEvent) -> bool) {
    while !expected(&events.next().await.unwrap()) {}
}

#[test]
fn interfaces_are_told_of_as_they_come_and_go() {
    let (Some(here), Some(there)) = (namespace(), namespace()) else { return };
    controlled(&here, async |controller| {
        let mut events = controller.link_events().await.unwrap();
        let first = events.next().await.unwrap();
        assert!(
            matches!(&first, LinkEvent::New { interface, up: true, .. } if *interface == name("lo")),
            "{first:?}"
        );

        wire(&WireEnd::new(&here, name("eth0")), &WireEnd::new(&there, name("eth0"))).unwrap();
        let is_eth0 = |interface: &_| *interface == name("eth0");
        expect(&mut events, |event| matches!(event, LinkEvent::New { interface, .. } if is_eth0(interface)))
            .await;
        expect(&mut events, |event| matches!(event, LinkEvent::Up { interface, .. } if is_eth0(interface)))
            .await;

        // The other end takes the carrier with it.
        there.configure(&eth0(Interface { up: Some(false), ..Interface::default() })).unwrap();
        expect(&mut events, |event| matches!(event, LinkEvent::Down { interface, .. } if is_eth0(interface)))
            .await;
        there.configure(&eth0(Interface::default())).unwrap();
        expect(&mut events, |event| matches!(event, LinkEvent::Up { interface, .. } if is_eth0(interface)))
            .await;

        drop(there);
        expect(&mut events, |event| matches!(event, LinkEvent::Gone { interface, .. } if is_eth0(interface)))
            .await;
    });
}

#[test]
fn a_flood_of_events_ends_in_the_right_state() {
    let Some(here) = namespace() else { return };
    let Some(there) = namespace() else { return };
    wire(&WireEnd::new(&here, name("eth0")), &WireEnd::new(&there, name("eth0"))).unwrap();
    controlled(&here, async |mut controller| {
        let mut events = controller.link_events().await.unwrap();
        // Far more than the socket holds while nobody reads it.
        let many = |mtu| Desired {
            interfaces: [(name("eth0"), Interface { mtu: Some(mtu), ..Interface::default() })].into(),
            ..Desired::default()
        };
        for mtu in 2000..2300 {
            controller = controller.with_dad_deadline(std::time::Duration::ZERO);
            controller.reconcile(&many(mtu)).await.unwrap();
        }
        controller.reconcile(&eth0(Interface { up: Some(false), ..Interface::default() })).await.unwrap();
        let is_eth0 = |interface: &_| *interface == name("eth0");
        expect(&mut events, |event| matches!(event, LinkEvent::Down { interface, .. } if is_eth0(interface)))
            .await;
    });
}
