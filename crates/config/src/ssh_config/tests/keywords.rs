//! Every keyword of the manual has its line in the table, and nothing that counts passes in silence.

use super::{Fake, berlin, problems, resolve_with, to};
use crate::ssh_config::{Problem, Scope, Warning, keyword};

/// The keywords of ssh_config(5), OpenSSH 10.5.
const MANUAL: &str = "Host Match AddKeysToAgent AddressFamily BatchMode BindAddress BindInterface CanonicalDomains \
    CanonicalizeFallbackLocal CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs \
    CASignatureAlgorithms CertificateFile ChannelTimeout CheckHostIP Ciphers ClearAllForwardings Compression \
    ConnectionAttempts ConnectTimeout ControlMaster ControlPath ControlPersist DynamicForward EnableEscapeCommandline \
    EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash ForkAfterAuthentication ForwardAgent ForwardX11 \
    ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile GSSAPIAuthentication \
    GSSAPIDelegateCredentials HashKnownHosts HostbasedAcceptedAlgorithms HostbasedAuthentication HostKeyAlgorithms \
    HostKeyAlias Hostname IdentitiesOnly IdentityAgent IdentityFile IgnoreUnknown Include IPQoS \
    KbdInteractiveAuthentication KbdInteractiveDevices KexAlgorithms KnownHostsCommand LocalCommand LocalForward \
    LogLevel LogVerbose MACs NoHostAuthenticationForLocalhost NumberOfPasswordPrompts ObscureKeystrokeTiming \
    PasswordAuthentication PermitLocalCommand PermitRemoteOpen PKCS11Provider Port PreferredAuthentications \
    ProxyCommand ProxyJump ProxyUseFdpass PubkeyAcceptedAlgorithms PubkeyAuthentication RefuseConnection RekeyLimit \
    RemoteCommand RemoteForward RequestTTY RequiredRSASize RevokedHostKeys SecurityKeyProvider SendEnv \
    ServerAliveCountMax ServerAliveInterval SessionType SetEnv StdinNull StreamLocalBindMask StreamLocalBindUnlink \
    StrictHostKeyChecking SyslogFacility TCPKeepAlive Tag Tunnel TunnelDevice UpdateHostKeys User UserKnownHostsFile \
    VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation";

#[test]
fn s2_every_keyword_of_the_manual_is_in_the_table_once() {
    for name in MANUAL.split_whitespace() {
        assert!(keyword::find(name).is_some(), "{name}");
        assert!(keyword::find(&name.to_uppercase()).is_some(), "{name}");
    }
    let names: Vec<String> = keyword::names().map(str::to_lowercase).collect();
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len());
}

#[test]
fn s2_what_is_not_done_and_would_change_trust_or_reach_is_refused_by_name() {
    for line in [
        "CheckHostIP yes",
        "VerifyHostKeyDNS yes",
        "VerifyHostKeyDNS ask",
        "ProxyUseFdpass yes\nProxyCommand x",
        "CanonicalizeHostname yes\nCanonicalDomains example.org",
    ] {
        let found = problems(line);
        let keyword = line.split(' ').next().unwrap();
        assert!(
            matches!(found.as_slice(), [(place, Problem::NotHonoured { .. } | Problem::Canonicalize(..))] if place == "config:1"),
            "{found:?}"
        );
        assert!(found[0].1.to_string().contains(keyword), "{found:?}");
        assert_eq!(problems(&format!("Host other\n{line}")), [], "{line}: only where it applies");
    }
    assert_eq!(problems("CheckHostIP no\nCheckHostIP yes"), [], "the first value counts");
    assert_eq!(
        problems("VerifyHostKeyDNS no\nProxyUseFdpass yes"),
        [],
        "without a command it asks for nothing"
    );
}

#[test]
fn s2_what_was_asked_for_and_does_not_happen_is_a_warning() {
    for line in [
        "LocalForward 1 h:2",
        "RemoteForward 1 h:2",
        "DynamicForward 1",
        "RemoteCommand x",
        "Compression yes",
        "UpdateHostKeys yes",
        "HostbasedAuthentication yes",
        "PKCS11Provider /lib/x.so",
        "NoHostAuthenticationForLocalhost yes",
        "ClearAllForwardings yes",
        "ChannelTimeout *=5m",
    ] {
        for scope in [Scope::User, Scope::System] {
            let options = resolve_with(&Fake::default(), &[], &[(line, scope)], &to("berlin")).unwrap();
            let keyword = line.split(' ').next().unwrap();
            assert!(
                matches!(options.warnings.as_slice(), [Warning::NotHonoured { keyword: named, .. }] if *named == keyword),
                "{line}: {:?}",
                options.warnings
            );
        }
    }
    assert_eq!(
        berlin("Compression no\nUpdateHostKeys no\nChannelTimeout none\nRemoteCommand none").warnings,
        []
    );
}

#[test]
fn s2_what_concerns_no_tunnel_is_named_but_for_the_systems_file() {
    for line in [
        "LogLevel DEBUG3",
        "ForwardAgent yes",
        "SendEnv LANG",
        "RequestTTY force",
        "ControlMaster auto",
        "GSSAPIAuthentication yes",
    ] {
        let with =
            |scope| resolve_with(&Fake::default(), &[], &[(line, scope)], &to("berlin")).unwrap().warnings;
        assert!(matches!(with(Scope::User).as_slice(), [Warning::PassedOver { .. }]), "{line}");
        assert_eq!(with(Scope::System), [], "{line}");
        assert_eq!(berlin(&format!("Host other\n{line}")).warnings, [], "{line}");
    }
    assert_eq!(berlin("ForwardAgent no\nLogLevel info\nRequestTTY auto\nControlMaster no").warnings, []);
}

#[test]
fn s2_the_values_of_what_is_not_done_are_checked_as_well() {
    for line in [
        "LogLevel LOUD",
        "SendEnv A=b",
        "LocalForward 1234",
        "IPQoS af99",
        "ControlPersist x",
        "EscapeChar ab",
    ] {
        assert_eq!(problems(line).len(), 1, "{line}");
        assert_eq!(problems(&format!("Host other\n{line}")).len(), 1, "{line}");
    }
}

#[test]
fn s2_words_that_stand_for_honoured_keywords() {
    let options = berlin(
        "BindInterface eth0\nTCPKeepAlive no\nPreferredAuthentications password\nNumberOfPasswordPrompts 1\n\
         KbdInteractiveDevices pam\nRequiredRSASize 3072\nForkAfterAuthentication yes\nRevokedHostKeys ~/revoked /r\n\
         KnownHostsCommand /bin/keys %H",
    );
    assert_eq!(options.bind_interface.as_deref(), Some("eth0"));
    assert!(!options.tcp_keep_alive());
    assert_eq!(options.preferred_authentications.as_deref(), Some("password"));
    assert_eq!((options.number_of_password_prompts(), options.required_rsa_size), (1, Some(3072)));
    assert_eq!(options.kbd_interactive_devices.as_deref(), Some("pam"));
    assert_eq!(options.fork_after_authentication, Some(true));
    assert_eq!(options.revoked_host_keys, ["/home/alice/revoked".into(), std::path::PathBuf::from("/r")]);
    let command = options.known_hosts_command.unwrap();
    assert_eq!(command.words, ["/bin/keys", "%H"]);
    assert_eq!((command.tokens[&'r'].as_str(), command.tokens[&'n'].as_str()), ("alice", "berlin"));
    assert_eq!(options.warnings, []);
}

#[test]
fn s3_the_words_and_tokens_of_a_known_hosts_command() {
    let words = |text: &str| {
        berlin(&format!("KnownHostsCommand {text}")).known_hosts_command.map(|command| command.words)
    };
    assert_eq!(words("/bin/keys \"a b\" %t %K # c").unwrap(), ["/bin/keys", "a b", "%t", "%K"]);
    assert_eq!(words("none"), None);
    for text in ["/bin/keys %Z", "/bin/keys %T", "/bin/keys %", "/bin/keys \"x"] {
        assert_eq!(problems(&format!("KnownHostsCommand {text}")).len(), 1, "{text}");
    }
}

#[test]
fn s2_a_local_command_is_run_only_where_it_is_permitted() {
    let command = |text: &str| berlin(text).local_command.map(|command| command.with_interface("tap7"));
    assert_eq!(
        command("PermitLocalCommand yes\nLocalCommand ip addr add %u %T; echo %%T %T-%h"),
        Some("ip addr add alice tap7; echo %T tap7-berlin".to_owned())
    );
    assert_eq!(command("LocalCommand x"), None);
    assert_eq!(command("PermitLocalCommand no\nLocalCommand x %T"), None);
    assert_eq!(command("PermitLocalCommand yes\nLocalCommand none"), None);
    assert_eq!(problems("PermitLocalCommand yes\nLocalCommand x %Z").len(), 1);
}
