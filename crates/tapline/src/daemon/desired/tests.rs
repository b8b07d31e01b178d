use tapline_config::Config;

use super::*;

fn config(text: &str) -> Config {
    Config::from_str("test.yaml", text).unwrap()
}

#[test]
fn a_link_becomes_a_port_without_an_address_of_its_own() {
    let config = config("links: {berlin: {host: berlin, bridge: br-lab, mtu: 1400}}\nbridges: {br-lab: {}}");
    let device = link_device(config.links.values().next().unwrap());
    assert_eq!(device.bridge, Some("br-lab".parse().unwrap()));
    assert_eq!(device.link_local_ipv6, Some(false));
    assert_eq!(device.mtu, Some(1400));
    assert_eq!(device.up, Some(true));
}

#[test]
fn addresses_and_routes_straight_on_the_tap() {
    let config = config(
        "links: {berlin: {host: berlin, addresses: [10.77.0.2/24, 'fd77::2/64'], routes: [{to: '2001:db8:2::/48', via: 'fd77::1', metric: 7}]}}",
    );
    let device = link_device(config.links.values().next().unwrap());
    assert_eq!(device.addresses.len(), 2);
    assert_eq!(device.routes[0].metric, Some(7));
    assert_eq!(device.link_local_ipv6, None);
}

#[test]
fn bridges_bring_their_ports() {
    let config = config(
        "bridges: {br-lab: {interfaces: [eth1], addresses: ['fd77::1/64'], parameters: {stp: true, forward-delay: 4}}}",
    );
    let desired = bridges(&config);
    let bridge = &desired.bridges[&"br-lab".parse().unwrap()];
    assert_eq!(bridge.parameters.stp, Some(true));
    assert_eq!(bridge.parameters.forward_delay, Some(Duration::from_secs(4)));
    assert!(desired.interfaces[&"eth1".parse().unwrap()].required);
}
