use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Algorithms, KnownHostsCommand, Secrets};
use crate::Tuning;
use crate::algorithms::{LEAST_RSA_BITS, REKEY_BYTES, REKEY_TIME};
use crate::trust::host_key::Strictness;
use crate::trust::known_hosts::Pins;

/// Everything that one connection needs to know. Paths are expanded and defaults applied: neither `ssh_config` nor the
/// environment is consulted here.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name or address to connect to: an IPv6 address without brackets, with `%zone` where it needs one.
    pub host: String,
    pub port: u16,
    /// The name to log in with.
    pub user: String,
    pub address_family: AddressFamily,
    /// Where connections come from: a name or address of this machine.
    pub bind_address: Option<String>,
    /// Connections leave through this interface alone.
    pub bind_interface: Option<String>,
    /// TCP looks for dead peers by itself.
    pub tcp_keep_alive: bool,
    /// Limits the time until the server has shown its host key, and that of each jump host likewise. `None` leaves TCP to
    /// the kernel, and the SSH handshake to [`HANDSHAKE_LIMIT`].
    pub connect_timeout: Option<Duration>,
    pub proxy: Proxy,
    /// Asked before connections to the addresses that the host was found to have.
    pub outside: Option<Arc<dyn KeepOutside>>,

    /// Looked up in known hosts instead of host and port.
    pub host_key_alias: Option<String>,
    /// New host keys go to the first.
    pub user_known_hosts_files: Vec<PathBuf>,
    pub global_known_hosts_files: Vec<PathBuf>,
    pub strict_host_key_checking: Strictness,
    /// New host keys are stored under a hashed name.
    pub hash_known_hosts: bool,
    /// Prints lines of known hosts, after those of the files; when it fails nobody is trusted.
    pub known_hosts_command: Option<KnownHostsCommand>,
    /// Host keys that are refused, in key revocation lists or as lines of keys; a file that cannot be read refuses all.
    pub revoked_host_keys: Vec<PathBuf>,
    /// Where new host keys are kept that the known hosts file does not take. Shared by all connections of a process.
    pub pins: Arc<Pins>,

    pub algorithms: Algorithms,

    /// Private keys, or public keys whose private half the agent has. A missing file is passed over; a certificate in
    /// `FILE-cert.pub` is used with its key.
    pub identity_files: Vec<PathBuf>,
    pub certificate_files: Vec<PathBuf>,
    /// Offers no key of the agent that is not in `identity_files` or `certificate_files`.
    pub identities_only: bool,
    /// The agent's socket.
    pub identity_agent: Option<PathBuf>,
    pub methods: Methods,
    /// Bits of an RSA key's modulus below which a host key is refused and a key of one's own is not offered.
    pub required_rsa_size: u32,
    /// What was typed before, and is not asked for again.
    pub secrets: Arc<Secrets>,
    /// The names of the methods in the order in which they are tried, and no others; names of other methods count for
    /// nothing.
    pub preferred_authentications: Option<Vec<String>>,
    /// How often a person is asked, by each method.
    pub number_of_password_prompts: u32,
    /// The devices of keyboard-interactive that the server is asked for.
    pub kbd_interactive_devices: Option<String>,
    /// Asks nobody anything, whatever the [`Prompter`](super::Prompter) could.
    pub batch_mode: bool,

    /// After how much silence the server is asked for a sign of life. `None` is never.
    pub server_alive_interval: Option<Duration>,
    /// After how many unanswered questions the session ends; 0 is never.
    pub server_alive_count_max: u32,
    pub rekey_limit: RekeyLimit,
    pub tuning: Tuning,

    /// `LocalCommand`, for whoever keeps the tunnel to run once it is up; nothing here does. `%T` stands for the tunnel's
    /// interface, `%%` for a percent sign.
    pub local_command: Option<String>,
}

/// Sees to it that connections do not go through the tunnel that they carry.
pub trait KeepOutside: std::fmt::Debug + Send + Sync {
    /// Ready when a connection to any of `servers` may be tried.
    fn keep_outside<'a>(&'a self, servers: &'a [IpAddr]) -> BoxFuture<'a, ()>;
}

/// What a peer may take between our hello and its host key when [`Options::connect_timeout`] is not set.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressFamily {
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// How the host is reached.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    #[default]
    Direct,
    /// `ProxyJump`: through these hosts, the first one first. Only the first one's own `proxy` counts.
    Jump(Vec<Options>),
    /// `ProxyCommand`: over the standard input and output of this command of the shell.
    Command(String),
}

/// Authentication methods that may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    pub public_key: bool,
    pub keyboard_interactive: bool,
    pub password: bool,
}

/// Session keys change at the first of both limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimit {
    /// In one direction.
    pub bytes: u64,
    /// Since the last change.
    pub interval: Duration,
}

impl Options {
    /// What an administrator wants to know of a log-in that fails.
    pub(super) fn tell(&self) {
        let Self { host, port, user, .. } = self;
        let listed = |files: &[PathBuf]| {
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            if files.is_empty() { "none".to_owned() } else { files.join(" ") }
        };
        tracing::debug!(
            "logging in to {host} port {port} as {user}: IdentityFile {}, CertificateFile {}, IdentitiesOnly {}, IdentityAgent {}, \
             HostKeyAlias {}, UserKnownHostsFile {}, GlobalKnownHostsFile {}, StrictHostKeyChecking {:?}, BatchMode {}, methods {:?}",
            listed(&self.identity_files),
            listed(&self.certificate_files),
            self.identities_only,
            self.identity_agent.as_ref().map_or("none".to_owned(), |socket| socket.display().to_string()),
            self.host_key_alias.as_deref().unwrap_or("none"),
            listed(&self.user_known_hosts_files),
            listed(&self.global_known_hosts_files),
            self.strict_host_key_checking,
            self.batch_mode,
            self.methods,
        );
    }

    /// Port 22, no identity, no known hosts, and unknown host keys asked about.
    pub fn new(host: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 22,
            user: user.into(),
            address_family: AddressFamily::Any,
            bind_address: None,
            bind_interface: None,
            tcp_keep_alive: true,
            connect_timeout: None,
            proxy: Proxy::Direct,
            outside: None,
            host_key_alias: None,
            user_known_hosts_files: Vec::new(),
            global_known_hosts_files: Vec::new(),
            strict_host_key_checking: Strictness::Ask,
            hash_known_hosts: false,
            known_hosts_command: None,
            revoked_host_keys: Vec::new(),
            pins: Arc::default(),
            algorithms: Algorithms::default(),
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            identities_only: false,
            identity_agent: None,
            methods: Methods::default(),
            required_rsa_size: LEAST_RSA_BITS,
            secrets: Arc::default(),
            preferred_authentications: None,
            number_of_password_prompts: 3,
            kbd_interactive_devices: None,
            batch_mode: false,
            server_alive_interval: None,
            server_alive_count_max: 3,
            rekey_limit: RekeyLimit::default(),
            tuning: Tuning::default(),
            local_command: None,
        }
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self { public_key: true, keyboard_interactive: true, password: true }
    }
}

impl Default for RekeyLimit {
    fn default() -> Self {
        Self { bytes: REKEY_BYTES, interval: REKEY_TIME }
    }
}
