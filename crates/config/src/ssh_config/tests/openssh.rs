//! The same file, read by OpenSSH (`ssh -G`) and by us.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use proptest::{prelude::*, test_runner::TestRunner};

use super::to;
use crate::ssh_config::{
    File, HostOptions, Machine, Proxy, Scope, Sources, StrictHostKeyChecking, Tunnel, TunnelDevice,
    TunnelUnit, local_user, resolve,
};

#[test]
fn agrees_with_openssh() {
    match Command::new("ssh").arg("-V").stderr(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        _ if std::env::var_os("CI").is_some() => panic!("ssh is missing; install openssh-client"),
        _ => return eprintln!("SKIPPED agrees_with_openssh: ssh is missing; install openssh-client"),
    }
    // Each case starts a process, so few of them; the seeds differ from run to run.
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(arbitrary_line(), 1..14), |lines| {
            let text = lines.join("\n") + "\n";
            prop_assert_eq!(ours(&text), theirs(&text), "\n{}", text);
            Ok(())
        })
        .unwrap();
}

fn arbitrary_line() -> impl Strategy<Value = String> {
    let pattern = prop_oneof![
        Just("berlin"),
        Just("*"),
        Just("ber*n"),
        Just("!berlin"),
        Just("berl?n"),
        Just("other"),
        Just("!other"),
        Just("*.example.org"),
        Just("berlin.example.org"),
        Just("root"),
    ];
    let patterns = prop::collection::vec(pattern.clone(), 1..4);
    let list = prop::collection::vec(pattern, 1..3).prop_map(|list| list.join(","));
    let criterion = prop_oneof![
        Just("host"),
        Just("originalhost"),
        Just("user"),
        Just("!host"),
        Just("!originalhost"),
        Just("!user")
    ];
    let criteria =
        prop::collection::vec((criterion, list).prop_map(|(name, list)| format!("{name} {list}")), 1..3);
    prop_oneof![
        3 => patterns.prop_map(|patterns| format!("Host {}", patterns.join(" "))),
        3 => criteria.prop_map(|criteria| format!("Match {}", criteria.join(" "))),
        1 => prop_oneof![
            Just("Match all"), Just("Match final"), Just("Match !all"), Just("Match final host *.example.org"),
            Just("Match canonical"),
            Just("Match final user root"),
        ].prop_map(str::to_owned),
        8 => prop_oneof![
            Just("HostName %h.example.org"), Just("HostName Berlin.Example.ORG"), Just("hostname = \"192.0.2.1\""),
            Just("User root"), Just("User=\"a b\""), Just("  user\tbob # x"), Just("Port 2222"), Just("Port=22"),
            Just("IdentityFile /a"), Just("IdentityFile '/b c'"), Just("IdentityFile /a\\ d"), Just("IdentityFile /c#d"),
            Just("CertificateFile /x"), Just("CertificateFile /y"),
            Just("UserKnownHostsFile /k /%h \"/q r\""), Just("UserKnownHostsFile /%r-%p-%n-%k-%%"),
            Just("StrictHostKeyChecking no"), Just("StrictHostKeyChecking accept-new"), Just("stricthostkeychecking YES"),
            Just("ProxyJump none"), Just("ProxyJump j1"), Just("ProxyJump a@j1:22,[2001:db8::1]:2200"),
            Just("ProxyJump j1,ssh://bob@j2:7"), Just("ProxyCommand nc host 22"), Just("ProxyCommand none"),
            Just("ProxyCommand=nc \"x # y"), Just("ServerAliveInterval 1m30"), Just("ServerAliveInterval none"),
            Just("ServerAliveInterval 7"), Just("ServerAliveCountMax 9"), Just("ConnectTimeout 1h"), Just("ConnectTimeout none"),
            Just("Tunnel yes"), Just("Tunnel ethernet"), Just("TunnelDevice 3"), Just("TunnelDevice any:4"),
            Just("TunnelDevice 1:2"), Just("HostKeyAlias Lab"), Just("BindAddress 192.0.2.7"), Just("RekeyLimit 64M 1h"),
            Just("RekeyLimit default none"), Just("RekeyLimit 1G"), Just("AddressFamily inet6"), Just("HashKnownHosts yes"),
            Just("# comment"), Just(""), Just("LogLevel ERROR"),
        ].prop_map(str::to_owned),
        // Mistakes, which both must refuse wherever they stand.
        1 => prop_oneof![
            Just("Port 0"), Just("Port"), Just("User \"x"), Just("User a b"), Just("TunnelDevice x"), Just("Match"),
            Just("ServerAliveInterval 1y"), Just("HashKnownHosts maybe"), Just("Match all host x"), Just("RekeyLimit 1"),
            Just("Match nonsense x"), Just("ProxyJump a:x"), Just("Host"), Just("UserKnownHostsFile /a none"),
        ].prop_map(str::to_owned),
    ]
}

/// The options that are compared, by the names and in the words of `ssh -G`; nothing when the file is refused.
type Summary = Option<BTreeMap<String, Vec<String>>>;

fn theirs(text: &str) -> Summary {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("ssh").arg("-F").arg(&file).args(["-T", "-G", "berlin"]).output().unwrap();
    if !output.status.success() {
        return None;
    }
    let mut summary = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        // Which keys are tried by default is each one's own choice.
        if COMPARED.contains(&name) && !value.starts_with("~/.ssh/id_") {
            summary.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    Some(summary)
}

const COMPARED: [&str; 19] = [
    "hostname",
    "user",
    "port",
    "addressfamily",
    "hashknownhosts",
    "stricthostkeychecking",
    "tunnel",
    "serveralivecountmax",
    "serveraliveinterval",
    "bindaddress",
    "hostkeyalias",
    "identityfile",
    "certificatefile",
    "userknownhostsfile",
    "connecttimeout",
    "tunneldevice",
    "rekeylimit",
    "proxyjump",
    "proxycommand",
];

fn ours(text: &str) -> Summary {
    let local = local_user().unwrap();
    let file = File { path: "config".into(), text: text.to_owned(), scope: Scope::User };
    let sources = Sources { command_line: &[], files: &[file], local: &local, surroundings: &Machine };
    let options = resolve(&sources, &to("berlin")).ok()?;
    let mut summary = BTreeMap::<String, Vec<String>>::new();
    let mut put = |name: &str, value: String| summary.entry(name.to_owned()).or_default().push(value);
    let yes_no = |flag| if flag { "yes" } else { "no" }.to_owned();
    put("hostname", options.host_name().to_owned());
    put("user", options.user().to_owned());
    put("port", options.port().to_string());
    put("addressfamily", format!("{:?}", options.address_family()).to_lowercase());
    put("hashknownhosts", yes_no(options.hash_known_hosts()));
    let strict = match options.strict_host_key_checking() {
        StrictHostKeyChecking::Yes => "true",
        StrictHostKeyChecking::AcceptNew => "accept-new",
        StrictHostKeyChecking::Ask => "ask",
        StrictHostKeyChecking::No => "false",
    };
    put("stricthostkeychecking", strict.to_owned());
    let tunnel = match options.tunnel() {
        Tunnel::No => "false",
        Tunnel::PointToPoint => "point-to-point",
        Tunnel::Ethernet => "ethernet",
    };
    put("tunnel", tunnel.to_owned());
    put("serveralivecountmax", options.server_alive_count_max().to_string());
    put("serveraliveinterval", options.server_alive_interval().as_secs().to_string());
    if let Some(address) = &options.bind_address {
        put("bindaddress", address.clone());
    }
    if let Some(alias) = &options.host_key_alias {
        put("hostkeyalias", alias.clone());
    }
    let timeout = options.connect_timeout.map_or("none".to_owned(), |time| time.as_secs().to_string());
    put("connecttimeout", timeout);
    put("tunneldevice", device(options.tunnel_device()));
    let limit = options.rekey_limit();
    let interval = limit.interval.map_or(0, |interval| interval.as_secs());
    put("rekeylimit", format!("{} {interval}", limit.bytes.unwrap_or(0)));
    files(&options, &mut put);
    match options.proxy() {
        Proxy::Direct => {}
        Proxy::Jump(hosts) => {
            put("proxyjump", hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        }
        Proxy::Command(command) => put("proxycommand", command.clone()),
    }
    Some(summary)
}

fn files(options: &HostOptions, put: &mut impl FnMut(&str, String)) {
    for file in &options.certificate_file {
        put("certificatefile", file.display().to_string());
    }
    for file in options.identity_file.iter().flatten() {
        put("identityfile", file.display().to_string());
    }
    let known: Vec<String> =
        options.user_known_hosts_file().iter().map(|file| file.display().to_string()).collect();
    put("userknownhostsfile", known.join(" "));
}

fn device(device: TunnelDevice) -> String {
    let unit = |unit| match unit {
        TunnelUnit::Any => "any".to_owned(),
        TunnelUnit::Number(number) => number.to_string(),
    };
    format!("{}:{}", unit(device.local), unit(device.remote))
}
