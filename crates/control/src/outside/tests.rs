use super::*;
use crate::{Address, LinkRoute};

const SERVER: &str = "198.51.100.9";

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn route(text: &str) -> Route {
    Route::new(text.parse().unwrap())
}

fn link(index: u32, nets: &[&str], routes: &[Route]) -> Link {
    let address = |net: &&str| Address {
        net: net.parse().unwrap(),
        peer: None,
        protocol: 0,
        tentative: false,
        duplicate: false,
        permanent: true,
    };
    Link {
        index,
        up: true,
        addresses: nets.iter().map(address).collect(),
        routes: routes.iter().map(|route| LinkRoute { route: *route, protocol: 3 }).collect(),
        ..Link::default()
    }
}

/// `eth0` with the default routes of both families, `eth1` beside it, and the tap.
fn host() -> Observed {
    let eth0 = link(
        2,
        &["192.0.2.2/24", "2001:db8::2/64"],
        &[
            Route::default_v4().via(ip("192.0.2.1")).metric(100),
            Route::default_v6().via(ip("fe80::1")).metric(1024),
        ],
    );
    let eth1 = link(3, &["203.0.113.2/24"], &[Route::default_v4().via(ip("203.0.113.1")).metric(200)]);
    let links = [(name("eth0"), eth0), (name("eth1"), eth1), (name("tap0"), link(4, &[], &[]))];
    Observed { links: links.into(), ..Observed::default() }
}

fn tunnel(settings: Interface) -> Desired {
    Desired { interfaces: [(name("tap0"), settings)].into(), ..Desired::default() }
}

fn routes(routes: &[Route]) -> Desired {
    tunnel(Interface { routes: routes.to_vec(), ..Interface::default() })
}

fn keep(desired: &mut Desired, observed: &Observed, server: &str) -> KeptOutside {
    keep_outside(desired, observed, &[(name("tap0"), [ip(server)].into())].into())
}

fn expected(server: &str) -> (InterfaceName, Route) {
    let route = Route::new(IpNet::from(ip(server)));
    let route = match ip(server) {
        IpAddr::V4(_) => route.metric(0).via(ip("192.0.2.1")),
        IpAddr::V6(_) => route.metric(1).via(ip("fe80::1")),
    };
    (name("eth0"), route)
}

#[test]
fn n6_whatever_covers_the_server_a_host_route_goes_the_way_in_use() {
    let covering = [
        routes(&[route("0.0.0.0/1"), route("128.0.0.0/1")]),
        routes(&[Route::default_v4().metric(1)]),
        routes(&[route("198.51.100.0/24").via(ip("10.77.3.1"))]),
        routes(&[route("198.51.100.9/32").metric(10)]),
        tunnel(Interface { addresses: ["198.51.100.77/8".parse().unwrap()].into(), ..Interface::default() }),
    ];
    for mut desired in covering {
        let before = desired.clone();
        let kept = keep(&mut desired, &host(), SERVER);
        assert_eq!(kept.routes, [expected(SERVER)], "{before:?}");
        assert_eq!(kept.obstacles, BTreeSet::new());
        assert_eq!(desired.interfaces[&name("eth0")].routes, [expected(SERVER).1]);
        assert_eq!(desired.interfaces[&name("eth0")].up, None, "nothing else is asked of it");
        assert_eq!(desired.interfaces[&name("tap0")], before.interfaces[&name("tap0")]);
    }
}

#[test]
fn n6_the_same_for_ipv6() {
    let server = "2001:db8:9::9";
    let covering = [
        routes(&[route("::/1"), route("8000::/1")]),
        routes(&[Route::default_v6().metric(1)]),
        routes(&[route("2001:db8:9::/48")]),
        routes(&[route("2001:db8:9::9/128")]),
        tunnel(Interface { accept_ra: Some(true), ..Interface::default() }),
    ];
    for mut desired in covering {
        let kept = keep(&mut desired, &host(), server);
        assert_eq!(
            kept,
            KeptOutside { routes: vec![expected(server)], ..KeptOutside::default() },
            "{desired:?}"
        );
    }
}

#[test]
fn n6_what_covers_nothing_needs_no_route() {
    let harmless = [
        routes(&[]),
        routes(&[route("10.0.0.0/8"), route("198.51.101.0/24")]),
        routes(&[Route::default_v6()]),
        tunnel(Interface { addresses: ["10.77.3.2/24".parse().unwrap()].into(), ..Interface::default() }),
        tunnel(Interface { accept_ra: Some(true), ..Interface::default() }),
    ];
    for mut desired in harmless {
        let before = desired.clone();
        assert_eq!(keep(&mut desired, &host(), SERVER), KeptOutside::default());
        assert_eq!(desired, before);
    }
    for own in ["127.0.0.1", "::1", "192.0.2.2", "fe80::9"] {
        let mut desired = routes(&[Route::default_v4(), Route::default_v6()]);
        assert_eq!(keep(&mut desired, &host(), own), KeptOutside::default(), "{own}");
    }
}

#[test]
fn n6_the_way_in_use_is_the_kernel_s_choice_without_the_tunnel() {
    let all = || routes(&[Route::default_v4().metric(1)]);
    let on_the_link = keep(&mut all(), &host(), "192.0.2.9").routes;
    assert_eq!(on_the_link, [(name("eth0"), Route::new(IpNet::from(ip("192.0.2.9"))).metric(0))]);

    let mut narrower = host();
    let wide = LinkRoute { route: route("198.51.0.0/16").via(ip("203.0.113.9")).on_link(), protocol: 4 };
    narrower.links.get_mut(&name("eth1")).unwrap().routes.push(wide);
    let (interface, route_) = keep(&mut all(), &narrower, SERVER).routes[0].clone();
    assert_eq!((interface, route_.via, route_.on_link), (name("eth1"), Some(ip("203.0.113.9")), true));

    let mut down = host();
    down.links.get_mut(&name("eth0")).unwrap().up = false;
    assert_eq!(keep(&mut all(), &down, SERVER).routes[0].0, name("eth1"));
    down.links.get_mut(&name("eth1")).unwrap().up = false;
    assert_eq!(keep(&mut all(), &down, SERVER), KeptOutside::default(), "there is no way");
}

#[test]
fn n6_the_route_that_was_added_is_not_taken_for_the_way() {
    let mut later = host();
    let (_, ours) = expected(SERVER);
    later.links.get_mut(&name("eth0")).unwrap().routes.push(LinkRoute { route: ours, protocol: PROTOCOL });
    let mut desired = routes(&[Route::default_v4().metric(1)]);
    assert_eq!(keep(&mut desired, &later, SERVER).routes, [expected(SERVER)], "the same again");
    // The router is another one now.
    let eth0 = later.links.get_mut(&name("eth0")).unwrap();
    eth0.routes[0].route.via = Some(ip("192.0.2.254"));
    let mut desired = routes(&[Route::default_v4().metric(1)]);
    assert_eq!(keep(&mut desired, &later, SERVER).routes[0].1.via, Some(ip("192.0.2.254")));
}

#[test]
fn n6_a_route_that_no_other_can_beat_is_left_out_and_said() {
    for (unbeatable, server) in
        [(route("198.51.100.9/32"), SERVER), (route("2001:db8:9::9/128").metric(1), "2001:db8:9::9")]
    {
        let other = route("10.0.0.0/8");
        let mut desired = routes(&[unbeatable, other]);
        let kept = keep(&mut desired, &host(), server);
        assert_eq!(kept.routes, [expected(server)]);
        assert_eq!(desired.interfaces[&name("tap0")].routes, [other]);
        let said: Vec<String> = kept.obstacles.iter().map(ToString::to_string).collect();
        assert!(said[0].contains("left out") && said[0].contains(server), "{said:?}");
    }
}

#[test]
fn n6_an_interface_that_leads_to_the_server_joins_no_bridge_and_stays_in_none() {
    let mut joined = host();
    joined.links.get_mut(&name("eth0")).unwrap().controller = Some(name("br-lab"));
    for observed in [host(), joined] {
        let bridge = Bridge { interfaces: [name("eth0"), name("eth2")].into(), ..Bridge::default() };
        let tap = Interface { bridge: Some(name("br-lab")), ..Interface::default() };
        let mut desired = tunnel(tap);
        desired.bridges.insert(name("br-lab"), bridge);
        let kept = keep(&mut desired, &observed, SERVER);
        assert_eq!(desired.bridges[&name("br-lab")].interfaces, [name("eth2")].into());
        let said: Vec<String> = kept.obstacles.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("eth0 is left out of bridge br-lab"), "{said:?}");
        assert_eq!(kept.routes, []);
    }
}

#[test]
fn n6_a_way_through_the_bridge_of_the_tunnel_is_said() {
    let mut observed = host();
    observed.links.retain(|interface, _| interface.as_str() != "eth1");
    let eth0 = observed.links.remove(&name("eth0")).unwrap();
    observed.links.insert(name("br-lab"), eth0);
    let mut desired = tunnel(Interface { bridge: Some(name("br-lab")), ..Interface::default() });
    let kept = keep(&mut desired, &observed, SERVER);
    assert_eq!(kept.routes, []);
    let said: Vec<String> = kept.obstacles.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("through bridge br-lab"), "{said:?}");
}

#[test]
fn n6_the_routes_of_the_bridge_of_a_tunnel_count_as_its_own() {
    let settings = Interface { routes: vec![Route::default_v4().metric(1)], ..Interface::default() };
    let mut desired = tunnel(Interface { bridge: Some(name("br-lab")), ..Interface::default() });
    desired.bridges.insert(name("br-lab"), Bridge { settings, ..Bridge::default() });
    assert!(may_need(&desired, &name("tap0"), &[ip(SERVER)].into()));
    assert_eq!(keep(&mut desired, &host(), SERVER).routes, [expected(SERVER)]);
}
