use tapline_config::Lab;
use tapline_control::InterfaceName;

use super::{Topology, TopologyError};

fn topology(text: &str) -> Result<Topology, TopologyError> {
    Topology::of(&Lab::from_str("lab.yaml", text).unwrap())
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

const TWO_NETWORKS: &str = "
networks: {lan: {mtu: 9000}, wan: {}}
hosts:
  router:
    forwarding: true
    interfaces:
      lan: {addresses: [192.0.2.1/24, '2001:db8::1/64']}
      wan: {addresses: [198.51.100.1/24]}
  station:
    interfaces: {lan: {mtu: 1400, addresses: [192.0.2.2/24]}}
    routes: [{to: default, via: 192.0.2.1}]
";

#[test]
fn interfaces_have_the_names_of_their_networks() {
    let topology = topology(TWO_NETWORKS).unwrap();
    let [router, station] = topology.hosts.as_slice() else { panic!("two hosts") };
    assert!(router.forwarding && !station.forwarding);
    let plugs: Vec<_> =
        router.plugs.iter().map(|plug| (plug.interface.as_str(), plug.mtu, plug.ipv6)).collect();
    assert_eq!(plugs, [("lan", Some(9000), true), ("wan", None, false)]);
    assert_eq!(router.desired.interfaces[&name("lan")].addresses.len(), 2);
}

#[test]
fn ipv4_addresses_alone_mean_no_ipv6_and_no_addresses_mean_it_may_come() {
    let text =
        "{networks: {a: {}, b: {}}, hosts: {h: {interfaces: {a: {addresses: [192.0.2.1/24]}, b: {}}}}}";
    let topology = topology(text).unwrap();
    let ipv6: Vec<_> = topology.hosts[0].plugs.iter().map(|plug| plug.ipv6).collect();
    assert_eq!(ipv6, [false, true]);
}

#[test]
fn an_interface_may_be_smaller_than_its_network() {
    assert_eq!(topology(TWO_NETWORKS).unwrap().hosts[1].plugs[0].mtu, Some(1400));
}

#[test]
fn a_route_leaves_by_the_interface_that_is_near_its_next_hop() {
    let topology = topology(TWO_NETWORKS).unwrap();
    let routes = &topology.hosts[1].desired.interfaces[&name("lan")].routes;
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].via, Some("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_route_that_no_interface_leads_to_is_an_error() {
    let text = TWO_NETWORKS.replace("forwarding: true", "routes: [{to: 203.0.113.0/24, via: 203.0.113.1}]");
    let error = topology(&text).unwrap_err();
    assert!(error.to_string().contains("host `router`: no interface leads to"), "{error}");
}
