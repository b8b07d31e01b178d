use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{berlin, problems};
use crate::ssh_config::{
    AddressFamily, IdentityAgent, JumpHost, Proxy, Query, RekeyLimit, StrictHostKeyChecking, Tunnel,
    TunnelDevice, TunnelUnit,
};

#[test]
fn the_first_value_wins_and_files_accumulate() {
    let options = berlin(
        "Port 1\nPort 2\nIdentityFile /a\nIdentityFile /b\nIdentityFile /a\nCertificateFile /c\nCertificateFile /d",
    );
    assert_eq!(options.port(), 1);
    assert_eq!(options.identity_file(), [Path::new("/a"), Path::new("/b")]);
    assert_eq!(options.certificate_file, [Path::new("/c"), Path::new("/d")]);
    assert_eq!(berlin("IdentityFile none").identity_file(), Vec::<PathBuf>::new());
}

#[test]
fn known_hosts_files_come_as_one_list() {
    let options = berlin("UserKnownHostsFile /a \"/b c\"\nUserKnownHostsFile /d\nGlobalKnownHostsFile none");
    assert_eq!(options.user_known_hosts_file(), [Path::new("/a"), Path::new("/b c")]);
    assert_eq!(options.global_known_hosts_file(), Vec::<PathBuf>::new());
    assert_eq!(problems("UserKnownHostsFile /a none").len(), 1);
}

#[test]
fn flags_and_words() {
    let options = berlin(
        "IdentitiesOnly yes\nHashKnownHosts TRUE\nExitOnForwardFailure no\nPasswordAuthentication false\n\
         ChallengeResponseAuthentication no\nPubkeyAuthentication host-bound\nStrictHostKeyChecking accept-new\n\
         AddressFamily inet6\nBindAddress 192.0.2.1\nHostKeyAlias Lab",
    );
    assert!(options.identities_only() && options.hash_known_hosts() && options.pubkey_authentication());
    assert!(!options.exit_on_forward_failure() && !options.password_authentication());
    assert!(!options.kbd_interactive_authentication());
    assert_eq!(options.strict_host_key_checking(), StrictHostKeyChecking::AcceptNew);
    assert_eq!(options.address_family(), AddressFamily::Inet6);
    assert_eq!(options.bind_address.as_deref(), Some("192.0.2.1"));
    assert_eq!(options.host_key_alias.as_deref(), Some("lab"));
    assert_eq!(berlin("StrictHostKeyChecking off").strict_host_key_checking(), StrictHostKeyChecking::No);
}

#[test]
fn batch_mode_asks_nothing() {
    let options = berlin("BatchMode yes\nPasswordAuthentication yes");
    assert_eq!(options.strict_host_key_checking(), StrictHostKeyChecking::Yes);
    assert!(!options.password_authentication() && !options.kbd_interactive_authentication());
    let accepting = berlin("BatchMode yes\nStrictHostKeyChecking accept-new");
    assert_eq!(accepting.strict_host_key_checking(), StrictHostKeyChecking::AcceptNew);
}

#[test]
fn times() {
    let seconds = |text: &str| {
        berlin(&format!("ServerAliveInterval {text}")).server_alive_interval.map(|time| time.as_secs())
    };
    for (text, expected) in [
        ("30", 30),
        ("90s", 90),
        ("1m30", 90),
        ("1H", 3600),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2w", 1_209_600),
        ("0", 0),
    ] {
        assert_eq!(seconds(text), Some(expected), "{text}");
    }
    assert_eq!(berlin("ConnectTimeout none\nConnectTimeout 5").connect_timeout, Some(Duration::from_secs(5)));
    for text in ["-1", "1y", "x", "m", "+5", "2147483648", "99999999999999999999", "1 2"] {
        assert_eq!(problems(&format!("ConnectTimeout {text}")).len(), 1, "{text}");
    }
}

#[test]
fn rekey_limits() {
    let limit = |text: &str| berlin(&format!("RekeyLimit {text}")).rekey_limit();
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(limit("64M"), RekeyLimit { bytes: Some(64 << 20), interval: None });
    assert_eq!(limit("1g 1h"), RekeyLimit { bytes: Some(1 << 30), interval: hour });
    assert_eq!(limit("default none"), RekeyLimit::default());
    assert_eq!(limit("0 1h"), RekeyLimit { bytes: None, interval: hour });
    let halves = berlin("RekeyLimit 1G none\nRekeyLimit 64M 1h").rekey_limit();
    assert_eq!(halves, RekeyLimit { bytes: Some(1 << 30), interval: hour }, "each half by itself");
    for text in ["15", "1X", "M", "64M 1y", "64M 1h x", "99999999999G"] {
        assert_eq!(problems(&format!("RekeyLimit {text}")).len(), 1, "{text}");
    }
}

#[test]
fn tunnels_and_their_devices() {
    let device = |text: &str| berlin(&format!("TunnelDevice {text}")).tunnel_device();
    let number = TunnelUnit::Number;
    assert_eq!(device("any"), TunnelDevice::default());
    assert_eq!(device("3"), TunnelDevice { local: number(3), remote: TunnelUnit::Any });
    assert_eq!(device("ANY:0"), TunnelDevice { local: TunnelUnit::Any, remote: number(0) });
    assert_eq!(device("2147483645:1").local, number(0x7fff_fffd));
    for text in ["2147483646", "-1", "1:2:3", ":", "1:", "x"] {
        assert_eq!(problems(&format!("TunnelDevice {text}")).len(), 1, "{text}");
    }
    for (word, tunnel) in [
        ("ethernet", Tunnel::Ethernet),
        ("yes", Tunnel::PointToPoint),
        ("point-to-point", Tunnel::PointToPoint),
        ("no", Tunnel::No),
    ] {
        assert_eq!(berlin(&format!("Tunnel {word}")).tunnel(), tunnel);
    }
}

#[test]
fn agents() {
    let agent = |text: &str| berlin(&format!("IdentityAgent {text}")).identity_agent();
    assert_eq!(berlin("").identity_agent(), IdentityAgent::Environment);
    assert_eq!(agent("SSH_AUTH_SOCK"), IdentityAgent::Environment);
    assert_eq!(agent("none"), IdentityAgent::None);
    assert_eq!(agent("~/agent"), IdentityAgent::Socket("/home/alice/agent".into()));
    assert_eq!(agent("$NOT_SET"), IdentityAgent::None);
}

fn hop(user: Option<&str>, host: &str, port: Option<u16>) -> JumpHost {
    JumpHost { user: user.map(str::to_owned), host: host.to_owned(), port }
}

#[test]
fn jump_hosts() {
    let jump = |text: &str| match berlin(&format!("ProxyJump {text}")).proxy {
        Some(Proxy::Jump(hosts)) => hosts,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(jump("a"), [hop(None, "a", None)]);
    assert_eq!(
        jump("me@a:2200,[2001:db8::1]:22,ssh://b@c:1 # last"),
        [hop(Some("me"), "a", Some(2200)), hop(None, "2001:db8::1", Some(22)), hop(Some("b"), "c", Some(1))]
    );
    assert_eq!(jump("ssh://al%69ce;x=y@[2001:db8::1]/"), [hop(Some("alice"), "2001:db8::1", None)]);
    assert_eq!(jump("%r@%n-gate"), [hop(Some("alice"), "berlin-gate", None)]);
    for text in [
        "@a",
        "a:0",
        "a:x",
        "a,,b",
        "a,",
        "ssh://a/path",
        "[::1",
        "[::1]x",
        "-x",
        "a;b",
        "ssh://%zz@a",
        "ssh://",
    ] {
        assert_eq!(problems(&format!("ProxyJump {text}")).len(), 1, "{text}");
    }
    assert_eq!(hop(Some("me"), "2001:db8::1", Some(22)).to_string(), "me@[2001:db8::1]:22");
    assert_eq!(hop(None, "2001:db8::1", None).to_string(), "[2001:db8::1]");
}

#[test]
fn the_first_of_jump_and_command_wins() {
    let proxy = |text: &str| berlin(text).proxy().clone();
    let command = |text: &str| Proxy::Command(text.to_owned());
    assert_eq!(proxy(""), Proxy::Direct);
    assert_eq!(proxy("ProxyCommand  nc \"%h\" %p # x"), command("nc \"berlin\" 22 # x"));
    assert_eq!(proxy("ProxyCommand = nc 'x  y'"), command("nc 'x  y'"));
    assert_eq!(problems("ProxyCommand nc 'x").len(), 1, "quotes close, though the shell sees them");
    assert_eq!(proxy("ProxyCommand none\nProxyCommand x"), Proxy::Direct);
    assert_eq!(proxy("ProxyCommand none\nProxyJump a"), Proxy::Direct);
    assert_eq!(proxy("ProxyJump a\nProxyCommand x"), Proxy::Jump(vec![hop(None, "a", None)]));
    assert_eq!(proxy("ProxyCommand x\nProxyJump a"), command("x"));
    assert_eq!(proxy("ProxyJump none\nProxyCommand x"), command("x"));
    assert_eq!(proxy("ProxyJump none\nProxyJump a"), Proxy::Direct);
}

#[test]
fn a_host_is_not_its_own_jump_host() {
    assert_eq!(problems("ProxyJump berlin").len(), 1);
    assert_eq!(problems("ProxyJump a,berlin").len(), 1);
    assert_eq!(problems("ProxyJump berlin:2222").len(), 0);
    assert_eq!(problems("ProxyJump bob@berlin").len(), 0);
}

#[test]
fn s5_zero_times_are_kept_apart_from_none() {
    assert_eq!(berlin("ConnectTimeout 0").connect_timeout, Some(Duration::ZERO));
    assert_eq!(berlin("ConnectTimeout 0\nConnectTimeout 7").connect_timeout, Some(Duration::ZERO));
    assert_eq!(berlin("ConnectTimeout none\nConnectTimeout 7").connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(
        berlin("ServerAliveInterval 0\nServerAliveInterval 7").server_alive_interval,
        Some(Duration::ZERO)
    );
    assert_eq!(berlin("RekeyLimit 1G 0").rekey_limit(), RekeyLimit { bytes: Some(1 << 30), interval: None });
    assert_eq!(berlin("ConnectTimeout 0s").connect_timeout, Some(Duration::ZERO));
}

#[test]
fn times_have_one_number_of_seconds() {
    let seconds =
        |text: &str| berlin(&format!("ConnectTimeout {text}")).connect_timeout.map(|time| time.as_secs());
    assert_eq!(seconds("1.9s"), Some(1));
    assert_eq!(seconds("1m.5"), Some(60));
    for text in ["1s2", "1.5m", "1.", "1..2", "."] {
        assert_eq!(problems(&format!("ConnectTimeout {text}")).len(), 1, "{text}");
    }
}

#[test]
fn s11_destinations() {
    let parse = crate::ssh_config::parse_destination;
    let query =
        |user: Option<&str>, host: &str, port| Query { host: host.into(), user: user.map(Into::into), port };
    for (text, expected) in [
        ("berlin", query(None, "berlin", None)),
        ("root@berlin", query(Some("root"), "berlin", None)),
        ("a@b@berlin", query(Some("a@b"), "berlin", None)),
        ("ssh://berlin", query(None, "berlin", None)),
        ("ssh://root@berlin:2222", query(Some("root"), "berlin", Some(2222))),
        ("ssh://al%69ce;x=y@berlin/", query(Some("alice"), "berlin", None)),
        ("ssh://root@[2001:db8::1]:22", query(Some("root"), "2001:db8::1", Some(22))),
        ("2001:db8::1", query(None, "2001:db8::1", None)),
    ] {
        assert_eq!(parse(text), Some(expected), "{text}");
    }
    for text in [
        "",
        "@berlin",
        "root@",
        "ssh://",
        "ssh://root@",
        "ssh://berlin:0",
        "ssh://berlin:x",
        "ssh://berlin/path",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}
