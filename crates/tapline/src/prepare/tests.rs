use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::subsequence;
use tapline_config::Severity;

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn line(found: &Diagnostic) -> String {
    format!("{}:{}: {}", found.line, found.column, found.message)
}

/// What `check` says of a file; `KEY` in it stands for a public key.
fn found(yaml: &str, ssh_config: &str) -> Diagnostics {
    let loaded = match Loaded::from_str("f", &yaml.replace("KEY", KEY)) {
        Ok(loaded) => loaded,
        Err(found) => return found,
    };
    match prepare_with(&loaded, || Ok(SshFiles::of_text(ssh_config))) {
        Ok(prepared) => prepared.into_diagnostics(loaded),
        Err(found) => found,
    }
}

fn of(severity: Severity, yaml: &str, ssh_config: &str) -> Vec<String> {
    found(yaml, ssh_config).iter().filter(|found| found.severity == severity).map(line).collect()
}

fn mistakes(yaml: &str) -> Vec<String> {
    of(Severity::Error, yaml, "")
}

fn warnings(yaml: &str) -> Vec<String> {
    of(Severity::Warning, yaml, "")
}

#[test]
fn y4_what_a_link_says_itself_is_told_at_its_place() {
    let keys: Vec<String> = (0..101).map(|number| format!("/k{number}")).collect();
    let keys = format!("identity-file: [{}]", keys.join(", "));
    for (link, at, what) in [
        ("host: b, proxy-command: 'nc %Z'", 37, "`proxy-command` does not take the token `%Z`"),
        ("host: b, proxy-command: 'nc %h %'", 37, "`proxy-command` does not take the token `%`"),
        ("host: b, proxy-jump: b", 34, "`proxy-jump` leads to b through itself"),
        ("host: b, proxy-jump: [a, b]", 22, "`proxy-jump` leads to b through itself"),
        ("host: b, identity-file: ~nosuch/k", 37, "`identity-file` uses ~nosuch, but there is no such user"),
        ("host: b, certificate-file: [/c, '~nosuch/c']", 45, "`certificate-file` uses ~nosuch"),
        ("host: b, user-known-hosts-file: ~nosuch/k", 45, "`user-known-hosts-file` uses ~nosuch"),
        ("host: b, identity-file: '${NOT_SET_AT_ALL}/k'", 37, "uses ${NOT_SET_AT_ALL}, which is not set"),
        ("host: b, identity-file: '${NO_END/k'", 37, "has no name or no closing brace"),
        (&keys, 0, "more than 100 values of `identity-file`"),
    ] {
        let link = if at == 0 { format!("host: b, {link}") } else { link.to_owned() };
        let found = mistakes(&format!("links: {{a: {{{link}}}}}"));
        let [told] = found.as_slice() else { panic!("{link}: {found:?}") };
        assert!(told.contains(what) && (at == 0 || told.starts_with(&format!("1:{at}: "))), "{link}: {told}");
    }
}

/// A mistake in the SSH configuration is no mistake in this file: `check` tells it, and the daemon runs without the
/// link.
#[test]
fn y1_a_link_that_ssh_config_has_a_mistake_for_waits_and_the_others_run() {
    let yaml = "links:\n  good: {host: good}\n  bad: {host: bad}\n";
    for ssh_config in [
        "Match host bad exec true\n  Port 22\n",
        "Host bad\n  ProxyJump one\nHost one\n  ProxyJump two\nHost two\n  ProxyJump one\n",
        "Host bad\n  ProxyCommand nc %Z\n",
        "Host bad\n  IdentityFile ~nosuch/k\n",
        "Host bad\n  ProxyJump bad\n",
    ] {
        let loaded = Loaded::from_str("f", yaml).unwrap();
        let prepared = prepare_with(&loaded, || Ok(SshFiles::of_text(ssh_config))).unwrap();
        assert!(prepared.links.contains_key("good"), "{ssh_config}");
        assert_eq!(prepared.waiting.keys().collect::<Vec<_>>(), ["bad"], "{ssh_config}");
        let told = of(Severity::Error, yaml, ssh_config);
        assert!(told.len() == 1 && told[0].starts_with("3:15: "), "{ssh_config}: {told:?}");
    }
    let loaded = Loaded::from_str("f", yaml).unwrap();
    let unreadable = || Err(SshOptionsError::Files(std::io::Error::other("written by others")));
    assert_eq!(prepare_with(&loaded, unreadable).unwrap().waiting.len(), 2);
    let server = Loaded::from_str("f", "bridges: {br0: {}}").unwrap();
    assert!(prepare_with(&server, unreadable).unwrap().waiting.is_empty(), "nothing of it is needed");
}

/// A directory with a host key and its certificate, and others that do not fit.
fn keys(directory: &Path) {
    let run = |arguments: &[&str]| {
        let done = std::process::Command::new("ssh-keygen").args(arguments).current_dir(directory).output();
        done.is_ok_and(|done| done.status.success())
    };
    for key in ["host", "other", "ca", "locked"] {
        let passphrase = if key == "locked" { "secret" } else { "" };
        assert!(run(&["-q", "-t", "ed25519", "-N", passphrase, "-f", key]), "ssh-keygen is installed");
    }
    for (options, key) in [
        (&["-h"][..], "host.pub"),
        (&["-h"], "other.pub"),
        (&["-n", "root"], "ca.pub"),
        (&["-h", "-V", "20200101:20210101"], "locked.pub"),
    ] {
        assert!(run(&[&["-q", "-s", "ca", "-I", "id"], options, &[key]].concat()));
    }
    fs::copy(directory.join("host"), directory.join("open")).unwrap();
    let mut mode = fs::metadata(directory.join("open")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    fs::set_permissions(directory.join("open"), mode).unwrap();
}

#[test]
fn y4_what_the_server_needs_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    keys(directory.path());
    let at = directory.path().display().to_string();
    let server = |keys: &str| {
        format!(
            "server:\n  permit-tunnel: yes\n  accept: {{a: {{public-key: KEY}}}}\n{}",
            keys.replace("DIR", &at)
        )
    };
    for good in [
        "  host-keys: [DIR/host]\n",
        "  host-keys: [DIR/not-there-yet]\n",
        "  host-keys: [DIR/host]\n  host-certificates: [DIR/host-cert.pub]\n",
    ] {
        assert_eq!(mistakes(&server(good)), <[&str; 0]>::default(), "{good}");
    }
    assert!(!directory.path().join("not-there-yet").exists(), "nothing is created");
    for (bad, place, what) in [
        ("  host-keys: []\n", "4:14", "a server without a host key"),
        ("  host-keys: [DIR/no/key]\n", "4:15", "cannot create the host key"),
        ("  host-keys: [DIR/host.pub/key]\n", "4:15", "cannot read"),
        ("  host-keys: [DIR/host.pub]\n", "4:15", ""),
        ("  host-keys: [DIR/open]\n", "4:15", "too open"),
        ("  host-keys: [DIR/locked]\n", "4:15", "has a passphrase"),
        ("  host-keys: ['DIR/%h']\n", "4:15", "percent token"),
        ("  host-keys: ['~nosuch/key']\n", "4:15", "somebody's home"),
        ("  host-keys: ['${HOME}/key']\n", "4:15", "has a variable"),
        ("  host-keys: [DIR/host]\n  host-certificates: [DIR/none]\n", "5:23", "cannot read"),
        ("  host-keys: [DIR/host]\n  host-certificates: [DIR/host.pub]\n", "5:23", "no host certificate"),
        ("  host-keys: [DIR/host]\n  host-certificates: [DIR/ca-cert.pub]\n", "5:23", "user certificate"),
        (
            "  host-keys: [DIR/host]\n  host-certificates: [DIR/other-cert.pub]\n",
            "5:23",
            "none of the host keys",
        ),
        ("  host-keys: [DIR/host]\n  authorized-keys-files: ['/k/%u']\n", "5:27", "percent token"),
        (
            "  host-keys: [DIR/host]\n  trusted-user-ca-keys: '~x/ca'\n  permit-user: [a]\n",
            "5:",
            "somebody's home",
        ),
    ] {
        let found = mistakes(&server(bad));
        let [told] = found.as_slice() else { panic!("{bad}: {found:?}") };
        assert!(told.starts_with(place) && told.contains(what), "{bad}: {told}");
    }
    for (doubtful, what) in [
        ("  host-keys: [DIR/host]\n  trusted-user-ca-keys: DIR/none\n  permit-user: [a]\n", "no certificate"),
        ("  host-keys: [DIR/host]\n  authorized-keys-files: [DIR/host/x]\n", "cannot read"),
        ("  host-keys: [DIR/host]\n  revoked-keys: DIR/none\n", "nobody logs in while that is so"),
        ("  host-keys: [DIR/host]\n  authorized-principals-file: DIR/none\n", "no certificate logs in"),
    ] {
        let found = found(&server(doubtful), "");
        assert!(!found.has_errors() && !found.is_empty(), "{doubtful}: {found}");
        assert!(found.to_string().contains(what), "{doubtful}: {found}");
    }
    let nobody =
        format!("server: {{permit-tunnel: yes, host-keys: [{at}/host], authorized-keys-files: [{at}/none]}}");
    assert!(warnings(&nobody)[0].contains("nobody can log in"), "{:?}", warnings(&nobody));
}

/// N6: what leads to the link's own server.
#[test]
fn n6_a_link_that_covers_the_way_to_its_own_server_is_warned_of() {
    let covers = "covers the way to the link's own server";
    let link =
        |keys: &str| format!("links: {{a: {{{keys}}}}}\nbridges: {{br0: {{addresses: [198.51.100.9/24]}}}}");
    for keys in [
        "host: 192.0.2.1, routes: [{to: 192.0.2.1}]",
        "host: 192.0.2.1, routes: [{to: 192.0.2.0/24}]",
        "host: 192.0.2.1, addresses: [192.0.2.7/24]",
        "host: 192.0.2.1, addresses: [{10.77.4.1/32: {peer: 192.0.2.1}}]",
        "host: 192.0.2.1, routes: [{to: 0.0.0.0/0}]",
        "host: berlin.example.org, routes: [{to: 0.0.0.0/0}]",
        "host: berlin.example.org, routes: [{to: 0.0.0.0/1}]",
        "host: '2001:db8::1', routes: [{to: '2001:db8::/32'}]",
        "host: '2001:db8::1', routes: [{to: '::/0'}]",
        "host: far, proxy-jump: 192.0.2.1, routes: [{to: 192.0.2.0/24}]",
        "host: alias, routes: [{to: 192.0.2.0/24}]",
        "host: 198.51.100.1, bridge: br0",
    ] {
        let found = of(Severity::Warning, &link(keys), "Host alias\n  HostName 192.0.2.1\n");
        assert!(found.len() == 1 && found[0].contains(covers), "{keys}: {found:?}");
    }
    for keys in [
        "host: 192.0.2.1, routes: [{to: 198.51.100.0/24}]",
        "host: 192.0.2.1, addresses: [10.77.0.1/24]",
        "host: 192.0.2.1, routes: [{to: 0.0.0.0/0, metric: 4000}]",
        "host: berlin.example.org, routes: [{to: 192.0.2.0/24}]",
        "host: 192.0.2.1, proxy-command: nc %h %p, routes: [{to: 192.0.2.0/24}]",
        "host: 127.0.0.1, routes: [{to: 0.0.0.0/1}]",
        "host: 192.0.2.1, bridge: br0",
    ] {
        let found = of(Severity::Warning, &link(keys), "");
        assert_eq!(found, <[&str; 0]>::default(), "{keys}");
    }
}

#[test]
fn files_that_a_link_names_and_that_are_not_there_are_told() {
    for key in ["identity-file", "certificate-file", "revoked-host-keys"] {
        for (path, is_told) in
            [("/none/of/it", true), ("/dev/null", false), ("'/none/%h'", false), ("none", false)]
        {
            let found = warnings(&format!("links: {{a: {{host: b, {key}: {path}}}}}"));
            assert_eq!(found.len(), usize::from(is_told), "{key} {path}: {found:?}");
        }
    }
}

const LINK: &[&str] = &[
    "user: root",
    "port: 2222",
    "tunnel: ethernet",
    "tunnel: yes",
    "tunnel-device: 3",
    "tunnel-device: any:5",
    "set-name: lab0",
    "set-name: tap3",
    "identity-file: ~/k",
    "identity-file: [/k, '~nosuch/k']",
    "certificate-file: '%d/c'",
    "proxy-jump: '2001:db8::1'",
    "proxy-jump: b",
    "proxy-command: nc %h %p",
    "proxy-command: nc %Z",
    "local-command: logger up %T",
    "server-alive-interval: 5",
    "connect-timeout: 0",
    "rekey-limit: 1G 1h",
    "bridge: br0",
    "mtu: 1400",
    "macaddress: '02:00:00:00:00:01'",
    "addresses: [10.0.0.1/24]",
    "addresses: ['fd77::1/64', {10.77.4.1/32: {peer: 10.77.4.2}}]",
    "routes: [{to: 198.51.100.0/24, via: 10.0.0.9}]",
    "routes: [{to: 198.51.100.0/24}, {to: default, via: 'fe80::1', metric: 7}]",
    "connections: 2",
    "native: no",
];
const ACCEPT: &[&str] = &[
    "bridge: br0",
    "tunnel-device: 3",
    "set-name: lab0",
    "addresses: [10.0.0.1/24]",
    "routes: [{to: 198.51.100.0/24}]",
    "mtu: 9000",
    "link-local: []",
];
const BRIDGE: &[&str] = &[
    "interfaces: [eth0]",
    "interfaces: [lo]",
    "interfaces: [tap3, lab0]",
    "addresses: [10.0.0.1/24]",
    "routes: [{to: 198.51.100.0/24}]",
    "mtu: 1500",
    "parameters: {stp: true, forward-delay: 2, priority: 65535, ageing-time: 0}",
];
const SERVER: &[&str] = &[
    "host-keys: ['DIR/%u']",
    "host-certificates: [DIR/none]",
    "host-certificates: [DIR/host-cert.pub]",
    "permit-user: [root]",
    "trusted-user-ca-keys: DIR/ca.pub",
    "trusted-user-ca-keys: DIR/ca.pub, authorized-principals-file: DIR/principals",
    "authorized-keys-files: [DIR/none]",
    "listen: ['127.0.0.1:0', '[::1]:2222']",
    "rekey-limit: default 1h",
];

fn some(keys: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    subsequence(keys, 0..=most).prop_map(|keys| keys.iter().map(|key| format!(", {key}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever `check` lets pass, the daemon can make of it what it needs before it asks the kernel.
    #[test]
    fn y4_what_check_accepts_run_can_start_with(
        (one, two) in (some(LINK, 3), some(LINK, 2)),
        accept in some(ACCEPT, 2),
        bridge in some(BRIDGE, 2),
        server in some(SERVER, 2),
    ) {
        let directory = directory_of_keys();
        let server = server.replace("DIR", &directory.display().to_string());
        let yaml = format!(
            "links:\n  a: {{host: b{one}}}\n  c: {{host: d{two}}}\nbridges:\n  br0: {{link-local: [ipv6]{bridge}}}\n\
             server: {{permit-tunnel: ethernet, host-keys: [{}/host], accept: {{p: {{public-key: {KEY}{accept}}}}}{server}}}\n",
            directory.display(),
        );
        let found = found(&yaml, "");
        if !found.has_errors() {
            let loaded = Loaded::from_str("f", &yaml).unwrap();
            let prepared = prepare_with(&loaded, || Ok(SshFiles::of_text(""))).unwrap();
            prop_assert_eq!(prepared.links.len(), 2);
            prop_assert!(prepared.waiting.is_empty() && prepared.server.is_empty());
            let server = loaded.config.server.as_ref().unwrap();
            prop_assert!(crate::daemon::server_options(server).is_ok(), "{yaml}");
            let again = tapline_config::Config::from_str("again", &loaded.config.to_yaml());
            prop_assert_eq!(again.as_ref().ok(), Some(&loaded.config), "{}", yaml);
        }
    }
}

/// Made once for all cases.
fn directory_of_keys() -> &'static Path {
    static DIRECTORY: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let made = || {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path());
        directory
    };
    DIRECTORY.get_or_init(made).path()
}
