//! For any state that is found and any that is desired.

use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::{collection::btree_set, option, prelude::*, sample::select};

use super::model::{Model, make_link_local, name};
use crate::{
    Bridge, BridgeParameters, Desired, IfAddr, Interface, InterfaceName, LinkRoute, MacAddress, Observed,
    Operation, Owned, Route,
    observed::{Address, Ipv6Settings},
    plan::plan,
};

const DEVICES: [&str; 3] = ["eth0", "eth1", "tap0"];
const BRIDGES: [&str; 2] = ["br0", "br1"];

fn net() -> impl Strategy<Value = IfAddr> {
    select(vec![
        "10.77.0.1/24",
        "10.77.0.2/24",
        "192.0.2.1/32",
        "192.0.2.1/32 peer 192.0.2.2",
        "192.0.2.1/32 peer 192.0.2.3",
        "fd77::1/64",
        "fd77::1/48",
        "fd77::1/128 peer fd77::2",
        "2001:db8::1/64",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn route() -> impl Strategy<Value = Route> {
    let to = select(vec!["0.0.0.0/0", "198.51.100.0/24", "::/0", "2001:db8:2::/48"]);
    let metric = option::of(select(vec![10, 20, 1024]));
    (to, option::of(Just("fd77::9".parse().unwrap())), metric).prop_map(|(to, via, metric)| Route {
        via,
        metric,
        ..Route::new(to.parse().unwrap())
    })
}

fn parameters() -> impl Strategy<Value = BridgeParameters> {
    use std::time::Duration;
    let seconds = |choice: Vec<u64>| option::of(select(choice).prop_map(Duration::from_secs));
    (
        option::of(any::<bool>()),
        seconds(vec![2, 15, 30]),
        seconds(vec![1, 2]),
        seconds(vec![6, 20]),
        option::of(any::<u16>()),
        seconds(vec![0, 300]),
        option::of(any::<bool>()),
    )
        .prop_map(|(stp, forward_delay, hello_time, max_age, priority, ageing_time, mcast_snooping)| {
            BridgeParameters {
                stp,
                forward_delay,
                hello_time,
                max_age,
                priority,
                ageing_time,
                mcast_snooping,
            }
        })
}

fn settings() -> impl Strategy<Value = Interface> {
    let bridge = option::weighted(0.4, select(BRIDGES.to_vec()).prop_map(name));
    (
        select(vec![None, Some(true)]),
        option::of(select(vec![1280, 1500, 9000])),
        option::weighted(0.3, Just(MacAddress([2, 0, 0, 0, 9, 9]))),
        btree_set(net(), 0..3),
        prop::collection::vec(route(), 0..2),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        bridge,
    )
        .prop_map(|(up, mtu, macaddress, nets, routes, accept_ra, link_local_ipv6, bridge)| Interface {
            up,
            mtu,
            macaddress,
            addresses: one_prefix_length(nets),
            routes,
            accept_ra,
            link_local_ipv6,
            bridge,
            required: false,
        })
}

/// IPv6 has one prefix length for an address of an interface.
fn one_prefix_length(nets: BTreeSet<IfAddr>) -> BTreeSet<IfAddr> {
    let mut seen = BTreeSet::new();
    nets.into_iter().filter(|net| seen.insert(net.addr())).collect()
}

fn desired() -> impl Strategy<Value = Desired> {
    let interfaces = prop::collection::btree_map(
        select(vec!["eth0", "eth1", "tap0", "tap9"]).prop_map(name),
        settings(),
        0..4,
    );
    let bridge = (btree_set(select(DEVICES.to_vec()).prop_map(name), 0..2), parameters(), settings())
        .prop_map(|(interfaces, parameters, settings)| Bridge {
            interfaces,
            parameters,
            settings: Interface { bridge: None, ..settings },
            created_with: None,
        });
    let bridges = prop::collection::btree_map(select(BRIDGES.to_vec()).prop_map(name), bridge, 0..3);
    (interfaces, bridges).prop_map(|(interfaces, bridges)| Desired { interfaces, bridges })
}

#[derive(Debug, Clone)]
struct FoundLink {
    up: bool,
    mtu: u32,
    nets: BTreeSet<IfAddr>,
    routes: Vec<Route>,
    ipv6: Ipv6Settings,
    in_br0: bool,
}

fn found_link() -> impl Strategy<Value = FoundLink> {
    let ipv6 = (0..3, 0..3, select(vec![0, 0, 0, 1]), any::<bool>()).prop_map(
        |(accept_ra, addr_gen_mode, disable_ipv6, forwarding)| Ipv6Settings {
            accept_ra,
            addr_gen_mode,
            disable_ipv6,
            forwarding,
        },
    );
    let routes = prop::collection::vec(route(), 0..3);
    (any::<bool>(), select(vec![1280, 1500]), btree_set(net(), 0..3), routes, ipv6, any::<bool>())
        .prop_map(|(up, mtu, nets, routes, ipv6, in_br0)| FoundLink { up, mtu, nets, routes, ipv6, in_br0 })
}

/// A consistent state with three devices and perhaps a bridge.
fn found() -> impl Strategy<Value = Model> {
    (prop::collection::vec(found_link(), 4), any::<bool>()).prop_map(|(links, with_bridge)| {
        let mut model = Model::with(&DEVICES);
        if with_bridge {
            model.add_bridge("br0", BridgeParameters::KERNEL_DEFAULT);
        }
        let mut taken = Vec::new();
        for (text, found) in DEVICES.iter().chain(["br0"].iter()).zip(links) {
            if !model.state.links.contains_key(&name(text)) {
                continue;
            }
            let link = model.link(text);
            (link.up, link.mtu, link.ipv6) = (found.up, found.mtu, Some(found.ipv6));
            let ipv6 = found.ipv6.disable_ipv6 == 0;
            for IfAddr { net, peer } in one_prefix_length(found.nets) {
                if ipv6 || matches!(net, IpNet::V4(_)) {
                    link.addresses.push(Address {
                        net,
                        peer,
                        protocol: 4,
                        tentative: false,
                        duplicate: false,
                        permanent: true,
                    });
                }
            }
            make_link_local(link);
            for route in found.routes.iter().map(|route| route.canonical()) {
                let key = (route.to, route.metric);
                let possible = found.up && (ipv6 || matches!(route.to, IpNet::V4(_)));
                if possible && !taken.contains(&key) {
                    taken.push(key);
                    link.routes.push(LinkRoute { route, protocol: 4 });
                }
            }
            if found.in_br0 && with_bridge && *text != "br0" {
                link.controller = Some(name("br0"));
            }
        }
        model
    })
}

/// The order of addresses and routes says nothing.
fn sorted(state: &Observed) -> Observed {
    let mut state = state.clone();
    for link in state.links.values_mut() {
        link.addresses.sort_by_key(Address::assigned);
        link.routes.sort_by_key(|found| found.route);
    }
    state
}

/// Checked without the planner.
fn is_as_desired(desired: &Desired, state: &Observed) -> Result<(), TestCaseError> {
    let bridges = desired.bridges.iter().map(|(name, bridge)| (name, &bridge.settings));
    for (interface, settings) in desired.interfaces.iter().chain(bridges) {
        let Some(link) = state.links.get(interface) else {
            prop_assert!(!desired.bridges.contains_key(interface));
            continue;
        };
        prop_assert!(settings.up.is_none_or(|up| link.up == up));
        prop_assert!(settings.mtu.is_none_or(|mtu| link.mtu == mtu));
        prop_assert!(settings.macaddress.is_none_or(|address| link.macaddress == Some(address)));
        prop_assert!(settings.addresses.iter().all(|net| link.address(*net).is_some()));
        let routes_wanted = if link.up { &settings.routes[..] } else { &[] };
        prop_assert!(routes_wanted.iter().all(|route| link.route(route).is_some()));
        let ipv6 = link.ipv6.unwrap();
        prop_assert!(settings.accept_ra.is_none_or(|accept| ipv6.accepts_router_advertisements() == accept));
        prop_assert!(settings.link_local_ipv6.is_none_or(|wanted| (ipv6.addr_gen_mode != 1) == wanted));
        let has_link_local = link.addresses.iter().any(Address::is_kernel_link_local);
        prop_assert!(settings.link_local_ipv6 != Some(false) || !has_link_local);
        if let Some(bridge) = settings.bridge.as_ref().filter(|bridge| state.links.contains_key(*bridge)) {
            prop_assert_eq!(link.controller.as_ref(), Some(bridge));
        }
    }
    for (interface, bridge) in &desired.bridges {
        let parameters = state.links.get(interface).and_then(|link| link.bridge).unwrap();
        prop_assert_eq!(bridge.parameters.or(parameters), parameters);
        let is_port = |port: &InterfaceName| {
            state.links.get(port).is_none_or(|link| link.controller.as_ref() == Some(interface))
        };
        prop_assert!(bridge.interfaces.iter().all(is_port));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_reaches_what_is_desired_and_then_is_empty(mut model in found(), desired in desired()) {
        // An address that was found with another prefix length is the kernel's to refuse.
        prop_assume!(no_found_address_in_the_way(&model, &desired));
        if model.reconcile(&desired) {
            is_as_desired(&desired, &model.state)?;
            let again = plan(&desired, &model.state, &model.owned);
            prop_assert!(again.is_empty(), "{again}");
        }
    }

    #[test]
    fn removal_restores_what_was_found(mut model in found(), first in desired(), second in desired()) {
        prop_assume!(no_found_address_in_the_way(&model, &first) && no_found_address_in_the_way(&model, &second));
        let before = sorted(&model.state);
        model.reconcile(&first);
        model.reconcile(&second);
        model.remove_all();
        prop_assert_eq!(sorted(&model.state), before);
    }

    #[test]
    fn a_crash_anywhere_leaves_nothing(
        mut model in found(), first in desired(), second in desired(),
        at in any::<prop::sample::Index>(), executed: bool, second_first: bool,
    ) {
        prop_assume!(no_found_address_in_the_way(&model, &first) && no_found_address_in_the_way(&model, &second));
        let before = sorted(&model.state);
        let planned = plan(&first, &model.state, &model.owned);
        if planned.conflicts.is_empty() && !planned.operations.is_empty() {
            let at = at.index(planned.operations.len());
            for operation in &planned.operations[..at] {
                model.change(operation).unwrap();
            }
            let killed = &planned.operations[at];
            let index = model.state.links.get(killed.interface()).map(|link| link.index);
            model.owned.claim(killed, index);
            if executed {
                model.kernel(killed).unwrap();
            }
        }
        if second_first {
            model.reconcile(&second);
        }
        model.remove_all();
        prop_assert_eq!(sorted(&model.state), before);
    }

    #[test]
    fn inverses_take_back_a_part_of_a_plan(mut model in found(), desired in desired(), at in any::<prop::sample::Index>()) {
        prop_assume!(no_found_address_in_the_way(&model, &desired));
        let before = sorted(&model.state);
        let planned = plan(&desired, &model.state, &model.owned);
        if planned.conflicts.is_empty() && !planned.operations.is_empty() {
            let done = &planned.operations[..at.index(planned.operations.len())];
            for operation in done {
                model.change(operation).unwrap();
            }
            for operation in done.iter().rev().map(Operation::inverse) {
                model.change(&operation).unwrap();
            }
            prop_assert_eq!(sorted(&model.state), before);
            prop_assert_eq!(&model.owned, &Owned::default());
        }
    }

    #[test]
    fn the_record_survives_its_file(mut model in found(), desired in desired()) {
        prop_assume!(no_found_address_in_the_way(&model, &desired));
        model.reconcile(&desired);
        let text = serde_json::to_string(&model.owned).unwrap();
        prop_assert_eq!(serde_json::from_str::<Owned>(&text).unwrap(), model.owned);
    }
}

fn no_found_address_in_the_way(model: &Model, desired: &Desired) -> bool {
    let bridges = desired.bridges.iter().map(|(name, bridge)| (name, &bridge.settings));
    desired.interfaces.iter().chain(bridges).all(|(interface, settings)| {
        let Some(link) = model.state.links.get(interface) else { return true };
        let in_the_way = |wanted: &IfAddr| {
            !wanted.is_ipv4()
                && link
                    .addresses
                    .iter()
                    .any(|found| found.net.addr() == wanted.addr() && found.assigned() != *wanted)
        };
        !settings.addresses.iter().any(in_the_way)
    })
}
