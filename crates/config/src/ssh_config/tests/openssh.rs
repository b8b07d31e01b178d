//! The same files, read by OpenSSH (`ssh -G`) and by us.
//!
//! Differences that stay, and why:
//! - the lists of algorithms (`ciphers` and the like), as each knows others; `tests/algorithms.rs` holds what `+`, `-`
//!   and `^` make of them;
//! - the identities that are tried when none is set;
//! - what one refuses when it reads and the other when it connects, or not at all: unknown tokens, `Match exec` and
//!   `localnetwork`, names that need DNS, and keywords that are refused by name;
//! - in batch mode Debian's ssh asks for a sign of life every 300 s where nothing else is set;
//! - `Match !final` alone, which made ssh read the files twice before 10.0.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::to;
use crate::ssh_config::{Errors, Machine, Sources, local_user, read_file, resolve};

const CASES: u32 = 500;
/// The environment's `TAPLINE_SEED`, a number, takes its place.
const SEED: u64 = 1;

#[test]
fn agrees_with_openssh() {
    if !there_is_ssh() {
        return;
    }
    let seed = std::env::var("TAPLINE_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let files = (
        prop::collection::vec(arbitrary_line(), 1..16),
        prop::collection::vec(arbitrary_line(), 0..5),
        prop::collection::vec(arbitrary_line(), 0..5),
        prop_oneof![3 => Just("berlin"), 1 => Just("root@berlin"), 1 => Just("Berlin.Example.ORG"), 1 => Just("192.0.2.1"),
            1 => Just("ssh://bob@berlin:2022"), 1 => Just("2001:DB8::1")],
    );
    let sound = std::cell::Cell::new(0);
    let result = runner.run(&files, |(main, first, second, destination)| {
        match difference(&[&main, &first, &second], destination) {
            Ok(accepted) => sound.set(sound.get() + u32::from(accepted)),
            Err(difference) => prop_assert!(false, "{}", difference),
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("TAPLINE_SEED={seed}: {failure}");
    }
    assert!(sound.get() > CASES / 4, "only {} files were sound", sound.get());
}

/// Each line alone, so that a difference is seen whatever the seed.
#[test]
fn agrees_with_openssh_on_single_lines() {
    if !there_is_ssh() {
        return;
    }
    let lines = OPTIONS.iter().chain(MISTAKES);
    let differences: Vec<String> =
        lines.filter_map(|line| difference(&[&[(*line).to_owned()]], "berlin").err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn there_is_ssh() -> bool {
    match Command::new("ssh").arg("-V").stderr(Stdio::null()).status() {
        Ok(status) if status.success() => true,
        _ if std::env::var_os("CI").is_some() => panic!("ssh is missing; install openssh-client"),
        _ => {
            eprintln!("SKIPPED the comparison with OpenSSH: ssh is missing; install openssh-client");
            false
        }
    }
}

/// Whether both take the files, of which the first includes the others, and then mean the same.
fn difference(files: &[&[String]], destination: &str) -> Result<bool, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut texts = files
        .iter()
        .zip(["config", "part-1", "part-2"])
        .map(|(lines, name)| {
            let mut lines = lines.to_vec();
            let has_negation =
                |lines: &[String]| lines.iter().any(|line| line.to_lowercase().contains("!final"));
            if name == "config" && files.iter().any(|lines| has_negation(lines)) {
                lines.push("Match final".to_owned());
            }
            write(directory.path(), name, &lines)
        })
        .collect::<Vec<_>>();
    let main = texts.swap_remove(0);
    fs::create_dir(directory.path().join("part-directory")).unwrap();
    symlink("nowhere", directory.path().join("part-nowhere")).unwrap();
    let file = directory.path().join("config");
    let (ours, mut theirs) = match (ours(&file, destination), theirs(&file, destination)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return Ok(false),
        (Ok(_), Err(said)) => return Err(format!("only ssh refuses:\n{said}\n{main}")),
        (Err(said), Ok(_)) => return Err(format!("only Tapline refuses:\n{said}\n{main}")),
    };
    if theirs.get("batchmode") == Some(&vec!["yes".to_owned()]) && ours["serveraliveinterval"] == ["0"] {
        theirs.insert("serveraliveinterval".to_owned(), vec!["0".to_owned()]);
    }
    // Older versions print no line where there is nothing.
    theirs.entry("revokedhostkeys".to_owned()).or_insert_with(|| vec!["none".to_owned()]);
    let both = ours.keys().map(String::as_str).chain(PRINTED_WHEN_SET);
    for name in both {
        if ours.get(name) != theirs.get(name) {
            let [ours, theirs] = [ours.get(name), theirs.get(name)];
            return Err(format!("{name} of {destination} is {ours:?}, to ssh {theirs:?}\n{main}"));
        }
    }
    Ok(true)
}

/// Options that `ssh -G` prints only where they are set.
const PRINTED_WHEN_SET: [&str; 10] = [
    "bindaddress",
    "bindinterface",
    "hostkeyalias",
    "identityagent",
    "kbdinteractivedevices",
    "localcommand",
    "preferredauthentications",
    "knownhostscommand",
    "proxycommand",
    "proxyjump",
];

fn write(directory: &Path, name: &str, lines: &[String]) -> String {
    let text = lines.join("\n").replace("DIRECTORY", directory.to_str().unwrap()) + "\n";
    fs::write(directory.join(name), &text).unwrap();
    fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    text
}

/// Sound lines, in which blocks are as frequent as options.
fn arbitrary_line() -> impl Strategy<Value = String> {
    prop_oneof![
        24 => arbitrary_block(),
        40 => arbitrary_option(),
        8 => prop_oneof![
            Just("Include DIRECTORY/part-1"), Just("Include DIRECTORY/part-*"), Just("Include DIRECTORY/missing*"),
            Just("Include \"DIRECTORY/part-2\" DIRECTORY/part-directory"), Just("Include DIRECTORY/part-nowhere"),
            Just("Include DIRECTORY/part-[0-1]"), Just("include=DIRECTORY/part-2 # x"),
        ].prop_map(str::to_owned),
        6 => prop_oneof![
            Just("# comment"), Just(""), Just("\t \r"), Just("  # HostName x"), Just("IgnoreUnknown Unheard*,x"),
            Just("Protocol 1,2"), Just("UseRsh yes"), Just("CompressionLevel 9"),
        ].prop_map(str::to_owned),
        // Mistakes, which both must refuse wherever they stand.
        1 => arbitrary_mistake(),
    ]
}

fn arbitrary_block() -> impl Strategy<Value = String> {
    let pattern = || {
        prop_oneof![
            Just("berlin"),
            Just("*"),
            Just("ber*n"),
            Just("!berlin"),
            Just("berl?n"),
            Just("other"),
            Just("!other"),
            Just("*.example.org"),
            Just("berlin.example.org"),
            Just("Berlin*"),
            Just("192.0.2.*"),
            Just("root"),
            Just("!root"),
        ]
    };
    let patterns = prop::collection::vec(pattern(), 1..4);
    let list = prop::collection::vec(pattern(), 1..3).prop_map(|list| list.join(","));
    let criterion = prop_oneof![
        6 => (prop_oneof![Just("host"), Just("originalhost"), Just("user"), Just("localuser"), Just("Host"), Just("USER")],
            any::<bool>(), prop_oneof![3 => Just(" "), 1 => Just("="), 1 => Just("  ")], list, any::<bool>())
            .prop_map(|(name, negated, between, list, quoted)| {
                let list = if quoted { format!("\"{list}\"") } else { list };
                format!("{}{name}{between}{list}", if negated { "!" } else { "" })
            }),
        2 => prop_oneof![Just("final"), Just("!final"), Just("canonical"), Just("!canonical"), Just("Final")]
            .prop_map(str::to_owned),
    ];
    let criteria = prop::collection::vec(criterion, 1..4);
    let all = prop_oneof![4 => Just(""), 1 => Just(" all"), 1 => Just(" !all")];
    prop_oneof![
        3 => patterns.prop_map(|patterns| format!("Host {}", patterns.join(" "))),
        5 => (criteria, all).prop_map(|(criteria, all)| format!("Match {}{all}", criteria.join(" "))),
        2 => prop_oneof![
            Just("Match all"), Just("Match !all"), Just("Match final all"), Just("Match canonical all"), Just("Match !final all"),
            Just("Match !canonical !all"), Just("match ALL # x"), Just("Host \"berlin\" 'other'"), Just("Host=berlin other"),
        ].prop_map(str::to_owned),
    ]
}

fn arbitrary_option() -> impl Strategy<Value = String> {
    prop::sample::select(OPTIONS).prop_map(str::to_owned)
}

const OPTIONS: &[&str] = &[
    "HostName %h.example.org",
    "HostName Berlin.Example.ORG",
    "hostname = \"192.0.2.1\"",
    "HostName a%%b",
    "HostName 2001:DB8::1",
    "User root",
    "User=\"a b\"",
    "  user\tbob # x",
    "\"User\" quoted",
    "User a\\ b",
    "Port 2222",
    "Port=22",
    "PORT = 7",
    "Port 22\r",
    "Port\t33\x0c",
    "IdentityFile /a",
    "IdentityFile '/b c'",
    "IdentityFile /a\\ d",
    "IdentityFile /c#d",
    "IdentityFile ~/.ssh/k",
    "IdentityFile none",
    "IdentityFile %d/%u",
    "CertificateFile /x",
    "CertificateFile /y",
    "UserKnownHostsFile /k /%h \"/q r\"",
    "UserKnownHostsFile /%r-%p-%n-%%",
    "UserKnownHostsFile ~/k ${HOME}/%u",
    "UserKnownHostsFile none",
    "UserKnownHostsFile /%k",
    "GlobalKnownHostsFile /g /h",
    "GlobalKnownHostsFile none",
    "StrictHostKeyChecking no",
    "StrictHostKeyChecking accept-new",
    "stricthostkeychecking YES",
    "StrictHostKeyChecking off",
    "ProxyJump none",
    "ProxyJump j1",
    "ProxyJump a@j1:22,[2001:db8::1]:2200",
    "ProxyJump j1,ssh://bob@j2:7",
    "ProxyJump 192.0.2.9",
    "ProxyJump j1 # x",
    "ProxyCommand nc host 22",
    "ProxyCommand none",
    "ProxyCommand=nc \"x # y\"",
    "ProxyCommand  nc %h  %p",
    "ProxyCommand = x",
    "ServerAliveInterval 1m30",
    "ServerAliveInterval none",
    "ServerAliveInterval 0",
    "ServerAliveInterval 7",
    "ServerAliveCountMax 9",
    "ConnectTimeout 1h",
    "ConnectTimeout none",
    "ConnectTimeout 0",
    "ConnectTimeout 1w2d",
    "TCPKeepAlive no",
    "KeepAlive yes",
    "Tunnel yes",
    "Tunnel ethernet",
    "Tunnel no",
    "Tunnel point-to-point",
    "TunnelDevice 3",
    "TunnelDevice any:4",
    "TunnelDevice 1:2",
    "HostKeyAlias Lab",
    "BindAddress 192.0.2.7",
    "BindInterface lo",
    "RekeyLimit 64M 1h",
    "RekeyLimit default none",
    "RekeyLimit 1G",
    "RekeyLimit 0 1m",
    "AddressFamily inet6",
    "AddressFamily any",
    "HashKnownHosts yes",
    "HashKnownHosts FALSE",
    "RevokedHostKeys none",
    "KnownHostsCommand none",
    "KnownHostsCommand /bin/keys %H",
    "LocalCommand echo \"a  b\" %T",
    "LocalCommand none",
    "PermitLocalCommand yes",
    "ExitOnForwardFailure yes",
    "ForkAfterAuthentication no",
    "BatchMode yes",
    "IdentitiesOnly yes",
    "IdentityAgent none",
    "IdentityAgent SSH_AUTH_SOCK",
    "IdentityAgent ~/agent-%u",
    "IdentityAgent $XSOCK",
    "IdentityAgent ${HOME}/s",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "ChallengeResponseAuthentication yes",
    "PubkeyAuthentication host-bound",
    "PubkeyAuthentication unbound",
    "DSAAuthentication no",
    "PreferredAuthentications publickey,password",
    "NumberOfPasswordPrompts 1",
    "KbdInteractiveDevices pam",
    "RequiredRSASize 2048",
    "ProxyUseFdpass no",
    "CanonicalizeHostname no",
    "CanonicalizeHostname yes",
    "CanonicalizeMaxDots 0",
    "CanonicalizeMaxDots 3",
    "CanonicalizeFallbackLocal yes",
    "CanonicalizePermittedCNAMEs none",
    "CanonicalDomains none",
    "Ciphers aes128-ctr",
    "Ciphers +aes128-cbc",
    "MACs -hmac*",
    "KexAlgorithms ^curve25519-sha256",
    "HostKeyAlgorithms ssh-ed25519*",
    "PubkeyAcceptedKeyTypes +ssh-rsa",
    "CASignatureAlgorithms ssh-ed25519",
    // Passed over, and still checked.
    "LogLevel ERROR",
    "SendEnv LANG LC_*",
    "SetEnv A=b",
    "ForwardAgent yes",
    "ForwardAgent no",
    "ForwardX11 no",
    "ForwardX11Timeout 1h",
    "LocalForward 1234 h:22",
    "LocalForward [::1]:1234 [::1]:22",
    "LocalForward /a/b h:1",
    "RemoteForward 0 h:22",
    "RemoteForward 8080",
    "DynamicForward 127.0.0.1:1080",
    "EscapeChar none",
    "EscapeChar ^B",
    "IPQoS af21 cs1",
    "IPQoS 0x10",
    "IPQoS lowdelay",
    "ControlMaster auto",
    "ControlPath ~/.ssh/%r@%h",
    "ControlPersist 10m",
    "AddKeysToAgent confirm 5m",
    "AddKeysToAgent 1h",
    "RequestTTY force",
    "SessionType none",
    "StreamLocalBindMask 0177",
    "StreamLocalBindUnlink yes",
    "SyslogFacility AUTH",
    "UpdateHostKeys ask",
    "VisualHostKey yes",
    "Compression yes",
    "ConnectionAttempts 3",
    "FingerprintHash md5",
    "PermitRemoteOpen h:22 g:*",
    "PermitRemoteOpen none",
    "XAuthLocation /x",
    "LogVerbose a b",
    "GSSAPIAuthentication yes",
    "HostbasedAuthentication no",
    "HostbasedKeyTypes ssh-ed25519",
    "VerifyHostKeyDNS no",
    "CheckHostIP no",
];

fn arbitrary_mistake() -> impl Strategy<Value = String> {
    prop::sample::select(MISTAKES).prop_map(str::to_owned)
}

const MISTAKES: &[&str] = &[
    "Port 0",
    "Port",
    "Port #",
    "Port 65536",
    "Port 1 2",
    "User \"x",
    "User a b",
    "User \"\"",
    "TunnelDevice x",
    "TunnelDevice ethernet",
    "Match",
    "ServerAliveInterval 1y",
    "ConnectTimeout -1",
    "HashKnownHosts maybe",
    "Match all host x",
    "Match host x user y all",
    "Match final all x",
    "Match host",
    "Match host \"\"",
    "Match nonsense x",
    "RekeyLimit 1",
    "RekeyLimit 1G 1h x",
    "ProxyJump a:x",
    "ProxyJump a,,b",
    "Host",
    "UserKnownHostsFile /a none",
    "Hots other",
    "HostNmae x",
    "UnheardOf",
    "\u{feff}Host other",
    "Host\u{a0}other",
    "\u{a0}Port 22",
    "Ciphers bogus",
    "Ciphers +bogus",
    "MACs hmac-bogus",
    "KexAlgorithms x",
    "HostKeyAlgorithms nothing",
    "CASignatureAlgorithms +x",
    "Ciphers",
    "IdentityAgent ${X",
    "IdentityAgent $a-b",
    "StrictHostKeyChecking maybe",
    "Tunnel tap",
    "AddressFamily inet4",
    "NumberOfPasswordPrompts x",
    "RequiredRSASize many",
    "LogLevel LOUD",
    "SendEnv A=b",
    "SetEnv A",
    "LocalForward 1234",
    "LocalForward x h:22",
    "RemoteForward h:x:1 2",
    "DynamicForward 1 2",
    "EscapeChar abc",
    "IPQoS af99",
    "IPQoS 256",
    "ControlMaster maybe",
    "ControlPersist x",
    "AddKeysToAgent yes 5m",
    "RequestTTY perhaps",
    "StreamLocalBindMask 8",
    "SyslogFacility MAIL",
    "FingerprintHash crc",
    "PermitRemoteOpen h",
    "ForwardX11Timeout x",
    "CanonicalDomains a..b",
    "CanonicalDomains none a",
    "CanonicalizePermittedCNAMEs a",
    "CanonicalizeHostname perhaps",
    "ForwardAgent ${",
    "ConnectionAttempts x",
    "Compression 9",
    "VisualHostKey 1",
    "HostbasedKeyTypes x",
    "Include \"\"",
    "Host \"\" x",
    "LocalCommand \"",
];

/// The options by their names.
type Summary = BTreeMap<String, Vec<String>>;

fn theirs(file: &Path, destination: &str) -> Result<Summary, String> {
    let output = Command::new("ssh").arg("-F").arg(file).args(["-T", "-G", destination]).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(summary(text.lines().map(|line| line.split_once(' ').unwrap_or((line, "")))))
}

fn ours(file: &Path, destination: &str) -> Result<Summary, String> {
    let local = local_user().unwrap();
    let files = [read_file(file).unwrap()];
    let sources = Sources { command_line: &[], files: &files, local: &local, surroundings: &Machine };
    let query = crate::ssh_config::parse_destination(destination).unwrap_or_else(|| to(destination));
    let options = resolve(&sources, &query).map_err(|errors: Errors| errors.to_string())?;
    let lines = options.lines();
    Ok(summary(lines.iter().map(|(name, value)| (*name, value.as_str()))))
}

fn summary<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Summary {
    let mut summary = Summary::new();
    for (name, value) in lines {
        // Which keys are tried by default is each one's own choice.
        if !(name == "identityfile" && value.starts_with("~/.ssh/id_")) {
            summary.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    summary
}
