use crate::Config;

/// What the file is told about its only mistake.
#[track_caller]
fn hint(text: &str) -> String {
    let found = Config::from_str("f", text).expect_err(text);
    let mut hints = found.iter().map(|found| found.hint.clone().unwrap_or_default());
    let hint = hints.next().unwrap_or_default();
    assert_eq!(hints.next(), None, "{found}");
    hint
}

#[test]
fn y6_a_word_of_netplan_gets_its_replacement() {
    for (key, expected) in [
        ("gateway4: 10.0.0.1", "write `routes: [{to: default, via: 10.0.0.1}]`"),
        ("gateway6: 'fe80::1'", "write `routes: [{to: default, via: fe80::1}]`"),
        ("dhcp4: true", "Tapline asks no DHCP server"),
        ("dhcp6-overrides: {}", "Tapline asks no DHCP server"),
        ("nameservers: {addresses: [192.0.2.53]}", "Tapline sets no name servers"),
        ("optional: true", "links wait and come back by themselves"),
        ("match: {name: 'en*'}", "interfaces are named here, not matched"),
        ("ipv6-mtu: 1400", "write `mtu: 1400`"),
        ("routing-policy: []", "main table"),
        ("wakeonlan: true", "netplan's, and not set here"),
        ("generic-receive-offload: true", "offloads are used"),
        ("address: 10.0.0.1/24", "write `addresses: [10.0.0.1/24]`"),
        ("interfaces: [eth0]", "`interfaces` belongs in an entry of `bridges`"),
        ("stp: true", "`stp` belongs in `parameters` of a bridge"),
        ("permit-tunnel: yes", "`permit-tunnel` belongs in `server`"),
        ("accept: {}", "`accept` belongs in `server`"),
    ] {
        let hint = hint(&format!("links: {{a: {{host: b, {key}}}}}"));
        assert!(hint.contains(expected), "{key}: {hint}");
    }
    for (text, expected) in [
        ("network: {version: 2}", "there is no `network:` here"),
        ("renderer: networkd\nlinks: {}", "netplan's; remove it"),
        ("ethernets: {eth0: {}}", "other interfaces stay in netplan"),
        ("vlans: {}\nbridges: {}", "other interfaces stay in netplan"),
        ("tunnels: {}", "`links:`"),
        ("bridges: {br0: {stp: true}}", "this stands in `parameters:`"),
        ("bridges: {br0: {parameters: {path-cost: 100}}}", "use `ip link` or `bridge link`"),
        ("bridges: {br0: {ports: [eth0]}}", "write `interfaces: [...]`"),
        ("links: {a: {host: b, routes: [{to: 10.0.0.0/8, gateway: 10.1.1.1}]}}", "write `via: 10.1.1.1`"),
        ("links: {a: {host: b, routes: [{to: 10.0.0.0/8, table: 100}]}}", "goes into the main table"),
        ("links: {a: {host: b, addresses: [{10.0.0.1/24: {label: x}}]}}", "no such setting here"),
    ] {
        let hint = hint(text);
        assert!(hint.contains(expected), "{text}: {hint}");
    }
}

#[test]
fn y6_a_word_of_openssh_gets_its_replacement() {
    for (key, expected) in [
        ("IdentityFile: /k", "did you mean `identity-file`?"),
        ("identity_file: /k", "did you mean `identity-file`?"),
        ("ServerAliveInterval: 15", "did you mean `server-alive-interval`?"),
        ("ProxyJump: c", "did you mean `proxy-jump`?"),
        ("HostName: c", "write `host: c`"),
        ("Ciphers: aes256-gcm@openssh.com", "this is ssh_config's"),
        ("host-key-alias: c", "this is ssh_config's"),
        ("IdentitiesOnly: yes", "this is ssh_config's"),
        ("ControlPath: none", "this is ssh_config's"),
        ("LocalForward: 8080 c:80", "a link carries a tunnel and nothing else"),
        ("BatchMode: yes", "a link runs unattended"),
        ("password: x", "no secrets stand in this file"),
        ("known_hosts: /k", "write `user-known-hosts-file: /k`"),
        ("JumpHost: c", "write `proxy-jump: c`"),
    ] {
        let hint = hint(&format!("links: {{a: {{host: b, {key}}}}}"));
        assert!(hint.contains(expected), "{key}: {hint}");
    }
    for (key, expected) in [
        ("Port: 2222", "`listen: [\"0.0.0.0:2222\", \"[::]:2222\"]`"),
        ("ListenAddress: 192.0.2.1", "write `listen:"),
        ("HostKey: /k", "did you mean `host-keys`?"),
        ("AuthorizedKeysFile: /k", "did you mean `authorized-keys-files`?"),
        ("AuthorizedKeys: /k", "write `authorized-keys-files: [/k]`"),
        ("TrustedUserCAKeys: /k", "did you mean `trusted-user-ca-keys`?"),
        ("AllowUsers: root", "write `permit-user: [root]`"),
        ("PermitRootLogin: yes", "names carry no Unix identity here"),
        ("PasswordAuthentication: no", "keys and certificates alone"),
        ("X11Forwarding: no", "tunnels and nothing else"),
        ("MACs: x", "modern algorithms alone"),
        ("bridge: br0", "the bridge is chosen for each peer"),
    ] {
        let hint = hint(&format!("server: {{{key}}}"));
        assert!(hint.contains(expected), "{key}: {hint}");
    }
}

/// Every key of ssh_config that a link does not have is known from somewhere.
#[test]
fn y6_every_word_of_ssh_config_says_something() {
    for keyword in crate::ssh_config::keyword_names() {
        let text = format!("links: {{a: {{host: b, {keyword}: x}}}}");
        let found = Config::from_str("f", &text).expect_err(&text);
        let hint = found.iter().next().and_then(|found| found.hint.clone()).unwrap_or_default();
        assert!(!hint.starts_with("known keys here"), "{keyword}: {hint}");
    }
}

/// What is said of a line: what is wrong, and what to do.
fn told(text: &str, line: usize) -> String {
    let found = Config::from_str("f", text).expect_err(text);
    let of_it = found.iter().filter(|found| found.line == line);
    let words =
        of_it.map(|found| format!("{}: {}", found.message, found.hint.as_deref().unwrap_or_default()));
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn y6_a_slip_of_yaml_is_told_in_words() {
    for (text, line, part) in [
        ("server: {listen: [[::]:2222]}", 1, "quotes"),
        ("server:\n  listen: [::]:2222\n", 2, "quotes"),
        ("server:\n  listen:\n    - [::]:2222\n", 3, "quotes"),
        ("links:\n  a:\n\u{a0}\u{a0}\u{a0}\u{a0}host: b\n", 3, "U+00A0"),
        ("links:\n  a:\n    host:\u{a0}b\n", 3, "write a blank behind the colon: `host: b`"),
        ("links:\n  a:\n    host: b\n    \u{200b}port: 22\n", 4, "U+200B"),
        ("links:\n  a:\n\thost: b\n", 3, "indent with spaces"),
        ("links:\n\ta:\n", 2, "indent with spaces"),
        ("links:\n  a:\n    addresses: [10.0.0.1/24\n    host: b\n", 3, "close it with `]`"),
        ("bridges:\n  br0: {interfaces: [eth0]\nlinks:\n  a: {host: b}\n", 2, "close it with `}`"),
        ("links:\n  a: {host:b}\n", 2, "write a blank behind the colon: `host: b`"),
        ("links:\n  a:\n    host:b\n", 3, "write a blank behind the colon: `host: b`"),
        ("links:\n  a: {host: b, mtu:1400}\n", 2, "write a blank behind the colon: `mtu: 1400`"),
    ] {
        let told = told(text, line);
        assert!(told.contains(part), "{text}: {told}");
    }
}
