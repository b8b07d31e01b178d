//! A tunnel whose routes cover the way to its own server.

use std::process::Command;

use tapline_control::{Desired, Interface, Route, Tunnels, keep_outside, namespace::Namespace};

use crate::{controlled, essence, hosts, name, net, nets};

fn ip(namespace: &Namespace, line: &str) -> String {
    let output = namespace.run(|| Command::new("ip").args(line.split(' ')).output().unwrap()).unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn n6_host_routes_come_and_go_with_what_they_are_for() {
    let Some(hosts) = hosts() else { return };
    for line in [
        "address add 192.0.2.2/32 dev eth0",
        "route add default via 192.0.2.1 dev eth0 onlink metric 50",
        "-6 address add 2001:db8::2/64 dev eth0 nodad",
        "-6 route add default via 2001:db8::1 dev eth0 metric 50",
        "tuntap add dev tap0 mode tap",
    ] {
        ip(&hosts.here, line);
    }
    let servers = ["198.51.100.9".parse().unwrap(), "2001:db8:9::9".parse().unwrap()];
    let tunnels: Tunnels = [(name("tap0"), servers.into())].into();
    let route = |to: &str| Route::new(net(to));
    let covering = [
        vec![route("0.0.0.0/1"), route("128.0.0.0/1"), route("::/1"), route("8000::/1")],
        vec![Route::default_v4().metric(1), Route::default_v6().metric(1)],
        vec![route("198.51.100.0/24"), route("2001:db8:9::/48")],
        vec![route("198.51.100.9/32").metric(5), route("2001:db8:9::9/128").metric(5)],
        vec![route("198.51.100.9/32"), route("2001:db8:9::9/128")],
    ];
    controlled(&hosts.here, async |mut controller| {
        let before = controller.observe().await.unwrap();
        for routes in covering {
            let wanted = || {
                let addresses = nets(&["10.77.0.2/24", "fd77::2/64"]);
                let tap = Interface { addresses, routes: routes.clone(), ..Interface::default() };
                Desired { interfaces: [(name("tap0"), tap)].into(), ..Desired::default() }
            };
            // A second time there is nothing to do.
            for round in 0..2 {
                let mut desired = wanted();
                let kept = keep_outside(&mut desired, &controller.observe().await.unwrap(), &tunnels);
                assert_eq!(kept.routes.len(), 2, "{routes:?}");
                let changes = controller.reconcile(&desired).await.unwrap().changes;
                assert_eq!(changes.is_empty(), round == 1, "{routes:?}: {changes:?}");
            }
            let ways = [("198.51.100.9", "via 192.0.2.1"), ("2001:db8:9::9", "via 2001:db8::1")];
            for (server, via) in ways {
                let way = ip(&hosts.here, &format!("route get {server}"));
                assert!(way.contains(via) && way.contains("dev eth0"), "{routes:?}: {way}");
            }
            controller.remove_all().await.unwrap();
            assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before), "{routes:?}");
        }
    });
}
