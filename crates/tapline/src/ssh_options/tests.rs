use std::path::PathBuf;

use tapline_config::Config;
use tapline_config::ssh_config::Proxy;

use super::*;

fn resolved(yaml: &str, ssh_config: &str) -> HostOptions {
    let config = Config::from_str("test.yaml", yaml).unwrap();
    let link = config.links.values().next().unwrap();
    SshFiles::of_text(ssh_config).resolve(&options(link), &query(link)).unwrap()
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
fn y3_a_jump_host_may_be_an_address_in_every_form() {
    for (written, host, port) in [
        ("'2001:db8::1'", "2001:db8::1", None),
        ("'[2001:db8::1]'", "2001:db8::1", None),
        ("'[2001:db8::1]:2222'", "2001:db8::1", Some(2222)),
        ("'root@2001:db8::1'", "2001:db8::1", None),
        ("['::1']", "::1", None),
        ("'fe80::1%eth0'", "fe80::1%eth0", None),
        ("'[fe80::1%eth0]:22'", "fe80::1%eth0", Some(22)),
        ("192.0.2.1:2222", "192.0.2.1", Some(2222)),
        ("gate.example.org", "gate.example.org", None),
    ] {
        let options = resolved(&format!("links: {{b: {{host: b, proxy-jump: {written}}}}}"), "");
        let Proxy::Jump(jumps) = options.proxy() else { panic!("{written}") };
        assert_eq!((jumps[0].host.as_str(), jumps[0].port), (host, port), "{written}");
    }
    let options = resolved("links: {b: {host: b, proxy-jump: ['::1', 'a@2001:db8::2', c]}}", "");
    let Proxy::Jump(jumps) = options.proxy() else { panic!("several") };
    assert_eq!(jumps.iter().map(|jump| jump.host.as_str()).collect::<Vec<_>>(), ["::1", "2001:db8::2", "c"]);
}

#[test]
fn a_proxy_command_keeps_its_spaces() {
    let options = resolved("links: {b: {host: b, proxy-command: 'nc -X 5 %h %p'}}", "");
    assert_eq!(*options.proxy(), Proxy::Command("nc -X 5 b 22".to_owned()));
}
