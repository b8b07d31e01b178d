use std::path::PathBuf;

use tapline_config::Config;
use tapline_config::ssh_config::{Proxy, Scope};

use super::*;

fn files(text: &str) -> SshFiles {
    let local = LocalUser {
        name: "admin".into(),
        uid: 1000,
        home: "/home/admin".into(),
        host_name: "leipzig".into(),
    };
    let file = File { path: "/home/admin/.ssh/config".into(), text: text.into(), scope: Scope::User };
    SshFiles { local, files: vec![file] }
}

fn resolved(yaml: &str, ssh_config: &str) -> HostOptions {
    let config = Config::from_str("test.yaml", yaml).unwrap();
    let link = config.links.values().next().unwrap();
    files(ssh_config).resolve(&options(link), &query(link)).unwrap()
}

#[test]
fn the_link_wins_and_the_files_decide_the_rest() {
    let options = resolved(
        "links: {berlin: {host: berlin, port: 2222, identity-file: '~/my key', server-alive-interval: 5}}",
        "Host berlin\n HostName berlin.example.org\n Port 22\n User root\n ServerAliveInterval 60\n ConnectTimeout 7\n",
    );
    assert_eq!(options.host_name(), "berlin.example.org");
    assert_eq!((options.port(), options.user()), (2222, "root"));
    assert_eq!(options.server_alive_interval(), Duration::from_secs(5));
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(options.identity_file(), [PathBuf::from("/home/admin/my key")]);
}

#[test]
fn every_key_of_a_link_has_its_option() {
    let options = resolved(
        "links: {berlin: {host: root@berlin, user-known-hosts-file: [/a, '/b c'], strict-host-key-checking: accept-new,
          proxy-jump: 'hop@jump.example.org:2200', server-alive-count-max: 9, connect-timeout: 3, address-family: inet6,
          bind-address: '2001:db8::7', rekey-limit: '1G 1h', certificate-file: /cert}}",
        "",
    );
    assert_eq!(options.user(), "root");
    assert_eq!(options.user_known_hosts_file(), [PathBuf::from("/a"), PathBuf::from("/b c")]);
    assert_eq!(options.strict_host_key_checking(), ssh_config::StrictHostKeyChecking::AcceptNew);
    let Proxy::Jump(jumps) = options.proxy() else { panic!("{:?}", options.proxy()) };
    assert_eq!(jumps[0].to_string(), "hop@jump.example.org:2200");
    assert_eq!(options.server_alive_count_max(), 9);
    assert_eq!(options.address_family(), ssh_config::AddressFamily::Inet6);
    assert_eq!(options.bind_address.as_deref(), Some("2001:db8::7"));
    assert_eq!(options.rekey_limit().bytes, Some(1 << 30));
    assert_eq!(options.rekey_limit().interval, Some(Duration::from_secs(3600)));
    assert_eq!(options.certificate_file, [PathBuf::from("/cert")]);
}

#[test]
fn a_proxy_command_keeps_its_spaces() {
    let options = resolved("links: {b: {host: b, proxy-command: 'nc -X 5 %h %p'}}", "");
    assert_eq!(*options.proxy(), Proxy::Command("nc -X 5 b 22".to_owned()));
}
