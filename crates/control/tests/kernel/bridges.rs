use std::time::Duration;

use tapline_control::{BRIDGE_ALIAS, Bridge, BridgeParameters, Desired, Interface, MacAddress};

use crate::{controlled, essence, hosts, link, name, net, nets};

/// `br-lab` with the port `eth0` and these parameters.
fn lab(parameters: BridgeParameters) -> Desired {
    let settings = Interface {
        macaddress: Some(MacAddress([2, 0, 0x5e, 0, 0x53, 1])),
        addresses: nets(&["10.77.0.1/24", "fd77::1/64"]),
        ..Interface::default()
    };
    let bridge = Bridge { interfaces: [name("eth0")].into(), parameters, settings, created_with: None };
    Desired { bridges: [(name("br-lab"), bridge)].into(), ..Desired::default() }
}

#[test]
fn a_bridge_with_spanning_tree_comes_and_goes() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        let parameters = BridgeParameters {
            stp: Some(true),
            forward_delay: Some(Duration::from_secs(4)),
            hello_time: Some(Duration::from_secs(1)),
            max_age: Some(Duration::from_secs(10)),
            priority: Some(4096),
            ageing_time: Some(Duration::from_millis(60_500)),
            mcast_snooping: Some(false),
        };
        let outcome = controller.reconcile(&lab(parameters)).await.unwrap();
        // The port listens for the spanning tree first, so the bridge has no carrier and detection waits.
        assert_eq!(
            outcome.pending.iter().map(|entry| entry.address).collect::<Vec<_>>(),
            [net("fd77::1/64").into()]
        );

        let bridge = link(&controller, "br-lab").await;
        assert_eq!(bridge.bridge, Some(parameters));
        assert_eq!(bridge.alias.as_deref(), Some(BRIDGE_ALIAS));
        assert_eq!(bridge.macaddress, Some(MacAddress([2, 0, 0x5e, 0, 0x53, 1])));
        assert!(bridge.up && bridge.address(net("10.77.0.1/24")).is_some());
        assert_eq!(link(&controller, "eth0").await.controller, Some(name("br-lab")));

        assert_eq!(controller.reconcile(&lab(parameters)).await.unwrap().changes, []);
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
        assert!(controller.owned().is_empty());
    });
}

#[test]
fn parameters_that_are_no_longer_desired_go_back() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let fast = BridgeParameters { forward_delay: Some(Duration::ZERO), ..BridgeParameters::default() };
        controller.reconcile(&lab(fast)).await.unwrap().check().unwrap();
        let before = link(&controller, "br-lab").await;
        // The kernel refuses a delay of zero while the spanning tree runs.
        let stp = BridgeParameters {
            stp: Some(true),
            forward_delay: Some(Duration::from_secs(2)),
            ..BridgeParameters::default()
        };
        controller.reconcile(&lab(stp)).await.unwrap();
        assert_eq!(link(&controller, "br-lab").await.bridge.unwrap().stp, Some(true));
        controller.reconcile(&lab(fast)).await.unwrap();
        assert_eq!(link(&controller, "br-lab").await.bridge, before.bridge);
        controller.reconcile(&lab(BridgeParameters::default())).await.unwrap();
        assert_eq!(link(&controller, "br-lab").await.bridge, Some(BridgeParameters::KERNEL_DEFAULT));
    });
}

#[test]
fn a_bridge_that_was_found_stays_with_its_own_settings() {
    let Some(hosts) = hosts() else { return };
    let found = Bridge { settings: Interface::default(), ..Bridge::default() };
    hosts
        .here
        .configure(&Desired { bridges: [(name("br-lab"), found)].into(), ..Desired::default() })
        .unwrap();
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        let stp = BridgeParameters { stp: Some(true), ..BridgeParameters::default() };
        let mut desired = lab(stp);
        desired.bridges.get_mut(&name("br-lab")).unwrap().settings.macaddress = None;
        controller.reconcile(&desired).await.unwrap();
        assert_eq!(link(&controller, "eth0").await.controller, Some(name("br-lab")));
        controller.remove_all().await.unwrap();
        let mut after = controller.observe().await.unwrap();
        // A bridge takes the address of its port, and keeps a random one of its own when that leaves.
        let bridge = after.links.get_mut(&name("br-lab")).unwrap();
        bridge.macaddress = before.links[&name("br-lab")].macaddress;
        bridge.addresses.clear();
        let mut before = before;
        before.links.get_mut(&name("br-lab")).unwrap().addresses.clear();
        assert_eq!(essence(&after), essence(&before));
    });
}

#[test]
fn a_name_that_is_taken_by_something_else_is_refused_before_any_change() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let mut desired = lab(BridgeParameters::default());
        desired.bridges.insert(name("eth0"), Bridge::default());
        let error = controller.reconcile(&desired).await.unwrap_err().to_string();
        assert!(error.contains("eth0 exists and is no bridge but veth"), "{error}");
        assert!(!controller.observe().await.unwrap().links.contains_key(&name("br-lab")));
    });
}
