use std::time::Duration;

use tapline_control::{Controller, Interface, Journal, MacAddress, PROTOCOL};

use crate::{controlled, essence, eth0, hosts, link, net, nets};

#[test]
fn addresses_mtu_and_macaddress_come_and_go() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        let desired = eth0(Interface {
            mtu: Some(9000),
            macaddress: Some(MacAddress([2, 0, 0x5e, 0, 0x53, 7])),
            addresses: nets(&["10.77.0.1/24", "192.0.2.1/32", "fd77::1/64"]),
            ..Interface::default()
        });
        let outcome = controller.reconcile(&desired).await.unwrap().check().unwrap();
        assert_eq!(outcome.pending, [], "duplicate address detection has ended");
        let now = link(&controller, "eth0").await;
        assert_eq!((now.mtu, now.macaddress), (9000, Some(MacAddress([2, 0, 0x5e, 0, 0x53, 7]))));
        for address in ["10.77.0.1/24", "192.0.2.1/32", "fd77::1/64"] {
            let address = now.address(net(address)).unwrap();
            assert!(!address.tentative);
            assert_eq!(address.protocol, PROTOCOL);
        }
        assert_eq!(controller.reconcile(&desired).await.unwrap().changes, []);
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}

#[test]
fn u18_a_peer_of_an_address_comes_changes_and_goes() {
    let Some(hosts) = hosts() else { return };
    let with = |texts: &[&str]| eth0(Interface { addresses: nets(texts), ..Interface::default() });
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        for texts in [
            ["10.77.4.1/32 peer 10.77.4.2", "fd77:4::1/128 peer fd77:4::2"],
            ["10.77.4.1/32 peer 10.77.4.9", "fd77:4::1/128 peer fd77:4::9"],
            ["10.77.4.1/30 peer 10.77.4.2", "fd77:4::1/64"],
            ["10.77.4.1/24", "fd77:4::1/126 peer fd77:4::2"],
            ["10.77.4.1/32 peer 192.0.2.7", "fd77:4::1/128 peer 2001:db8::7"],
        ] {
            controller.reconcile(&with(&texts)).await.unwrap().check().unwrap();
            let now = link(&controller, "eth0").await;
            let found: Vec<_> = now
                .addresses
                .iter()
                .filter(|a| a.protocol == PROTOCOL)
                .map(|a| a.assigned().to_string())
                .collect();
            assert_eq!(found, texts);
            assert_eq!(controller.reconcile(&with(&texts)).await.unwrap().changes, []);
        }
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));

        // Somebody else's, which is taken for what it is and stays.
        let mut other = Controller::new(Journal::in_memory()).unwrap();
        let theirs = with(&["10.77.4.1/32 peer 10.77.4.2"]);
        other.reconcile(&theirs).await.unwrap();
        controller.reconcile(&theirs).await.unwrap();
        controller.reconcile(&with(&["10.77.4.1/32 peer 10.77.4.3"])).await.unwrap();
        controller.remove_all().await.unwrap();
        assert!(
            link(&controller, "eth0")
                .await
                .address(*nets(&["10.77.4.1/32 peer 10.77.4.2"]).first().unwrap())
                .is_some()
        );
    });
}

#[test]
fn an_address_that_another_host_has_is_reported() {
    let Some(hosts) = hosts() else { return };
    let desired = eth0(Interface { addresses: nets(&["fd77::1/64"]), ..Interface::default() });
    hosts.there.configure(&desired).unwrap().check().unwrap();
    controlled(&hosts.here, async |mut controller| {
        let outcome = controller.reconcile(&desired).await.unwrap();
        let error = outcome.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "fd77::1/64 on eth0: another host on the link has this address; give one of them another"
        );
        let again = controller.reconcile(&desired).await.unwrap();
        assert_eq!((again.changes.len(), again.duplicates.len()), (0, 1));
        controller.remove_all().await.unwrap();
        assert!(link(&controller, "eth0").await.address(net("fd77::1/64")).is_none());
    });
}

#[test]
fn without_carrier_an_address_is_pending_and_nobody_waits() {
    let Some(hosts) = hosts() else { return };
    // The kernel counts an interface as ready that ever had carrier since it was brought up, so both ends go down.
    let down = eth0(Interface { up: Some(false), ..Interface::default() });
    hosts.there.configure(&down).unwrap();
    hosts.here.configure(&down).unwrap();
    let desired = eth0(Interface { addresses: nets(&["fd77::1/64"]), ..Interface::default() });
    let outcome = hosts.here.block_on(|| async {
        // With this deadline the test would hang if it were waited for.
        let controller = Controller::new(Journal::in_memory()).unwrap();
        controller.with_dad_deadline(Duration::from_secs(3600)).reconcile(&desired).await.unwrap()
    });
    let outcome = outcome.unwrap().check().unwrap();
    assert_eq!(outcome.pending.iter().map(ToString::to_string).collect::<Vec<_>>(), ["fd77::1/64 on eth0"]);

    hosts.there.configure(&eth0(Interface::default())).unwrap();
    let outcome = hosts.here.configure(&desired).unwrap();
    assert_eq!(outcome.changes, []);
}

#[test]
fn what_came_later_beside_our_address_stays() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let ours = eth0(Interface { addresses: nets(&["10.77.0.1/24"]), ..Interface::default() });
        controller.reconcile(&ours).await.unwrap();
        // A second address of one network is a secondary one, which the kernel removes with the first.
        let mut other = Controller::new(Journal::in_memory()).unwrap();
        let theirs = eth0(Interface { addresses: nets(&["10.77.0.9/24"]), ..Interface::default() });
        other.reconcile(&theirs).await.unwrap();
        controller.remove_all().await.unwrap();
        let now = link(&controller, "eth0").await;
        let left: Vec<_> = now.addresses.iter().map(|a| a.net).filter(|net| net.addr().is_ipv4()).collect();
        assert_eq!(left, [net("10.77.0.9/24")]);
        assert_eq!(
            std::fs::read_to_string("/proc/sys/net/ipv4/conf/eth0/promote_secondaries").unwrap(),
            "0\n"
        );
    });
}

#[test]
fn one_that_goes_away_by_itself_comes_back() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let desired =
            eth0(Interface { addresses: nets(&["10.77.0.1/24", "fd77::1/64"]), ..Interface::default() });
        controller.reconcile(&desired).await.unwrap();
        let mut administrator = Controller::new(Journal::in_memory()).unwrap();
        administrator.reconcile(&eth0(Interface { up: Some(false), ..Interface::default() })).await.unwrap();
        assert!(
            link(&controller, "eth0").await.address(net("fd77::1/64")).is_some(),
            "put back by the planner"
        );
        assert!(!link(&controller, "eth0").await.up);
        assert_ne!(controller.reconcile(&desired).await.unwrap().check().unwrap().changes, []);
        assert!(link(&controller, "eth0").await.up);
        assert_eq!(controller.reconcile(&desired).await.unwrap().changes, []);
    });
}
