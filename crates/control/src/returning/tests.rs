use super::*;
use crate::{BridgeParameters, owned::OwnedInterface};

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// `br0` with the spanning tree, made by us, and its ports with carrier or not.
fn world(ports: &[(&str, bool)]) -> (Observed, Owned) {
    let stp = BridgeParameters { stp: Some(true), ..BridgeParameters::KERNEL_DEFAULT };
    let mut observed = Observed::default();
    observed.links.insert(name("br0"), Link { index: 1, up: true, bridge: Some(stp), ..Link::default() });
    for (index, (port, carrier)) in (2..).zip(ports) {
        let controller = Some(name("br0"));
        observed
            .links
            .insert(name(port), Link { index, up: true, carrier: *carrier, controller, ..Link::default() });
    }
    let mut owned = Owned::default();
    let record = OwnedInterface { index: Some(1), created: true, ..OwnedInterface::default() };
    owned.interfaces.insert(name("br0"), record);
    (observed, owned)
}

fn forwards_at_once(world: &(Observed, Owned)) -> bool {
    waits_for_nothing(&world.0, &world.1, &name("br0"), &name("tap0"))
}

#[test]
fn u6_a_port_that_is_alone_need_not_wait() {
    assert!(forwards_at_once(&world(&[("tap0", true)])));
    assert!(forwards_at_once(&world(&[("tap0", true), ("tap1", false)])), "the other has no carrier");
    let mut down = world(&[("tap0", true), ("eth1", true)]);
    assert!(!forwards_at_once(&down), "a loop could go through eth1");
    down.0.links.get_mut(&name("eth1")).unwrap().up = false;
    assert!(forwards_at_once(&down));
    down.0.links.get_mut(&name("eth1")).unwrap().up = true;
    down.0.links.get_mut(&name("eth1")).unwrap().controller = Some(name("br9"));
    assert!(forwards_at_once(&down), "a port of another bridge");
}

#[test]
fn u6_only_our_own_bridges_with_a_spanning_tree_are_touched() {
    let alone = || world(&[("tap0", true)]);
    let mut found = alone();
    found.1 = Owned::default();
    assert!(!forwards_at_once(&found), "found");
    let mut remade = alone();
    remade.0.links.get_mut(&name("br0")).unwrap().index = 9;
    assert!(!forwards_at_once(&remade), "another of its name");
    let mut without = alone();
    without.0.links.get_mut(&name("br0")).unwrap().bridge = Some(BridgeParameters::KERNEL_DEFAULT);
    assert!(!forwards_at_once(&without), "nothing to wait for");
}

#[test]
fn n5_only_ports_of_bridges_are_looked_after() {
    let (mut observed, _) = world(&[("tap0", true)]);
    assert!(bridge_of(&observed, &name("tap0")).is_some());
    assert!(bridge_of(&observed, &name("br0")).is_none());
    assert!(bridge_of(&observed, &name("tap1")).is_none());
    observed.links.get_mut(&name("br0")).unwrap().bridge = None;
    assert!(bridge_of(&observed, &name("tap0")).is_none(), "a port of a bond");
}
