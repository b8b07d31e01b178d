use crate::{Config, Diagnostics};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// The mistakes in `text`, as `line:column: message`; `KEY` in it stands for a public key.
fn mistakes(text: &str) -> Vec<String> {
    let said = |found: Diagnostics| {
        found.iter().map(|d| format!("{}:{}: {}", d.line, d.column, d.message)).collect::<Vec<_>>()
    };
    Config::from_str("f", &text.replace("KEY", KEY)).map_or_else(said, |_| Vec::new())
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

/// Of little use, and what the kernel and netplan allow.
#[test]
fn a_port_of_a_bridge_may_have_addresses() {
    for (key, value) in [
        ("addresses", "[10.77.0.1/24]"),
        ("routes", "[{to: 10.0.0.0/8}]"),
        ("accept-ra", "true"),
        ("link-local", "[ipv6]"),
    ] {
        assert_mistakes(&link(&format!("bridge: br-lab, {key}: {value}")), &[]);
    }
    assert_mistakes(&link("bridge: br-lab, mtu: 1400, macaddress: 02:00:00:00:00:01"), &[]);
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
