use std::collections::BTreeSet;

use tapline_control::{Bridge, OperationError, Reason, Route};

use super::*;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A link's tap in a bridge that has a port, an address, a route and parameters, and a tap of its own.
fn wanted() -> Desired {
    let mut wanted = Desired::default();
    let mut bridge = Bridge { interfaces: [name("eth1")].into(), ..Bridge::default() };
    bridge.parameters.stp = Some(true);
    bridge.settings.mtu = Some(1400);
    bridge.settings.routes = vec![Route::new("198.51.100.0/24".parse().unwrap())];
    wanted.bridges.insert(name("br-lab"), bridge);
    wanted.interfaces.insert(name("eth1"), Interface::default());
    let tap = Interface { bridge: Some(name("br-lab")), ..Interface::default() };
    wanted.interfaces.insert(name("tap0"), tap);
    let own = Interface { mtu: Some(9000), routes: vec![Route::default_v4()], ..Interface::default() };
    wanted.interfaces.insert(name("tap1"), own);
    wanted
}

fn failed(operation: Operation) -> ReconcileError {
    let failed = Box::new(OperationError { operation, reason: Reason::NoInterface(name("tap0")) });
    ReconcileError::Operation { failed, rollback: Vec::new() }
}

fn conflict(conflict: Conflict) -> ReconcileError {
    ReconcileError::Conflicts(vec![conflict])
}

/// The interfaces and bridges that are others than in `wanted` once the error's part is set aside.
fn changed_by(error: &ReconcileError) -> BTreeSet<String> {
    let mut waits = Waits::default();
    assert!(waits.set_aside(error), "{error}");
    assert!(!waits.set_aside(error), "the same once more would be tried for ever");
    assert_eq!(waits.reasons().len(), 1);
    let (before, after) = (wanted(), waits.trim(wanted()));
    let interfaces = before.interfaces.iter().filter(|(name, one)| after.interfaces.get(*name) != Some(one));
    let bridges = before.bridges.iter().filter(|(name, one)| after.bridges.get(*name) != Some(one));
    interfaces.map(|(name, _)| name).chain(bridges.map(|(name, _)| name)).map(ToString::to_string).collect()
}

#[test]
fn y1_a_part_that_fails_is_set_aside_and_nothing_else() {
    let route = Route::default_v4();
    let joins =
        |port: &str| Operation::SetBridge { interface: name(port), from: None, to: Some(name("br-lab")) };
    for (error, changed) in [
        (failed(Operation::AddRoute { interface: name("tap1"), route }), vec!["tap1"]),
        (failed(Operation::SetMtu { interface: name("tap1"), from: 1500, to: 9000 }), vec!["tap1"]),
        (failed(Operation::SetMtu { interface: name("br-lab"), from: 1500, to: 1400 }), vec!["br-lab"]),
        (failed(joins("tap0")), vec!["tap0"]),
        (failed(joins("eth1")), vec!["br-lab"]),
        (failed(Operation::SetUp { interface: name("eth1"), up: true, keep: Vec::new() }), vec!["eth1"]),
        (
            failed(Operation::CreateBridge { interface: name("br-lab"), macaddress: None }),
            vec!["br-lab", "tap0"],
        ),
        (
            conflict(Conflict::NotABridge { name: name("br-lab"), kind: "dummy".into() }),
            vec!["br-lab", "tap0"],
        ),
        (
            conflict(Conflict::RouteTaken {
                interface: name("tap1"),
                route,
                other: name("eth0"),
                taken: route,
            }),
            vec!["tap1"],
        ),
        (
            conflict(Conflict::TwoBridges {
                port: name("eth1"),
                first: name("br-other"),
                second: name("br-lab"),
            }),
            vec!["br-lab"],
        ),
    ] {
        let changed: BTreeSet<String> = changed.into_iter().map(str::to_owned).collect();
        assert_eq!(changed_by(&error), changed, "{error}");
    }
}

#[test]
fn y1_what_the_rest_cannot_do_without_is_no_part() {
    let mut waits = Waits::default();
    for error in [
        failed(Operation::DeleteBridge { interface: name("br-lab"), macaddress: None }),
        failed(Operation::RemoveRoute { interface: name("tap1"), route: Route::default_v4() }),
        failed(Operation::SetBridge { interface: name("eth1"), from: Some(name("br-lab")), to: None }),
        ReconcileError::Watch(std::io::Error::other("no descriptors")),
    ] {
        assert!(!waits.set_aside(&error), "{error}");
    }
    assert!(waits.reasons().is_empty());
    assert_eq!(waits.trim(wanted()), wanted());
}

#[test]
fn u9_what_is_missing_is_named_once() {
    let mut waits = Waits::default();
    waits.miss([&name("eth7"), &name("br-other"), &name("eth7")]);
    let reasons: Vec<_> = waits.reasons().iter().cloned().collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[1].contains("eth7 is not there"), "{reasons:?}");
}
