use super::*;

fn mistakes(text: &str) -> Vec<String> {
    match Lab::from_str("f", text) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|d| format!("{}:{}: {}", d.line, d.column, d.message)).collect(),
    }
}

/// A lab of two hosts with one more line.
fn with(line: &str) -> String {
    format!(
        "networks: {{internet: {{}}}}\nhosts:\n  berlin: {{interfaces: {{internet: {{addresses: [192.0.2.1/24]}}}}}}\n  \
         leipzig: {{interfaces: {{internet: {{}}}}}}\n{line}\n"
    )
}

fn check(keys: &str) -> Vec<String> {
    mistakes(&with(&format!("checks: [{{{keys}}}]")))
}

#[test]
fn a_check_has_one_probe_and_its_defaults() {
    let lab = Lab::from_str("f", &with("checks: [{ping: 192.0.2.1, from: leipzig}]")).expect("valid");
    let [only] = lab.checks.as_slice() else { panic!("{:?}", lab.checks) };
    assert_eq!((only.title().as_str(), only.within), ("leipzig: ping 192.0.2.1", Duration::from_secs(10)));
    assert!(matches!(only.probe, Probe::Ping { count: PING_COUNT, .. }));

    let target = "multicast: ff02::1%internet, replies-from: [berlin]";
    let lab =
        Lab::from_str("f", &with(&format!("checks: [{{{target}, from: leipzig, name: hello, within: 1m}}]")));
    let lab = lab.expect("valid");
    assert_eq!((lab.checks[0].title().as_str(), lab.checks[0].within.as_secs()), ("hello", 60));
}

#[test]
fn a_check_with_mistakes_tells_them() {
    assert_eq!(check("from: berlin"), ["5:10: this check tries nothing"]);
    assert_eq!(check("from: berlin, pin: 192.0.2.1"), ["5:25: unknown key `pin`"]);
    assert_eq!(check("ping: 192.0.2.1"), ["5:10: the key `from` is missing"]);
    let two = "ping: 192.0.2.1, throughput: 192.0.2.1, from: berlin";
    assert_eq!(check(two), ["5:40: one check cannot try `ping` and `throughput`"]);
    assert_eq!(check("ping: 192.0.2.1, from: berlim"), ["5:34: `berlim` is no host of this lab"]);
    assert_eq!(check("throughput: 192.0.2.1, from: leipzig"), ["5:10: the key `to` is missing"]);
    assert_eq!(
        check("ping: 192.0.2.1, from: leipzig, to: berlin"),
        ["5:43: `to` belongs to `throughput`, not to `ping`"]
    );
    assert_eq!(
        check("ping: fe80::1, from: leipzig"),
        ["5:17: `fe80::1` means nothing without its interface"]
    );
    assert_eq!(check("ping: ff02::1%internet, from: leipzig"), ["5:17: ff02::1 is a group"]);
    assert_eq!(check("ping: fe80::1%br-lab, from: leipzig"), ["5:17: `leipzig` has no interface `br-lab`"]);
    assert_eq!(check("ping: fe80::1%tap0, from: leipzig"), [""; 0]);
    let multicast = "from: leipzig, multicast: 192.0.2.1, replies-from: [berlin]";
    assert_eq!(check(multicast), ["5:37: 192.0.2.1 is no IPv6 group"]);
    let nobody = "from: leipzig, multicast: ff02::1%internet, replies-from: []";
    assert_eq!(check(nobody), ["5:69: nobody is to answer"]);
    let unknown = "from: leipzig, multicast: ff02::1%internet, replies-from: [berlin, bonn]";
    assert_eq!(check(unknown), ["5:78: `bonn` is no host of this lab"]);
}

#[test]
fn hosts_and_networks_fit_together() {
    assert_eq!(mistakes("networks: {}"), ["1:1: a lab without hosts"]);
    assert_eq!(
        mistakes("networks: {wan: {}}\nhosts: {a: {interfaces: {wam: {}}}}"),
        ["2:26: the network `wam` is not among `networks`"]
    );
    assert_eq!(
        mistakes(&with("  bonn: {interfaces: {internet: {addresses: [192.0.2.1/25]}}}")),
        ["5:46: 192.0.2.1 in network `internet` is the address of `berlin` already"]
    );
}

#[test]
fn a_configuration_within_a_lab_is_checked_where_it_stands() {
    let tapline =
        "  bonn:\n    tapline:\n      links:\n        x: {host: 192.0.2.1, bridge: br0, mut: 1500}\n";
    assert_eq!(
        mistakes(&with(tapline)),
        ["8:38: the bridge `br0` is not among `bridges`", "8:43: unknown key `mut`"]
    );
}

#[test]
fn only_hosts_of_the_lab_need_no_key() {
    let accept = |peer: &str| {
        with(&format!("  bonn:\n    tapline: {{server: {{permit-tunnel: yes, accept: {{{peer}: {{}}}}}}}}\n"))
    };
    assert_eq!(mistakes(&accept("leipzig")), [""; 0]);
    assert_eq!(
        mistakes(&accept("leipzip")),
        ["6:53: `leipzip` is no host of this lab and has no `public-key`"]
    );
}
