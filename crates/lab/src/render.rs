//! A host's configuration with what the lab adds to it: keys, files, and addresses in the place of host names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tapline_config::{
    AddressFamily, Config, Host, HostName, InvalidValue, Lab, Name, PathPattern, ProxyJump, Server,
    StrictHostKeyChecking,
};

use crate::identity::Identity;

/// The files of one host, in its directory.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) configuration: PathBuf,
    pub(crate) host_key: PathBuf,
    pub(crate) identity: PathBuf,
    pub(crate) known_hosts: PathBuf,
    pub(crate) authorized_keys: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) state: PathBuf,
}

impl Files {
    pub(crate) fn below(directory: &Path) -> Self {
        Self {
            configuration: directory.join("tapline.yaml"),
            host_key: directory.join("ssh_host_ed25519_key"),
            identity: directory.join("id_ed25519"),
            known_hosts: directory.join("known_hosts"),
            authorized_keys: directory.join("authorized_keys"),
            log: directory.join("log"),
            state: directory.join("state"),
        }
    }
}

/// What `host` of the lab runs with. A key of the file that says something stays as it is, unless it is the name of
/// a host of the lab, which stands for its address.
pub(crate) fn configuration(
    lab: &Lab,
    host: &Name,
    written: &Config,
    files: &Files,
    identities: &BTreeMap<Name, Identity>,
) -> Result<Config, InvalidValue> {
    let mut config = written.clone();
    let default = Server::default();
    if let Some(server) = &mut config.server {
        if server.host_keys == default.host_keys {
            server.host_keys = vec![pattern(&files.host_key)?];
        }
        if server.authorized_keys_files == default.authorized_keys_files {
            server.authorized_keys_files = vec![pattern(&files.authorized_keys)?];
        }
        for (peer, accept) in &mut server.accept {
            if let (None, Some(identity)) = (&accept.public_key, identities.get(peer)) {
                accept.public_key = Some(identity.user.public.parse()?);
            }
        }
    }
    for link in config.links.values_mut() {
        if link.identity_file.is_empty() {
            link.identity_file = vec![pattern(&files.identity)?].into();
        }
        if link.user_known_hosts_file.is_empty() {
            link.user_known_hosts_file = vec![pattern(&files.known_hosts)?].into();
        }
        link.strict_host_key_checking.get_or_insert(StrictHostKeyChecking::Yes);
        let family = link.address_family.unwrap_or_default();
        // Behind a jump host names and addresses are that host's to know, and it knows the same lab.
        resolve(lab, host, family, &mut link.host.host)?;
        if let Some(ProxyJump::Through(jumps)) = &mut link.proxy_jump {
            for jump in jumps {
                resolve(lab, host, family, &mut jump.host)?;
            }
        }
    }
    Ok(config)
}

/// The host keys of all hosts under every name and address by which a client may know them.
pub(crate) fn known_hosts(lab: &Lab, identities: &BTreeMap<Name, Identity>) -> String {
    let mut text = String::new();
    for (name, host) in &lab.hosts {
        let Some(identity) = identities.get(name) else { continue };
        let mut names = vec![name.to_string()];
        names.extend(addresses(host).map(|address| address.to_string()));
        let server = host.tapline.as_ref().and_then(|tapline| tapline.server.as_ref());
        let ports: BTreeSet<u16> =
            server.iter().flat_map(|server| &server.listen).map(|at| at.port()).collect();
        let with_ports = ports
            .iter()
            .filter(|port| **port != SSH_PORT)
            .flat_map(|port| names.iter().map(move |name| format!("[{name}]:{port}")));
        let all: Vec<String> = names.iter().cloned().chain(with_ports).collect();
        let _ = writeln!(text, "{} {}", all.join(","), identity.host.public);
    }
    text
}

/// The keys with which the other hosts log in to `host`.
pub(crate) fn authorized_keys(host: &Name, identities: &BTreeMap<Name, Identity>) -> String {
    let others = identities.iter().filter(|(name, _)| *name != host);
    others.map(|(_, identity)| format!("{}\n", identity.user.public)).collect()
}

/// The port whose entries in `known_hosts` have no brackets (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
const SSH_PORT: u16 = 22;

fn addresses(host: &Host) -> impl Iterator<Item = IpAddr> {
    host.interfaces.values().flat_map(|attachment| &attachment.addresses).map(|net| net.addr())
}

/// Replaces the name of a host of the lab by its address, as `from` reaches it: there is no name service in a lab,
/// and `/etc/hosts` is one file for all, who reach a host by different addresses.
fn resolve(lab: &Lab, from: &Name, family: AddressFamily, host: &mut HostName) -> Result<(), InvalidValue> {
    if let Some(address) = address_of(lab, from, family, host.as_str()) {
        *host = address.to_string().parse()?;
    }
    Ok(())
}

fn address_of(lab: &Lab, from: &Name, family: AddressFamily, name: &str) -> Option<IpAddr> {
    let target = lab.hosts.get(name)?;
    let wanted = |address: &IpAddr| match family {
        AddressFamily::Any => true,
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
    };
    let own = lab.hosts.get(from).into_iter().flat_map(|host| &host.interfaces);
    let is_near = |address: &IpAddr| {
        own.clone().any(|(network, attachment)| {
            let shared = target.interfaces.get(network);
            let theirs = shared.is_some_and(|there| there.addresses.iter().any(|net| net.addr() == *address));
            theirs && attachment.addresses.iter().any(|net| net.contains(address))
        })
    };
    addresses(target).filter(wanted).find(is_near).or_else(|| addresses(target).find(wanted))
}

/// A path for a configuration, in which `%` begins a token.
fn pattern(path: &Path) -> Result<PathPattern, InvalidValue> {
    path.display().to_string().replace('%', "%%").parse()
}

#[cfg(test)]
mod tests;
