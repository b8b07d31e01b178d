//! IPv6 settings below /proc/sys, and the values that were found there.

use std::fs;

use tapline_control::{Interface, Link};

use crate::{controlled, essence, eth0, hosts, link};

fn conf(setting: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/eth0/{setting}")
}

fn has_link_local(link: &Link) -> bool {
    link.addresses.iter().any(|address| address.net.to_string().starts_with("fe80:"))
}

#[test]
fn accept_ra_holds_on_a_router_too_and_goes_back() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        fs::write(conf("forwarding"), "1").unwrap();
        let accept = |accept_ra| eth0(Interface { accept_ra, ..Interface::default() });
        for (desired, expected) in [(Some(true), 2), (Some(false), 0), (None, 1)] {
            controller.reconcile(&accept(desired)).await.unwrap();
            assert_eq!(link(&controller, "eth0").await.ipv6.unwrap().accept_ra, expected);
            assert_eq!(fs::read_to_string(conf("accept_ra")).unwrap().trim(), expected.to_string());
            assert_eq!(controller.reconcile(&accept(desired)).await.unwrap().changes, []);
        }
        assert!(controller.owned().is_empty());
    });
}

#[test]
fn link_local_goes_and_comes_back() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        // Both ends are up, so the kernel has made one, or is about to.
        let with = eth0(Interface { link_local_ipv6: Some(true), ..Interface::default() });
        controller.reconcile(&with).await.unwrap().check().unwrap();
        let before = controller.observe().await.unwrap();
        assert!(has_link_local(&link(&controller, "eth0").await));

        let without = eth0(Interface { link_local_ipv6: Some(false), ..Interface::default() });
        controller.reconcile(&without).await.unwrap();
        assert!(!has_link_local(&link(&controller, "eth0").await));
        assert_eq!(link(&controller, "eth0").await.ipv6.unwrap().addr_gen_mode, 1);
        assert_eq!(controller.reconcile(&without).await.unwrap().changes, []);

        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}

#[test]
fn ipv6_is_switched_on_where_an_address_needs_it_and_off_again() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        fs::write(conf("disable_ipv6"), "1").unwrap();
        let before = controller.observe().await.unwrap();
        let desired = eth0(Interface { addresses: crate::nets(&["fd77::1/64"]), ..Interface::default() });
        controller.reconcile(&desired).await.unwrap().check().unwrap();
        controller.remove_all().await.unwrap();
        assert_eq!(fs::read_to_string(conf("disable_ipv6")).unwrap(), "1\n");
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}

#[test]
fn an_mtu_too_small_for_ipv6_is_found_again() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let small = eth0(Interface { mtu: Some(1000), ..Interface::default() });
        let mut administrator =
            tapline_control::Controller::new(tapline_control::Journal::in_memory()).unwrap();
        administrator.reconcile(&small).await.unwrap();
        let before = controller.observe().await.unwrap();
        let desired = eth0(Interface {
            mtu: Some(1500),
            addresses: crate::nets(&["10.77.0.1/24", "fd77::1/64"]),
            ..Interface::default()
        });
        controller.reconcile(&desired).await.unwrap().check().unwrap();
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}
