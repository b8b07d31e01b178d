//! From a link of the configuration, or the arguments of `connect`, to the options of an SSH session.
//!
//! There is one way: both are written as options of `ssh_config(5)` that win over its files, and the files decide the
//! rest, so that a `Host` alias, a `ProxyJump` or an agent means what it means to ssh.

use std::net::Ipv6Addr;
use std::time::Duration;

use tapline_config::ssh_config::{self, File, HostOptions, LocalUser, Machine, Query, Sources};
use tapline_config::{Jump, Link, ProxyCommand, ProxyJump, RekeyLimit, StrictHostKeyChecking};

/// Who runs this, and what `ssh_config` says.
#[derive(Debug)]
pub(crate) struct SshFiles {
    local: LocalUser,
    files: Vec<File>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SshOptionsError {
    #[error("cannot read the SSH configuration: {0}")]
    Files(#[from] std::io::Error),
    #[error("{0}")]
    Options(#[from] ssh_config::Errors),
}

impl SshFiles {
    /// The user's and the system's.
    pub(crate) fn read_default() -> Result<Self, SshOptionsError> {
        let local = ssh_config::local_user()?;
        let files = ssh_config::read_default_files(&local)?;
        Ok(Self { local, files })
    }

    /// As `ssh -F`; `none` reads nothing.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, SshOptionsError> {
        let local = ssh_config::local_user()?;
        let files = match path.to_str() {
            Some("none") => Vec::new(),
            _ => vec![ssh_config::read_file(path)?],
        };
        Ok(Self { local, files })
    }

    /// One text in the place of the user's file, read by `admin` of host `leipzig`.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        let local = LocalUser {
            name: "admin".into(),
            uid: 1000,
            home: "/home/admin".into(),
            host_name: "leipzig".into(),
        };
        let file = File {
            path: "/home/admin/.ssh/config".into(),
            text: text.into(),
            scope: ssh_config::Scope::User,
        };
        Self { local, files: vec![file] }
    }

    /// What holds for one host; `options` are arguments of `-o` and win.
    pub(crate) fn resolve(&self, options: &[String], query: &Query) -> Result<HostOptions, SshOptionsError> {
        let sources =
            Sources { command_line: options, files: &self.files, local: &self.local, surroundings: &Machine };
        Ok(ssh_config::resolve(&sources, query)?)
    }
}

/// The destination of a link.
pub(crate) fn query(link: &Link) -> Query {
    let user = link.host.user.as_ref().or(link.user.as_ref());
    Query {
        host: link.host.host.as_str().to_owned(),
        user: user.map(|user| user.as_str().to_owned()),
        port: link.port.map(u16::from),
    }
}

/// What a link says itself, as arguments of `-o`.
pub(crate) fn options(link: &Link) -> Vec<String> {
    let mut options = Vec::new();
    let mut set = |keyword: &str, value: String| options.push(format!("{keyword}={value}"));
    for file in link.identity_file.iter() {
        set("IdentityFile", quoted(file.as_str()));
    }
    for file in link.certificate_file.iter() {
        set("CertificateFile", quoted(file.as_str()));
    }
    if !link.user_known_hosts_file.is_empty() {
        let files: Vec<_> = link.user_known_hosts_file.iter().map(|file| quoted(file.as_str())).collect();
        set("UserKnownHostsFile", files.join(" "));
    }
    if !link.revoked_host_keys.is_empty() {
        let files: Vec<_> = link.revoked_host_keys.iter().map(|file| quoted(file.as_str())).collect();
        set("RevokedHostKeys", files.join(" "));
    }
    if let Some(checking) = link.strict_host_key_checking {
        let word = match checking {
            StrictHostKeyChecking::Yes => "yes",
            StrictHostKeyChecking::AcceptNew => "accept-new",
            StrictHostKeyChecking::Ask => "ask",
            StrictHostKeyChecking::No => "no",
        };
        set("StrictHostKeyChecking", word.to_owned());
    }
    match &link.proxy_jump {
        Some(ProxyJump::None) => set("ProxyJump", "none".to_owned()),
        Some(ProxyJump::Through(jumps)) => {
            let jumps: Vec<_> = jumps.iter().map(jump_text).collect();
            set("ProxyJump", jumps.join(","));
        }
        None => {}
    }
    match &link.proxy_command {
        Some(ProxyCommand::None) => set("ProxyCommand", "none".to_owned()),
        Some(ProxyCommand::Command(command)) => set("ProxyCommand", command.clone()),
        None => {}
    }
    if let Some(command) = &link.local_command {
        set("LocalCommand", command.to_string());
        // Who may write the configuration may have this command run.
        set("PermitLocalCommand", "yes".to_owned());
    }
    if let Some(interval) = link.server_alive_interval {
        set("ServerAliveInterval", seconds(interval));
    }
    if let Some(count) = link.server_alive_count_max {
        set("ServerAliveCountMax", count.to_string());
    }
    if let Some(timeout) = link.connect_timeout {
        set("ConnectTimeout", seconds(timeout));
    }
    if let Some(family) = link.address_family {
        set("AddressFamily", family.to_string());
    }
    if let Some(address) = link.bind_address {
        set("BindAddress", address.to_string());
    }
    if let Some(RekeyLimit { bytes, time }) = link.rekey_limit {
        let bytes = bytes.map_or_else(|| "default".to_owned(), |bytes| bytes.to_string());
        let time = time.map_or_else(|| "none".to_owned(), seconds);
        set("RekeyLimit", format!("{bytes} {time}"));
    }
    options
}

/// The zone of an address is no token.
fn jump_text(jump: &Jump) -> String {
    let text = jump.to_string();
    let is_address = |host: &str| host.split('%').next().is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    if is_address(jump.host.as_str()) { text.replace('%', "%%") } else { text }
}

fn seconds(time: Duration) -> String {
    // OpenSSH counts in seconds; less than one means "as short as can be" and not "never".
    time.as_secs().max(u64::from(!time.is_zero())).to_string()
}

fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
