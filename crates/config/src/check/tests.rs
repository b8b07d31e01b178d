use crate::{Config, Diagnostics, Loaded, Severity};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// The mistakes in `text`, as `line:column: message`; `KEY` in it stands for a public key.
fn mistakes(text: &str) -> Vec<String> {
    Config::from_str("f", &text.replace("KEY", KEY))
        .map_or_else(|found| said(&found, Severity::Error), |_| Vec::new())
}

/// The warnings about `text`, in the same form.
fn warnings(text: &str) -> Vec<String> {
    let loaded = Loaded::from_str("f", &text.replace("KEY", KEY)).unwrap_or_else(|found| panic!("{found}"));
    said(&loaded.warnings, Severity::Warning)
}

fn said(found: &Diagnostics, severity: Severity) -> Vec<String> {
    let of_it = found.iter().filter(|found| found.severity == severity);
    of_it.map(|d| format!("{}:{}: {}", d.line, d.column, d.message)).collect()
}

#[track_caller]
fn assert_mistakes(text: &str, expected: &[&str]) {
    assert_eq!(mistakes(text), expected, "{text}");
}

fn link(keys: &str) -> String {
    format!("links: {{berlin: {{host: berlin, {keys}}}}}\nbridges: {{br-lab: {{}}}}\n")
}

fn server(keys: &str) -> String {
    format!("server: {{{keys}}}\nbridges: {{br-lab: {{}}}}\n")
}

#[test]
fn a_bridge_must_be_there() {
    assert_mistakes(&link("bridge: br-lab"), &[]);
    assert_mistakes(&link("bridge: br-lap"), &["1:40: the bridge `br-lap` is not among `bridges`"]);
    let found = Config::from_str("f", &link("bridge: br-lap")).expect_err("a mistake");
    assert_eq!(found.iter().next().and_then(|d| d.hint.as_deref()), Some("did you mean `br-lab`?"));
    assert_mistakes("links: {a: {host: b, bridge: br0}}", &["1:30: the bridge `br0` is not among `bridges`"]);
}

#[test]
fn a_misspelt_section_is_one_mistake() {
    assert_mistakes(
        "links: {a: {host: b, bridge: br0}}\nbrigdes: {br0: {}}",
        &["2:1: unknown key `brigdes`"],
    );
    assert_mistakes("links: {a: {hots: b}}", &["1:13: unknown key `hots`"]);
    assert_mistakes(
        "server: {permit-tunel: ethernet, accept: {a: {public-key: KEY}}}",
        &["1:10: unknown key `permit-tunel`"],
    );
}

#[test]
fn y2_a_port_of_a_bridge_has_no_addresses_of_its_own() {
    for (key, value) in [
        ("addresses", "[10.77.0.1/24]"),
        ("addresses", "[{'fd77::1/128': {peer: 'fd77::2'}}]"),
        ("routes", "[{to: 10.0.0.0/8}]"),
        ("accept-ra", "true"),
        ("link-local", "[ipv6]"),
        ("link-local", "[ipv4]"),
    ] {
        let wrong = format!("a port of a bridge has no `{key}` of its own: nothing would answer there");
        assert_mistakes(&link(&format!("bridge: br-lab, {key}: {value}")), &[&format!("1:48: {wrong}")]);
        let accept =
            format!("permit-tunnel: yes, accept: {{a: {{public-key: KEY, bridge: br-lab, {key}: {value}}}}}");
        assert_eq!(mistakes(&server(&accept)), [format!("1:153: {wrong}")]);
        assert_mistakes(&link(&format!("{key}: {value}")), &[]);
    }
    for harmless in ["addresses: []", "routes: []", "accept-ra: false", "link-local: []", "mtu: 1400"] {
        assert_mistakes(&link(&format!("bridge: br-lab, {harmless}")), &[]);
    }
}

#[test]
fn point_to_point_carries_no_ethernet() {
    for key in ["bridge: br-lab", "macaddress: 02:00:00:00:00:01"] {
        let found = mistakes(&link(&format!("tunnel: yes, {key}")));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a point-to-point tunnel carries no Ethernet"), "{found:?}");
    }
    assert_mistakes(&link("tunnel: point-to-point, addresses: [10.77.0.1/30]"), &[]);
    // A wrong `tunnel` says nothing about the bridge.
    assert_mistakes(
        &link("tunnel: token-ring, bridge: br-lab"),
        &["1:40: `token-ring` is no kind of tunnel"],
    );
}

#[test]
fn an_interface_has_one_bridge() {
    assert_mistakes(
        "bridges:\n  br0: {interfaces: [eth0]}\n  br1: {interfaces: [eth1, eth0]}\n",
        &["3:28: `eth0` is a port of bridge `br0` already"],
    );
    assert_mistakes(
        "bridges:\n  br0: {interfaces: [br1]}\n  br1: {}\n",
        &["2:22: `br1` is a bridge and cannot be a port of one"],
    );
    assert_mistakes(
        "links: {a: {host: b, tunnel-device: 3, bridge: br0}}\nbridges:\n  br0: {}\n  br1: {interfaces: [tap3]}\n",
        &["4:22: `tap3` is a port of bridge `br0` already"],
    );
}

#[test]
fn a_tunnel_device_has_one_link() {
    let links = |first: &str, second: &str| {
        format!("links:\n  a: {{host: b, {first}}}\n  c: {{host: d, {second}}}\n")
    };
    let taken = "3:31: tap3 is the tunnel device of `a` on line 2 already";
    assert_mistakes(&links("tunnel-device: 3", "tunnel-device: 3:5"), &[taken]);
    assert_mistakes(&links("tunnel-device: 3", "tunnel-device: 3, tunnel: yes"), &[]);
    assert_mistakes(&links("tunnel-device: any:3", "tunnel-device: 4:3"), &[]);
    assert_mistakes(
        "links: {a: {host: b, tunnel: yes, tunnel-device: 3}}\nserver: {permit-tunnel: yes, accept: {c: {public-key: KEY, tunnel-device: 3}}}",
        &["2:152: tun3 is the tunnel device of `a` on line 1 already"],
    );
    assert_mistakes(
        "links: {a: {host: b, tunnel-device: 3}}\nbridges: {tap3: {}}",
        &["2:11: `tap3` is the tunnel device of `a` on line 1 already"],
    );
}

#[test]
fn u14_a_name_is_one_devices() {
    let links = |first: &str, second: &str| {
        format!("links:\n  a: {{host: b, {first}}}\n  c: {{host: d, {second}}}\n")
    };
    let taken = |name: &str| format!("3:26: `{name}` is the tunnel device of `a` on line 2 already");
    assert_mistakes(&links("set-name: lab0", "set-name: lab1"), &[]);
    assert_mistakes(&links("set-name: lab0", "set-name: lab0"), &[&taken("lab0")]);
    assert_mistakes(&links("tunnel-device: 3", "set-name: tap3"), &[&taken("tap3")]);
    assert_mistakes(&links("tunnel-device: 3", "set-name: tun3"), &[]);
    let twice = "`set-name` and a number in `tunnel-device` name one device twice";
    assert_mistakes(&links("port: 1", "set-name: a, tunnel-device: 3:any"), &[&format!("3:26: {twice}")]);
    assert_mistakes(&links("port: 1", "set-name: a, tunnel-device: any:3"), &[]);
    assert_mistakes(&links("port: 1", "set-name: lo"), &["3:26: `lo` is the loopback interface"]);
    assert_mistakes(&links("port: 1", "set-name: far/too"), &["3:26: `far/too` cannot name an interface"]);
    assert_mistakes(
        "links: {a: {host: b, set-name: lab0}}\nbridges: {lab0: {}}",
        &["2:11: `lab0` is the tunnel device of `a` on line 1 already"],
    );
    assert_mistakes(
        "links: {a: {host: b, set-name: lab0, bridge: br0}}\nbridges:\n  br0: {}\n  br1: {interfaces: [lab0]}\n",
        &["4:22: `lab0` is a port of bridge `br0` already"],
    );
    assert_mistakes(
        "links: {a: {host: b, set-name: lab0}}\nserver: {permit-tunnel: yes, accept: {c: {public-key: KEY, set-name: lab0}}}",
        &["2:147: `lab0` is the tunnel device of `a` on line 1 already"],
    );
    assert_mistakes(
        &server("permit-tunnel: yes, accept: {c: {public-key: KEY, set-name: lab0, tunnel-device: 7}}"),
        &[&format!("1:147: {twice}")],
    );
}

#[test]
fn u11_peers_with_one_key_are_told_apart_by_their_users() {
    let accept = |first: &str, second: &str| {
        format!(
            "server:\n  permit-tunnel: yes\n  accept:\n    a: {{public-key: KEY{first}}}\n    b: {{public-key: KEY{second}}}\n"
        )
    };
    let same = "5:21: this is the key of `a` too";
    assert_mistakes(&accept("", ""), &[same]);
    assert_mistakes(&accept(", user: x", ", user: x"), &[same]);
    assert_mistakes(&accept(", user: x", ", user: y"), &[]);
    assert_mistakes(&accept("", ", user: y"), &[]);
    assert_mistakes(&accept(", user: x", ""), &[]);
    assert_mistakes(
        &accept(", user: x", ", user: y")
            .replace("permit-tunnel: yes", "permit-tunnel: yes\n  permit-user: [y]"),
        &["5:109: x is not among `permit-user`, so that this link is refused"],
    );
}

#[test]
fn u18_a_peer_is_another_host_of_the_same_family() {
    let mistakes_of =
        |addresses: &str| mistakes(&format!("links: {{a: {{host: b, addresses: [{addresses}]}}}}"));
    let peer = |address: &str, peer: &str| mistakes_of(&format!("{{'{address}': {{peer: '{peer}'}}}}"));
    for (address, other) in [
        ("10.77.4.1/32", "10.77.4.2"),
        ("10.77.4.1/30", "10.77.4.2"),
        ("192.0.2.1/32", "198.51.100.1"),
        ("2001:db8::1/128", "2001:db8::2"),
        ("fe80::1/64", "fe80::2"),
    ] {
        assert_eq!(peer(address, other), <[&str; 0]>::default());
    }
    for (address, other, what) in [
        ("10.77.4.1/32", "2001:db8::2", "of the other family"),
        ("2001:db8::1/128", "10.77.4.2", "of the other family"),
        ("10.77.4.1/32", "10.77.4.1", "the same address"),
        ("10.77.4.1/32", "224.0.0.1", "no other host's"),
        ("10.77.4.1/32", "0.0.0.0", "no other host's"),
        ("10.77.4.1/32", "10.77.4.2/32", "is not an IP address"),
        ("10.77.4.1", "10.77.4.2", "is not an address with its prefix"),
    ] {
        let found = peer(address, other);
        assert!(found.len() == 1 && found[0].contains(what), "{address} {other}: {found:?}");
    }
    for (addresses, what) in [
        ("'10.77.4.1/32,peer=10.77.4.2'", "the form of the command line"),
        ("{'10.77.4.1/32': {per: 10.77.4.2}}", "unknown key `per`"),
        ("{'10.77.4.1/32': {}, '10.77.4.3/32': {}}", "expected one address and its keys"),
        ("10.77.4.1/32, 10.77.4.1/32", "the same entry stands in this list twice"),
    ] {
        let found = mistakes_of(addresses);
        assert!(found.len() == 1 && found[0].contains(what), "{addresses}: {found:?}");
    }
    assert_eq!(mistakes_of("10.77.4.1/24, {'10.77.5.1/32': {}}"), <[&str; 0]>::default());
}

#[test]
fn one_user_one_way() {
    assert_mistakes("links: {a: {host: x@b, user: y}}", &["1:30: the user is x before the host and y here"]);
    assert_mistakes("links: {a: {host: x@b, user: x}}", &[]);
    assert_mistakes(
        "links: {a: {host: b, proxy-jump: c, proxy-command: nc %h %p}}",
        &["1:52: `proxy-command` and `proxy-jump` exclude each other"],
    );
    assert_mistakes("links: {a: {host: b, proxy-jump: none, proxy-command: nc %h %p}}", &[]);
    assert_mistakes(
        "links: {a: {host: b, connections: 4, native: no}}",
        &["1:46: 4 connections for one link need Tapline's own channel"],
    );
}

#[test]
fn ipv6_needs_room() {
    assert_mistakes(
        &link("mtu: 1279, addresses: ['fd77::1/64']"),
        &["1:37: an mtu of 1279 leaves no room for IPv6"],
    );
    assert_mistakes(&link("mtu: 1279, accept-ra: true"), &["1:37: an mtu of 1279 leaves no room for IPv6"]);
    assert_mistakes(&link("mtu: 576, addresses: [10.77.0.1/24]"), &[]);
    assert_mistakes(
        "bridges: {br0: {mtu: 68, addresses: ['fd77::1/64']}}",
        &["1:22: an mtu of 68 leaves no room for IPv6"],
    );
}

#[test]
fn a_server_listens_somewhere_once() {
    assert_mistakes(&server("listen: []"), &["1:18: a server without an address to listen on"]);
    assert_mistakes(
        &server("listen: [0.0.0.0:22, 192.0.2.1:22]"),
        &["1:31: 0.0.0.0:22 listens on this address too"],
    );
    assert_mistakes(&server("listen: ['[::]:22', 192.0.2.1:22, 192.0.2.1:23]"), &[]);
    assert_mistakes(
        &server("listen: [192.0.2.1:22, 192.0.2.1:22]"),
        &["1:33: the same entry stands in this list twice"],
    );
}

#[test]
fn a_server_permits_what_it_accepts() {
    let refused = "the server permits no tunnel, so that this link is refused";
    assert_eq!(mistakes(&server("accept: {a: {public-key: KEY}}")), [format!("1:19: {refused}")]);
    assert_mistakes(&server("permit-tunnel: no, accept: {a: {public-key: KEY, bridge: br-lab}}"), &[]);
    assert_mistakes(
        &server("permit-tunnel: point-to-point, accept: {a: {public-key: KEY, bridge: br-lab}}"),
        &["1:148: a bridge takes Ethernet, and the server permits point-to-point only"],
    );
    assert_mistakes(
        &server("permit-tunnel: nope, accept: {a: {public-key: KEY}}"),
        &["1:25: `nope` is none of no, point-to-point, ethernet, yes"],
    );
}

#[test]
fn every_peer_has_a_key_of_its_own() {
    assert_mistakes(
        &server("permit-tunnel: yes, accept: {a: {bridge: br-lab}}"),
        &["1:39: the key `public-key` is missing"],
    );
    assert_mistakes(&server("permit-tunnel: yes, accept: {a: }"), &["1:39: the key `public-key` is missing"]);
    assert_mistakes(
        "server:\n  permit-tunnel: yes\n  accept:\n    a: {public-key: KEY one}\n    b: {public-key: KEY two}\n",
        &["5:21: this is the key of `a` too"],
    );
}

#[test]
fn t7_certificates_need_names_that_count() {
    let message = "certificates are for users by name, and here any name may log in";
    for authorities in ["/etc/tapline/user_ca.pub", "[a, b]", "~/ca"] {
        let found = mistakes(&server(&format!("trusted-user-ca-keys: {authorities}")));
        assert_eq!(found, [format!("1:32: {message}")], "{authorities}");
        let found = mistakes(&server(&format!("permit-tunnel: yes, trusted-user-ca-keys: {authorities}")));
        assert_eq!(found, [format!("1:52: {message}")], "{authorities}");
        for names in
            ["permit-user: [root]", "authorized-principals-file: /etc/tapline/principals", "permit-user: []"]
        {
            assert_mistakes(&server(&format!("trusted-user-ca-keys: {authorities}, {names}")), &[]);
        }
    }
    assert_mistakes(&server("trusted-user-ca-keys: []"), &[]);
    let found = mistakes(&server("trusted-user-ca-keys: a, permit-users: [root]"));
    assert_eq!(found, ["1:35: unknown key `permit-users`"]);
}

#[track_caller]
fn assert_warned(text: &str, expected: &[&str]) {
    let found = warnings(text);
    assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn y4_what_the_kernel_cannot_have_is_refused() {
    assert_mistakes(
        "bridges: {br0: {interfaces: [eth0, lo]}}",
        &["1:36: `lo` is the loopback interface and cannot be a port of a bridge"],
    );
    assert_mistakes("server: {host-keys: []}", &["1:21: a server without a host key"]);
    let links = |first: &str, second: &str| {
        format!("links:\n  a: {{host: x, routes: [{first}]}}\n  b: {{host: y, routes: [{second}]}}\n")
    };
    let taken = |column: usize, what: &str| format!("3:{column}: link `a` has a route to {what} already");
    for (first, second, expected) in [
        ("{to: 10.0.0.0/8}", "{to: 10.0.0.0/8}", Some(taken(30, "10.0.0.0/8 with metric 0"))),
        ("{to: 10.0.0.0/8}", "{to: 10.0.0.0/8, metric: 0}", Some(taken(30, "10.0.0.0/8 with metric 0"))),
        (
            "{to: '2001:db8::/32'}",
            "{metric: 1024, to: '2001:db8::/32'}",
            Some(taken(44, "2001:db8::/32 with metric 1024")),
        ),
        ("{to: '::/0', metric: 0}", "{to: '::/0'}", Some(taken(30, "::/0 with metric 1024"))),
        ("{to: 10.0.0.0/8}", "{to: 10.0.0.0/8, metric: 5}", None),
        ("{to: 10.0.0.0/8}", "{to: 10.0.0.0/9}", None),
    ] {
        assert_eq!(
            mistakes(&links(first, second)),
            expected.into_iter().collect::<Vec<_>>(),
            "{first} {second}"
        );
    }
    let one = "links: {a: {host: x, addresses: [10.1.0.1/24], routes: [{to: 10.2.0.0/16, via: 10.1.0.2}, {to: 10.2.0.0/16, via: 10.1.0.3}]}}";
    assert_mistakes(one, &["1:96: link `a` has a route to 10.2.0.0/16 with metric 0 already"]);
    assert_mistakes(
        "links: {a: {host: x, routes: [{to: 10.0.0.0/8}]}}\nbridges: {br0: {routes: [{to: 10.0.0.0/8}]}}",
        &["2:31: link `a` has a route to 10.0.0.0/8 with metric 0 already"],
    );
}

#[test]
fn y5_what_two_interfaces_share_is_warned_of() {
    let links = |first: &str, second: &str| {
        format!("links:\n  a: {{host: x, {first}}}\n  b: {{host: y, {second}}}\n")
    };
    for (first, second, expected) in [
        (
            "addresses: [10.0.0.1/24]",
            "addresses: [10.0.0.1/24]",
            Some("10.0.0.1 is an address of link `a` too"),
        ),
        (
            "addresses: [10.0.0.1/24]",
            "addresses: [10.0.0.1/16]",
            Some("10.0.0.1 is an address of link `a` too"),
        ),
        (
            "addresses: [10.0.0.1/24]",
            "addresses: [10.0.0.2/24]",
            Some("link `a` has an address in 10.0.0.0/24 too"),
        ),
        (
            "addresses: ['fd77::1/64']",
            "addresses: ['fd77::1/64']",
            Some("fd77::1 is an address of link `a` too"),
        ),
        (
            "macaddress: 02:00:00:00:00:01",
            "macaddress: 02:00:00:00:00:01",
            Some("is the MAC address of link `a` too"),
        ),
        ("addresses: [10.0.0.1/24]", "addresses: [10.0.1.1/24]", None),
        ("addresses: ['fe80::1/64']", "addresses: ['fe80::1/64']", None),
        ("addresses: [10.0.0.1/32]", "addresses: [10.0.0.1/32]", None),
        (
            "addresses: [{10.0.0.1/32: {peer: 10.0.0.2}}]",
            "addresses: [{10.0.0.1/32: {peer: 10.0.0.3}}]",
            None,
        ),
        ("macaddress: 02:00:00:00:00:01", "macaddress: 02:00:00:00:00:02", None),
    ] {
        assert_warned(&links(first, second), expected.as_slice());
    }
    assert_warned(
        "links: {a: {host: x, addresses: [10.0.0.1/24]}}\nbridges: {br0: {addresses: [10.0.0.2/24]}}",
        &["link `a` has an address in 10.0.0.0/24 too"],
    );
    assert_warned("links: {a: {host: x, addresses: [10.0.0.1/24, 10.0.0.2/24]}}", &[]);
}

#[test]
fn y5_a_next_hop_is_a_neighbour() {
    let link = |keys: &str| format!("links: {{a: {{host: x, {keys}}}}}");
    for (keys, expected) in [
        (
            "routes: [{to: 10.0.0.0/8, via: 10.1.0.1}]",
            Some("the next hop 10.1.0.1 is in no network of link `a`"),
        ),
        ("addresses: [10.2.0.1/24], routes: [{to: 10.0.0.0/8, via: 10.1.0.1}]", Some("is in no network")),
        ("addresses: [10.1.0.1/24], routes: [{to: 10.0.0.0/8, via: 10.1.0.1}]", None),
        ("addresses: [10.1.0.2/24], routes: [{to: 10.0.0.0/8, via: 10.1.0.1}]", None),
        ("routes: [{to: 10.0.0.0/8, via: 10.1.0.1, on-link: true}]", None),
        ("routes: [{to: 10.1.0.1}, {to: 10.0.0.0/8, via: 10.1.0.1}]", None),
        ("addresses: [{10.9.0.1/32: {peer: 10.1.0.1}}], routes: [{to: 10.0.0.0/8, via: 10.1.0.1}]", None),
        ("routes: [{to: '2001:db8::/32', via: 'fe80::1'}]", None),
        ("routes: [{to: '2001:db8::/32', via: 'fd77::1'}]", None),
        ("accept-ra: false, routes: [{to: '2001:db8::/32', via: 'fd77::1'}]", Some("is in no network")),
    ] {
        assert_warned(&link(keys), expected.as_slice());
    }
}

#[test]
fn n9_an_mtu_that_does_not_fit_is_warned_of() {
    let both = |link: &str, bridge: &str| {
        format!("links: {{a: {{host: x, bridge: br0, {link}}}}}\nbridges: {{br0: {{{bridge}}}}}")
    };
    for (link, bridge, expected) in [
        (
            "mtu: 1400",
            "mtu: 1500",
            Some("link `a` takes packets of 1400 bytes, and its bridge `br0` carries up to 1500"),
        ),
        (
            "port: 22",
            "mtu: 9000",
            Some("link `a` takes packets of 1500 bytes, and its bridge `br0` carries up to 9000"),
        ),
        ("mtu: 1400", "interfaces: [eth0]", Some("the bridge `br0` shrinks to that")),
        ("mtu: 1400", "mtu: 1400", None),
        ("mtu: 1400", "", None),
        ("mtu: 9000", "mtu: 1500", None),
        ("port: 22", "interfaces: [eth0]", None),
    ] {
        assert_warned(&both(link, bridge), expected.as_slice());
    }
    assert_warned(
        "links: {a: {host: x, bridge: br0, mtu: 1400}, b: {host: y, bridge: br0}}\nbridges: {br0: {}}",
        &["the bridge `br0` shrinks to that"],
    );
    let stock = "a stock OpenSSH takes packets of 16370 bytes at most";
    for (keys, expected) in [
        ("mtu: 40000", Some(stock)),
        ("mtu: 16371", Some(stock)),
        ("mtu: 40000, native: no", Some(stock)),
        ("mtu: 40000, native: only", None),
        ("mtu: 16370", None),
    ] {
        assert_warned(&format!("links: {{a: {{host: x, {keys}}}}}"), expected.as_slice());
    }
    assert_warned(&server("permit-tunnel: yes, accept: {a: {public-key: KEY, mtu: 20000}}"), &[stock]);
}

#[test]
fn u6_what_the_spanning_tree_costs_is_told() {
    for (parameters, expected) in [
        ("stp: true", Some("carries nothing for 30 s each time")),
        ("stp: yes", Some("carries nothing for 30 s each time")),
        ("stp: true, forward-delay: 4", Some("carries nothing for 8 s each time")),
        ("stp: true, forward-delay: 2", Some("carries nothing for 4 s each time")),
        ("stp: false", None),
        ("forward-delay: 4", None),
    ] {
        assert_warned(&format!("bridges: {{br0: {{parameters: {{{parameters}}}}}}}"), expected.as_slice());
    }
    for file in ["tapline.yaml", "examples/site-to-site-berlin.yaml", "examples/site-to-site-leipzig.yaml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
        let loaded = Loaded::load(path).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}
