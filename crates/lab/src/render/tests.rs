use std::collections::BTreeMap;
use std::path::Path;

use tapline_config::{Config, Lab, Name, StrictHostKeyChecking};

use super::{Files, authorized_keys, configuration, known_hosts};
use crate::identity::{Identity, Key};

const LAB: &str = "
networks: {internet: {}, office: {}}
hosts:
  berlin:
    interfaces:
      internet: {addresses: [192.0.2.1/24, '2001:db8::1/64']}
      office: {addresses: [198.51.100.1/24]}
    tapline:
      server:
        listen: [0.0.0.0:2222, 0.0.0.0:22]
        permit-tunnel: ethernet
        accept: {leipzig: {}, jena: {}}
  leipzig:
    interfaces: {internet: {addresses: [192.0.2.2/24]}}
    tapline:
      links:
        named: {host: root@berlin, port: 2222}
        six: {host: berlin, address-family: inet6, connections: 2}
        other: {host: example.org, identity-file: ~/own, user-known-hosts-file: /own, strict-host-key-checking: ask}
        jump: {host: example.org, proxy-jump: 'me@berlin:22'}
  jena:
    interfaces: {office: {addresses: [198.51.100.3/24]}}
    tapline:
      links: {berlin: {host: berlin}}
  bare:
    interfaces: {internet: {addresses: [192.0.2.9/24]}}
";

fn identities(lab: &Lab) -> BTreeMap<Name, Identity> {
    let key = |seed: u8, name: &Name| Key::from_seed(&[seed; 32], name.as_str()).unwrap();
    let with_tapline = lab.hosts.iter().filter(|(_, host)| host.tapline.is_some()).zip(1..);
    with_tapline
        .map(|((name, _), n)| (name.clone(), Identity { host: key(n, name), user: key(n + 100, name) }))
        .collect()
}

fn rendered(host: &str) -> (Config, BTreeMap<Name, Identity>) {
    let lab = Lab::from_str("lab.yaml", LAB).unwrap();
    let identities = identities(&lab);
    let name: Name = host.parse().unwrap();
    let written = lab.hosts[&name].tapline.as_ref().unwrap();
    let files = Files::below(&Path::new("/run/50%").join(host));
    let config = configuration(&lab, &name, written, &files, &identities).unwrap();
    (config, identities)
}

fn link<'a>(config: &'a Config, name: &str) -> &'a tapline_config::Link {
    &config.links[name]
}

#[test]
fn u15_permit_tunnel_stays_as_it_is_written() {
    for word in ["no", "point-to-point", "ethernet", "yes"] {
        let text = LAB.replace("permit-tunnel: ethernet", &format!("permit-tunnel: {word}"));
        let lab = Lab::from_str("lab.yaml", &text).unwrap();
        let name: Name = "berlin".parse().unwrap();
        let written = lab.hosts[&name].tapline.as_ref().unwrap();
        let config =
            configuration(&lab, &name, written, &Files::below(Path::new("/run")), &identities(&lab)).unwrap();
        let yaml = config.to_yaml();
        assert!(yaml.contains("permit-tunnel") && yaml.contains(word), "{word}: {yaml}");
        // What the host reads is no mistake, and says the same.
        let read = Config::from_str("tapline.yaml", &yaml).unwrap();
        assert_eq!(read.server.unwrap().permit_tunnel, config.server.unwrap().permit_tunnel, "{word}");
    }
}

#[test]
fn a_server_gets_its_keys_and_those_of_its_peers() {
    let (config, identities) = rendered("berlin");
    let server = config.server.as_ref().unwrap();
    assert_eq!(server.host_keys[0].as_str(), "/run/50%%/berlin/ssh_host_ed25519_key");
    assert_eq!(server.authorized_keys_files[0].as_str(), "/run/50%%/berlin/authorized_keys");
    for (name, accept) in &server.accept {
        let key = accept.public_key.as_ref().unwrap();
        assert_eq!(key.to_string(), identities[name].user.public);
        assert_eq!(key.comment(), name.as_str());
    }
}

#[test]
fn a_link_gets_a_key_and_the_known_hosts() {
    let (config, _) = rendered("leipzig");
    let link = link(&config, "named");
    assert_eq!(link.identity_file[0].as_str(), "/run/50%%/leipzig/id_ed25519");
    assert_eq!(link.user_known_hosts_file[0].as_str(), "/run/50%%/leipzig/known_hosts");
    assert_eq!(link.strict_host_key_checking, Some(StrictHostKeyChecking::Yes));
}

#[test]
fn what_the_file_says_stays() {
    let (config, _) = rendered("leipzig");
    let link = link(&config, "other");
    assert_eq!(link.host.to_string(), "example.org");
    assert_eq!(link.identity_file[0].as_str(), "~/own");
    assert_eq!(link.user_known_hosts_file[0].as_str(), "/own");
    assert_eq!(link.strict_host_key_checking, Some(StrictHostKeyChecking::Ask));
}

#[test]
fn a_host_of_the_lab_becomes_the_address_that_is_near() {
    let (leipzig, _) = rendered("leipzig");
    assert_eq!(link(&leipzig, "named").host.to_string(), "root@192.0.2.1");
    assert_eq!(link(&leipzig, "six").host.to_string(), "2001:db8::1");
    let jump = link(&leipzig, "jump").proxy_jump.clone().unwrap();
    assert_eq!(format!("{jump:?}").matches("192.0.2.1").count(), 1);
    let (jena, _) = rendered("jena");
    assert_eq!(link(&jena, "berlin").host.to_string(), "198.51.100.1");
}

#[test]
fn a_rendered_configuration_reads_back() {
    for host in ["berlin", "leipzig", "jena"] {
        let (config, _) = rendered(host);
        assert_eq!(Config::from_str(host, &config.to_yaml()).unwrap(), config);
    }
}

#[test]
fn known_hosts_has_every_name_address_and_port() {
    let lab = Lab::from_str("lab.yaml", LAB).unwrap();
    let identities = identities(&lab);
    let text = known_hosts(&lab, &identities);
    let berlin: Name = "berlin".parse().unwrap();
    let expected = format!(
        "berlin,192.0.2.1,2001:db8::1,198.51.100.1,\
         [berlin]:2222,[192.0.2.1]:2222,[2001:db8::1]:2222,[198.51.100.1]:2222 {}",
        identities[&berlin].host.public
    );
    assert_eq!(text.lines().next(), Some(expected.as_str()));
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn authorized_keys_has_all_others() {
    let lab = Lab::from_str("lab.yaml", LAB).unwrap();
    let identities = identities(&lab);
    let berlin: Name = "berlin".parse().unwrap();
    let text = authorized_keys(&berlin, &identities);
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.lines().all(|line| line.starts_with("ssh-ed25519 ") && !line.ends_with(" berlin")),
        "{text}"
    );
}

#[test]
fn keys_are_fresh_and_in_openssh_format() {
    let name = "berlin";
    let (one, two) = (Identity::new(name).unwrap(), Identity::new(name).unwrap());
    let public = [&one.host.public, &one.user.public, &two.host.public, &two.user.public];
    assert_eq!(public.into_iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    let private = ssh_key::PrivateKey::from_openssh(&one.user.private).unwrap();
    assert_eq!(private.public_key().to_openssh().unwrap(), one.user.public);
}
