use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use super::progress::Step;
use super::{AddressFamily, Ended};

/// Why there is no session. One line each; `is_permanent` says whether trying again can help.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot resolve {host}: {source}; check the name and the DNS servers")]
    Resolve { host: String, source: io::Error },
    #[error("{host} has no {} address; set AddressFamily any", family_name(*.family))]
    NoAddress { host: String, family: AddressFamily },
    #[error("cannot connect from BindAddress {address}: {reason}; use an address of this host")]
    BindAddress { address: String, reason: String },
    #[error("cannot connect to {host} port {port}: {}; check that an SSH server runs there and that nothing filters the port", listed(.attempts))]
    Unreachable { host: String, port: u16, attempts: Vec<Attempt> },
    #[error("no answer from {host} port {port} within {} (tried {}); check the route and the packet filters, or raise ConnectTimeout", seconds(*.limit), listed(.attempts))]
    TimedOut { host: String, port: u16, limit: Duration, attempts: Vec<Attempt> },

    #[error("cannot run the proxy command `{command}`: {source}")]
    ProxyCommand { command: String, source: io::Error },
    #[error(
        "the proxy command `{command}` ended ({status}) before the SSH handshake was over{}; run it by hand to see why", said(.words)
    )]
    ProxyCommandEnded { command: String, status: ExitStatus, words: String },
    #[error("jump host {host}: {source}")]
    Jump { host: String, source: Box<ConnectError> },
    #[error("jump host {host} does not connect to {target}: {reason}")]
    JumpRefused { host: String, target: String, reason: JumpRefusal },
    #[error("jump host {host} got no connection to {target} within {}; check name, port and packet filters there", seconds(*.limit))]
    JumpTimeout { host: String, target: String, limit: Duration },

    #[error("{server} speaks no SSH, its answer begins with \"{said}\"; check the port")]
    NotSsh { server: String, said: String },
    #[error("{server} speaks {version}, not SSH version 2; update its SSH server")]
    OldProtocol { server: String, version: String },
    #[error(
        "{server} takes no connections now (\"{said}\"); it limits log-ins (MaxStartups, PerSourcePenalties), wait or have the limits raised"
    )]
    TurnedAway { server: String, said: String },
    #[error("{server} closed the connection before the SSH handshake was over; its log says why")]
    ClosedEarly { server: String },
    #[error("{server} {step} within {}; {}", seconds(*.limit), .step.hint())]
    HandshakeTimeout { server: String, limit: Duration, step: Step },
    #[error(
        "no common {kind} algorithm with {server}, which has {theirs}; update its SSH server or allow a modern algorithm there"
    )]
    NoCommonAlgorithm { server: String, kind: &'static str, theirs: String },
    #[error("the SSH handshake with {server} failed: {reason}")]
    Handshake { server: String, reason: String },

    #[error("{0}")]
    HostKey(#[from] HostKeyRefusal),

    #[error("permission denied for {user} at {server}: {failure}")]
    PermissionDenied { user: String, server: String, failure: Box<AuthenticationFailure> },
    #[error("{server} ended the connection while {user} logged in: {reason}; {}", offered(.tried))]
    EndedInLogin { user: String, server: String, reason: Ended, tried: Vec<String> },
    #[error("{server} did not answer the log-in within {}", seconds(*.limit))]
    LoginTimeout { server: String, limit: Duration },
    /// By a person who was asked something; the program has got the signal.
    #[error("interrupted")]
    Interrupted,
}

/// A hint of this crate in the words of Tapline's YAML: messages name `ssh_config`'s keywords, and YAML has the same ones in
/// kebab-case.
pub fn in_yaml_words(message: &str) -> String {
    const WORDS: [(&str, &str); 9] = [
        ("AddressFamily any", "address-family: any"),
        ("StrictHostKeyChecking accept-new", "strict-host-key-checking: accept-new"),
        ("BindAddress", "bind-address"),
        ("ConnectTimeout", "connect-timeout"),
        ("IdentityFile", "identity-file"),
        // Whole words: the user's file is the one with a key in YAML.
        ("UserKnownHostsFile", "user-known-hosts-file"),
        ("ServerAliveInterval", "server-alive-interval"),
        ("ProxyCommand", "proxy-command"),
        ("ProxyJump", "proxy-jump"),
    ];
    WORDS.iter().fold(message.to_owned(), |message, (ssh, yaml)| message.replace(ssh, yaml))
}

/// What became of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub address: SocketAddr,
    /// `None`: no answer so far.
    pub error: Option<String>,
}

/// Why a jump host opened no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JumpRefusal {
    #[error("its sshd does not allow it; set AllowTcpForwarding and PermitOpen there")]
    Prohibited,
    #[error("it got no connection; check name, port and packet filters there")]
    ConnectFailed,
    #[error("{0}")]
    Other(String),
}

/// The server's host key is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostKeyRefusal {
    pub kind: HostKeyRefusalKind,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyRefusalKind {
    Unknown,
    Changed,
    Revoked,
    /// Too short to prove anything.
    Weak,
    /// What is known of host keys cannot be read.
    Unreadable,
    /// A new key could be kept nowhere, and nobody is there to answer for it.
    NotKept,
}

/// What was offered to the server in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationFailure {
    /// In order.
    pub tried: Vec<String>,
    /// Keys that were not offered, and why.
    pub skipped: Vec<String>,
    /// Methods that the server would go on with.
    pub accepted: Vec<String>,
    /// Something was accepted, and more was asked for.
    pub partial: bool,
}

impl ConnectError {
    /// Whether nothing changes by trying again: somebody has to change keys, configuration or policy first.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NotSsh { .. }
            | Self::OldProtocol { .. }
            | Self::NoCommonAlgorithm { .. }
            | Self::HostKey(_)
            | Self::PermissionDenied { .. }
            | Self::NoAddress { .. } => true,
            // Above all "Too many authentication failures".
            Self::EndedInLogin { reason, .. } => matches!(reason, Ended::Peer(_)),
            Self::Jump { source, .. } => source.is_permanent(),
            Self::JumpRefused { reason, .. } => *reason == JumpRefusal::Prohibited,
            Self::Resolve { .. }
            | Self::BindAddress { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::ProxyCommand { .. }
            | Self::ProxyCommandEnded { .. }
            | Self::JumpTimeout { .. }
            | Self::Interrupted
            | Self::TurnedAway { .. }
            | Self::ClosedEarly { .. }
            | Self::HandshakeTimeout { .. }
            | Self::Handshake { .. }
            | Self::LoginTimeout { .. } => false,
        }
    }
}

impl fmt::Display for AuthenticationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&offered(&self.tried))?;
        if self.partial {
            f.write_str(", of which it accepted some and wants more")?;
        }
        match self.accepted.as_slice() {
            [] => f.write_str("; the server accepts nothing else")?,
            methods => write!(f, "; the server accepts {}", methods.join(", "))?,
        }
        if !self.skipped.is_empty() {
            write!(f, "; not offered: {}", self.skipped.join(", "))?;
        }
        f.write_str(
            "; add the public key to authorized_keys there, or name one that it has with IdentityFile",
        )
    }
}

fn offered(tried: &[String]) -> String {
    match tried {
        [] => "there was nothing to offer".to_owned(),
        tried => format!("tried {}", tried.join(", ")),
    }
}

fn listed(attempts: &[Attempt]) -> String {
    let one = |attempt: &Attempt| match &attempt.error {
        Some(error) => format!("{}: {error}", attempt.address.ip()),
        None => attempt.address.ip().to_string(),
    };
    match attempts {
        [] => "no address yet, for its name is still being resolved".to_owned(),
        attempts => attempts.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn family_name(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::Any => "usable",
        AddressFamily::Inet => "IPv4",
        AddressFamily::Inet6 => "IPv6",
    }
}
