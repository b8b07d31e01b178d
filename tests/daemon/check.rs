//! `tapline check`, and what `run` makes of the same files.

use std::path::Path;

use tapline_tests::{Namespace, are_met, eventually, tapline};

use crate::kernel_state::KernelState;
use crate::sites::{Daemon, Sites, calm, run};

/// The status of `tapline check`, and what it prints on stderr and stdout.
fn check(host: &Namespace, configuration: &str) -> (Option<i32>, String, String) {
    let file = host.write("tapline.yaml", configuration);
    let mut command = tapline();
    command.args(["check", "-c", "tapline.yaml"]).current_dir(file.parent().unwrap());
    command.env("HOME", host.path("home")).env_remove("SSH_AUTH_SOCK");
    let output = host.output(&mut command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (said, summary) = (text(output.stderr), text(output.stdout));
    calm(&said);
    // What this machine's own ssh_config is warned of says nothing here.
    let said = said.lines().filter(|line| !line.contains(" WARN ")).map(|line| format!("{line}\n")).collect();
    (output.status.code(), said, summary)
}

fn server(sites: &Sites, more: &str) -> String {
    format!(
        "server:\n  permit-tunnel: yes\n  listen: ['127.0.0.1:2222']\n  authorized-keys-files: [{}]\n{more}",
        sites.keys.path("id.pub").display()
    )
}

#[test]
fn y4_check_refuses_what_run_refuses() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let host = &sites.berlin;
    let before = KernelState::of(host);
    let link = |keys: &str| format!("links:\n  a: {{host: b, {keys}}}\n");
    let host_key = sites.keys.path("host");
    let host_key = host_key.display();
    // What a person has to mend in the file: status 2. What is missing beside it: status 1.
    for (configuration, place, status) in [
        (link("proxy-command: 'nc %Z'"), "tapline.yaml:2:31:", 2),
        (link("proxy-jump: b"), "tapline.yaml:2:28:", 2),
        (link("identity-file: '${NOT_SET}/k'"), "tapline.yaml:2:31:", 2),
        (
            link("routes: [{to: 10.0.0.0/8}]") + "  c: {host: d, routes: [{to: 10.0.0.0/8}]}\n",
            "tapline.yaml:3:30:",
            2,
        ),
        ("bridges: {br0: {interfaces: [lo]}}\n".to_owned(), "tapline.yaml:1:30:", 2),
        (link("bridge: br0, addresses: [10.77.0.1/24]") + "bridges: {br0: {}}\n", "tapline.yaml:2:29:", 2),
        (server(&sites, "  host-keys: []\n"), "tapline.yaml:5:14:", 2),
        (server(&sites, "  host-keys: ['~nosuch/key']\n"), "tapline.yaml:5:15:", 2),
        (
            server(&sites, &format!("  host-keys: [{host_key}]\n  host-certificates: [/nonexistent]\n")),
            "tapline.yaml:6:23:",
            1,
        ),
        (server(&sites, "  host-keys: [/nonexistent/key]\n"), "tapline.yaml:5:15:", 1),
        (link("identity-file: ~nosuch/k"), "tapline.yaml:2:31:", 2),
    ] {
        let (code, said, summary) = check(host, &configuration);
        assert_eq!(code, Some(2), "{configuration}: {said}");
        assert!(
            said.starts_with(place) && said.contains("hint:") && summary.is_empty(),
            "{configuration}: {said}"
        );
        let mut daemon = host.start("tapline run", &mut run(host, &configuration));
        assert_eq!(daemon.ended().code(), Some(status), "{configuration}: {}", daemon.log());
    }
    before.is_back(host);
}

#[test]
fn y3_a_jump_host_may_be_an_ipv6_address() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    for jump in
        ["'2001:db8::1'", "'[2001:db8::1]:22'", "'root@2001:db8::1'", "['::1', 192.0.2.1]", "'fe80::1%eth0'"]
    {
        let configuration =
            format!("links: {{a: {{host: b, identity-file: /dev/null, proxy-jump: {jump}}}}}\n");
        let (code, said, summary) = check(&host, &configuration);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{jump}");
        assert_eq!(summary, "tapline.yaml: 1 links, 0 bridges; no mistakes\n");
    }
}

/// Warnings are told apart from mistakes, and end with status 0; the daemon logs them.
#[test]
fn y5_warnings_alone_are_no_mistake() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let before = KernelState::of(&host);
    let link = "host: 192.0.2.1, identity-file: /dev/null, connect-timeout: 1";
    for (configuration, count) in [
        (format!("links: {{a: {{{link}, mtu: 40000}}}}\n"), ", one warning"),
        (format!("links: {{a: {{{link}, routes: [{{to: 192.0.2.0/24}}]}}}}\n"), ", one warning"),
        ("bridges: {br0: {parameters: {stp: true}}}\n".to_owned(), ", one warning"),
        (
            format!("links: {{a: {{{link}, mtu: 1400, bridge: br0}}}}\nbridges: {{br0: {{mtu: 1500}}}}\n"),
            ", one warning",
        ),
        (
            format!(
                "links: {{a: {{{link}, addresses: [192.0.2.2/24]}}}}\nbridges: {{br0: {{addresses: [192.0.2.2/24]}}}}\n"
            ),
            ", 2 warnings",
        ),
        (format!("links: {{a: {{{link}}}}}\n"), ""),
    ] {
        let (code, said, summary) = check(&host, &configuration);
        assert_eq!(code, Some(0), "{configuration}: {said}");
        assert!(summary.trim_end().ends_with(&format!("; no mistakes{count}")), "{summary}");
        assert_eq!(said.is_empty(), count.is_empty(), "{said}");
        assert!(
            said.lines()
                .filter(|line| line.starts_with("tapline.yaml:"))
                .all(|line| line.contains(": warning: ")),
            "{said}"
        );
        let warning = said.lines().next().and_then(|line| line.split(": warning: ").nth(1));
        let mut daemon = Daemon::start(&host, &configuration);
        if let Some(warning) = warning {
            daemon.process.wait_for(warning);
        }
        daemon.stop();
    }
    before.is_back(&host);
}

/// Both ends have names of their own, and the addresses of a link with one other end.
#[test]
fn u14_u18_devices_have_names_and_addresses_have_peers() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let (berlin, leipzig) = (&sites.berlin, &sites.leipzig);
    let before = (KernelState::of(berlin), KernelState::of(leipzig));
    let accept = "set-name: lpz0, addresses: [{10.77.4.1/32: {peer: 10.77.4.2}}, {'fd77:4::1/128': {peer: 'fd77:4::2'}}]";
    let server = Daemon::start(berlin, &sites.server_section(accept));
    let link = |name: &str, more: &str| {
        let addresses =
            "addresses: [{10.77.4.2/32: {peer: 10.77.4.1}}, {'fd77:4::2/128': {peer: 'fd77:4::1'}}]";
        format!("links:\n  berlin: {}\n", sites.link(&format!(", set-name: {name}, {addresses}{more}")))
    };
    for (name, more) in
        [("lab0", ""), ("a-longer-name.5", ""), ("tap77", ""), ("queues0", ", connections: 2")]
    {
        let client = Daemon::start(leipzig, &link(name, more));
        eventually("pings", || leipzig.succeeds("ping -c 1 -W 1 10.77.4.1"));
        eventually("pings", || leipzig.succeeds("ping -c 1 -W 1 fd77:4::1"));
        let addresses = leipzig.run(&format!("ip address show dev {name}"));
        assert!(addresses.contains("10.77.4.2 peer 10.77.4.1/32"), "{addresses}");
        assert!(addresses.contains("fd77:4::2 peer fd77:4::1/128"), "{addresses}");
        assert!(
            berlin.has_interface("lpz0") && !berlin.has_interface("tap0") && !leipzig.has_interface("tap0")
        );
        client.stop();
        before.1.is_back(leipzig);
    }
    // On the command line.
    let mut command = sites.connect("id", &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1");
    command.args(["--address", "10.77.4.2/32,peer=10.77.4.1"]);
    let mut connect = leipzig.start("tapline connect", &mut command);
    eventually("pings", || leipzig.succeeds("ping -c 1 -W 1 10.77.4.1"));
    assert_eq!(connect.terminate().code(), Some(0));
    let mut command = sites.connect("id", &[], "root@192.0.2.1");
    command.args(["--address", "10.77.4.2/32,peer=fd77::1"]);
    let output = leipzig.output(&mut command);
    assert_eq!(output.status.code(), Some(2));
    server.stop();
    before.0.is_back(berlin);
    before.1.is_back(leipzig);
}

/// The shipped unit starts with `check`: it has to pass where `run` will.
#[test]
fn y4_a_first_start_passes_before_its_host_key_is_made() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let key = sites.berlin.path("new_key");
    let configuration = server(&sites, &format!("  host-keys: [{}]\n", key.display()));
    let (code, said, _) = check(&sites.berlin, &configuration);
    assert_eq!(code, Some(0), "{said}");
    assert!(!Path::new(&key).exists());
    let daemon = Daemon::start(&sites.berlin, &configuration);
    assert!(Path::new(&key).exists());
    daemon.stop();
    assert_eq!(check(&sites.berlin, &configuration).0, Some(0));
}
