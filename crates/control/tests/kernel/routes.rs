use tapline_control::{Controller, Interface, Journal, PROTOCOL, Route};

use crate::{controlled, essence, eth0, hosts, link, name, net, nets};

fn via(to: &str, next_hop: &str) -> Route {
    Route::new(net(to)).via(next_hop.parse().unwrap())
}

#[test]
fn every_kind_of_route_comes_and_goes() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        let routes = vec![
            Route::default_v4().via("10.77.0.254".parse().unwrap()),
            Route::default_v4().via("10.77.0.253".parse().unwrap()).metric(100),
            Route::new(net("192.0.2.0/25")),
            via("198.51.100.0/24", "203.0.113.1").on_link(),
            // IPv4 through an IPv6 next hop: RTA_VIA.
            via("198.51.100.0/25", "fd77::9").metric(7),
            via("198.51.100.128/25", "fe80::9"),
            via("2001:db8:2::/48", "fd77::9"),
            via("2001:db8:2::/48", "fe80::9").metric(2000),
            via("2001:db8:3::/48", "2001:db8:ffff::1").on_link(),
            Route::new(net("2001:db8:4::/48")).metric(5),
            Route::default_v6().via("fe80::1".parse().unwrap()),
        ];
        let addresses = nets(&["10.77.0.1/24", "fd77::1/64"]);
        let desired = eth0(Interface { addresses, routes: routes.clone(), ..Interface::default() });
        controller.reconcile(&desired).await.unwrap().check().unwrap();

        let now = link(&controller, "eth0").await;
        assert_eq!(now.routes.len(), routes.len());
        for route in routes {
            let expected = Route { metric: Some(route.effective_metric()), ..route };
            let found = now.routes.iter().find(|found| found.route == expected);
            assert_eq!(found.unwrap_or_else(|| panic!("{route} in {:?}", now.routes)).protocol, PROTOCOL);
        }
        assert_eq!(controller.reconcile(&desired).await.unwrap().changes, []);
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}

#[test]
fn a_new_address_keeps_the_routes() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let with = |address| {
            let routes = vec![via("198.51.100.0/24", "10.77.0.254")];
            eth0(Interface { addresses: nets(&[address]), routes, ..Interface::default() })
        };
        controller.reconcile(&with("10.77.0.1/24")).await.unwrap();
        controller.reconcile(&with("10.77.0.2/24")).await.unwrap();
        let now = link(&controller, "eth0").await;
        assert!(now.address(net("10.77.0.1/24")).is_none() && now.address(net("10.77.0.2/24")).is_some());
        assert_eq!(now.routes.len(), 1);
        assert_eq!(controller.reconcile(&with("10.77.0.2/24")).await.unwrap().changes, []);
    });
}

#[test]
fn a_found_route_outlives_our_last_address() {
    let Some(hosts) = hosts() else { return };
    // Numbered by IPv6 alone, as routers do; the kernel drops the route with the last IPv4 address.
    let found = Interface {
        addresses: nets(&["fd77::1/64"]),
        routes: vec![via("198.51.100.0/24", "fd77::9")],
        ..Interface::default()
    };
    hosts.here.configure(&eth0(found)).unwrap();
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        let ours = Interface { addresses: nets(&["10.77.0.1/24"]), ..Interface::default() };
        controller.reconcile(&eth0(ours)).await.unwrap();
        controller.remove_all().await.unwrap();
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
    });
}

#[test]
fn a_route_that_someone_else_has_is_a_conflict() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let addresses = || nets(&["10.77.0.1/24"]);
        let routes = |next_hop: &str| vec![Route::default_v4().via(next_hop.parse().unwrap())];
        let theirs =
            Interface { addresses: addresses(), routes: routes("10.77.0.254"), ..Interface::default() };
        Controller::new(Journal::in_memory()).unwrap().reconcile(&eth0(theirs)).await.unwrap();
        let ours = Interface { routes: routes("10.77.0.253"), ..Interface::default() };
        let error = controller.reconcile(&eth0(ours)).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "route 0.0.0.0/0 via 10.77.0.253 metric 0 of eth0 cannot be added: eth0 has 0.0.0.0/0 via 10.77.0.254 \
             metric 0; give one of them another metric"
        );
        assert_eq!(link(&controller, "eth0").await.routes.len(), 1);
        assert!(!controller.owned().interfaces.contains_key(&name("eth0")));
    });
}
