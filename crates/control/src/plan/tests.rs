use super::*;
use crate::{Bridge, observed::Address};

mod model;
mod property;

use model::{Model, name};

/// What a test wants of `tap0`.
fn tap(settings: Interface) -> Desired {
    Desired { interfaces: [(name("tap0"), settings)].into(), ..Desired::default() }
}

fn addresses(texts: &[&str]) -> BTreeSet<IfAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn words(plan: &Plan) -> Vec<String> {
    plan.operations.iter().map(ToString::to_string).collect()
}

#[test]
fn changes_come_in_the_order_that_the_kernel_takes() {
    let model = Model::with(&["tap0"]);
    let desired = tap(Interface {
        mtu: Some(9000),
        addresses: addresses(&["10.77.0.2/24", "fd77::2/64"]),
        routes: vec![
            Route::new("198.51.100.0/24".parse().unwrap()).via("192.0.2.1".parse().unwrap()),
            Route::new("192.0.2.1/32".parse().unwrap()),
        ],
        accept_ra: Some(false),
        ..Interface::default()
    });
    let plan = plan(&desired, &model.state, &Owned::default());
    assert_eq!(
        words(&plan),
        [
            "set mtu 9000 on tap0",
            "set accept_ra 0 on tap0",
            "bring up tap0",
            "add address 10.77.0.2/24 to tap0",
            "add address fd77::2/64 to tap0",
            "add route 192.0.2.1/32 metric 0 to tap0",
            "add route 198.51.100.0/24 via 192.0.2.1 metric 0 to tap0",
        ]
    );
}

#[test]
fn a_bridge_is_made_before_its_ports_join_and_goes_after_they_left() {
    let mut model = Model::with(&["eth1"]);
    let bridge = Bridge {
        interfaces: [name("eth1")].into(),
        parameters: BridgeParameters { stp: Some(true), ..BridgeParameters::default() },
        settings: Interface { addresses: addresses(&["fd77::1/64"]), ..Interface::default() },
        created_with: None,
    };
    let desired = Desired { bridges: [(name("br-lab"), bridge)].into(), ..Desired::default() };
    let made = plan(&desired, &model.state, &Owned::default());
    assert_eq!(
        words(&made),
        [
            "create bridge br-lab",
            "set stp true on bridge br-lab",
            "add eth1 to bridge br-lab",
            "bring up br-lab",
            "bring up eth1",
            "add address fd77::1/64 to br-lab",
        ]
    );
    model.reach(&desired);
    let removed = plan(&Desired::default(), &model.state, &model.owned);
    assert_eq!(
        words(&removed),
        [
            "take eth1 out of bridge br-lab",
            "set stp false on bridge br-lab",
            "remove address fd77::1/64 from br-lab",
            "bring down br-lab",
            "bring down eth1",
            "delete bridge br-lab",
        ]
    );
}

#[test]
fn a_missing_interface_waits_and_a_required_one_is_a_conflict() {
    let model = Model::with(&[]);
    let waiting = plan(&tap(Interface::default()), &model.state, &Owned::default());
    assert_eq!((waiting.missing, waiting.conflicts), (vec![name("tap0")], vec![]));
    let required = tap(Interface { required: true, ..Interface::default() });
    let conflicts = plan(&required, &model.state, &Owned::default()).conflicts;
    assert_eq!(conflicts, [Conflict::Missing(name("tap0"))]);
}

#[test]
fn a_found_address_is_not_claimed() {
    let mut model = Model::with(&["tap0"]);
    let address: IfAddr = "192.0.2.7/24".parse().unwrap();
    model.link("tap0").addresses.push(Address {
        net: address.net,
        peer: None,
        protocol: 0,
        tentative: false,
        duplicate: false,
        permanent: true,
    });
    model.reach(&tap(Interface { addresses: [address].into(), up: None, ..Interface::default() }));
    assert!(model.owned.is_empty());
    model.remove_all();
    assert!(model.link("tap0").address(address).is_some());
}

#[test]
fn a_new_prefix_length_of_an_ipv6_address_is_removed_first() {
    let mut model = Model::with(&["tap0"]);
    model.reach(&tap(Interface { addresses: addresses(&["fd77::2/64"]), ..Interface::default() }));
    let changed = tap(Interface { addresses: addresses(&["fd77::2/48"]), ..Interface::default() });
    assert_eq!(
        words(&plan(&changed, &model.state, &model.owned)),
        ["remove address fd77::2/64 from tap0", "add address fd77::2/48 to tap0"]
    );
}

#[test]
fn u18_another_peer_of_an_address_takes_its_place_and_goes_with_it() {
    for (first, second) in [
        ("10.77.4.1/32 peer 10.77.4.2", "10.77.4.1/32 peer 10.77.4.3"),
        ("10.77.4.1/32", "10.77.4.1/32 peer 10.77.4.2"),
        ("10.77.4.1/30 peer 10.77.4.2", "10.77.4.1/30"),
        ("fd77::1/128 peer fd77::2", "fd77::1/128 peer fd77::3"),
        ("fd77::1/64", "fd77::1/64 peer fd77::2"),
    ] {
        let mut model = Model::with(&["tap0"]);
        let before = model.state.clone();
        model.reach(&tap(Interface { addresses: addresses(&[first]), ..Interface::default() }));
        let changed = tap(Interface { addresses: addresses(&[second]), ..Interface::default() });
        assert_eq!(
            words(&plan(&changed, &model.state, &model.owned)),
            [format!("remove address {first} from tap0"), format!("add address {second} to tap0")]
        );
        model.reach(&changed);
        assert!(plan(&changed, &model.state, &model.owned).is_empty(), "{second}");
        model.remove_all();
        assert_eq!(model.state, before);
    }
}

#[test]
fn an_interface_with_the_name_of_an_earlier_one_is_not_ours() {
    let mut model = Model::with(&["tap0"]);
    let desired = tap(Interface { addresses: addresses(&["10.77.0.2/24"]), ..Interface::default() });
    model.reach(&desired);
    model.link("tap0").index += 100;
    assert!(plan(&Desired::default(), &model.state, &model.owned).is_empty());
}

#[test]
fn router_advertisements_are_accepted_where_the_host_forwards_too() {
    let mut model = Model::with(&["tap0"]);
    let desired = tap(Interface { accept_ra: Some(true), up: None, ..Interface::default() });
    assert!(plan(&desired, &model.state, &Owned::default()).is_empty(), "1 is enough for a host");
    model.link("tap0").ipv6.as_mut().unwrap().forwarding = true;
    let plan = plan(&desired, &model.state, &Owned::default());
    assert_eq!(words(&plan), ["set accept_ra 2 on tap0"]);
}

#[test]
fn an_interface_taken_down_keeps_the_ipv6_addresses_that_were_found() {
    let mut model = Model::with(&["tap0"]);
    let found: IpNet = "2001:db8::7/64".parse().unwrap();
    model.link("tap0").addresses.push(Address {
        net: found,
        peer: None,
        protocol: 0,
        tentative: false,
        duplicate: false,
        permanent: true,
    });
    let before = model.state.clone();
    model.reach(&tap(Interface::default()));
    assert!(model.link("tap0").up);
    model.remove_all();
    assert_eq!(model.state, before);
}

#[test]
fn one_destination_and_metric_means_one_route() {
    let mut model = Model::with(&["tap0", "tap1"]);
    let with_default = || Interface { routes: vec![Route::default_v6()], ..Interface::default() };
    let mut desired = tap(with_default());
    desired.interfaces.insert(name("tap1"), with_default());
    let both = plan(&desired, &model.state, &Owned::default());
    assert!(matches!(both.conflicts[..], [Conflict::RouteTaken { .. }]), "{:?}", both.conflicts);

    model.reach(&tap(with_default()));
    let moved = Desired { interfaces: [(name("tap1"), with_default())].into(), ..Desired::default() };
    let moved = plan(&moved, &model.state, &model.owned);
    assert_eq!(moved.conflicts, []);
    assert_eq!(words(&moved)[0], "remove route ::/0 metric 1024 from tap0");
}

#[test]
fn conflicts_say_what_to_do() {
    let model = Model::with(&["tap0", "eth1"]);
    let bridge =
        |ports: &[&str]| Bridge { interfaces: ports.iter().map(|p| name(p)).collect(), ..Bridge::default() };
    let desired = Desired {
        bridges: [
            (name("tap0"), bridge(&[])),
            (name("br0"), bridge(&["eth1"])),
            (
                name("br1"),
                Bridge {
                    parameters: BridgeParameters {
                        hello_time: Some(Duration::from_secs(11)),
                        ..BridgeParameters::default()
                    },
                    ..bridge(&["eth1"])
                },
            ),
        ]
        .into(),
        ..Desired::default()
    };
    let conflicts: Vec<String> =
        plan(&desired, &model.state, &Owned::default()).conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        conflicts,
        [
            "eth1 cannot be a port of both br0 and br1; take it out of one of them",
            "hello-time of bridge br1 is 11s; it must be 1 to 10 seconds",
            "tap0 exists and is no bridge but tun; choose another name for the bridge",
        ]
    );
}

#[test]
fn the_spanning_tree_brings_the_forward_delay_into_its_range_and_back() {
    let mut model = Model::with(&[]);
    let parameters =
        BridgeParameters { forward_delay: Some(Duration::ZERO), ..BridgeParameters::KERNEL_DEFAULT };
    model.add_bridge("br0", parameters);
    let before = model.state.clone();
    let stp = BridgeParameters { stp: Some(true), ..BridgeParameters::default() };
    let bridge = Bridge { parameters: stp, ..Bridge::default() };
    model.reach(&Desired { bridges: [(name("br0"), bridge)].into(), ..Desired::default() });
    assert_eq!(model.link("br0").bridge.unwrap().forward_delay, Some(Duration::from_secs(2)));
    model.remove_all();
    assert_eq!(model.state, before);
}

#[test]
fn times_finer_than_the_kernel_counts_are_cut() {
    let mut model = Model::with(&[]);
    let ageing_time = Some(Duration::from_micros(30_005_123));
    let bridge = Bridge {
        parameters: BridgeParameters { ageing_time, ..BridgeParameters::default() },
        ..Bridge::default()
    };
    model.reach(&Desired { bridges: [(name("br0"), bridge)].into(), ..Desired::default() });
    assert_eq!(model.link("br0").bridge.unwrap().ageing_time, Some(Duration::from_secs(30)));
}

#[test]
fn n4_a_bridge_is_created_with_an_address_and_a_found_one_keeps_its_own() {
    let fixed = MacAddress([2, 0, 0x5e, 0, 0x53, 7]);
    let wanted = MacAddress([2, 0, 0x5e, 0, 0x53, 8]);
    let desired = |macaddress| {
        let settings = Interface { macaddress, ..Interface::default() };
        let bridge = Bridge { settings, created_with: Some(fixed), ..Bridge::default() };
        Desired { bridges: [(name("br-lab"), bridge)].into(), ..Desired::default() }
    };
    let created = |plan: Plan| match plan.operations.first() {
        Some(Operation::CreateBridge { macaddress, .. }) => *macaddress,
        other => panic!("{other:?}"),
    };
    let nothing = Model::with(&[]);
    assert_eq!(created(plan(&desired(None), &nothing.state, &Owned::default())), Some(fixed));
    assert_eq!(created(plan(&desired(Some(wanted)), &nothing.state, &Owned::default())), Some(wanted));

    let mut found = Model::with(&["br-lab"]);
    let link = found.state.links.get_mut(&name("br-lab")).unwrap();
    (link.bridge, link.up) = (Some(BridgeParameters::KERNEL_DEFAULT), true);
    link.macaddress = Some(MacAddress([2, 0, 0x5e, 0, 0x53, 1]));
    assert!(plan(&desired(None), &found.state, &Owned::default()).is_empty());
}
