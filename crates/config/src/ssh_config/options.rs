//! The result: what is set for one host, and the defaults of what is not.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{JumpHost, Warning, algorithm::AlgorithmList};

/// The options of one host. A field is `None` where no source sets it; the method of the same name applies the default
/// of `ssh_config(5)`. Paths and names are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    /// The host as the user wrote it.
    pub original_host: String,
    /// The user who runs this.
    pub local_user: String,
    /// The home directory of that user.
    pub home: PathBuf,

    /// `HostName`: what to connect to.
    pub host_name: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`: the name to log in with.
    pub user: Option<String>,

    /// `IdentityFile`, in order. An empty list is `none`.
    pub identity_file: Option<Vec<PathBuf>>,
    /// `IdentitiesOnly`: offer no key of the agent that is not in `identity_file`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: Option<IdentityAgent>,
    /// `CertificateFile`, in order.
    pub certificate_file: Vec<PathBuf>,

    /// `UserKnownHostsFile`, in order. An empty list is `none`.
    pub user_known_hosts_file: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`, in order. An empty list is `none`.
    pub global_known_hosts_file: Option<Vec<PathBuf>>,
    /// `StrictHostKeyChecking`.
    pub strict_host_key_checking: Option<StrictHostKeyChecking>,
    /// `HostKeyAlias`, in lower case: the name to look up instead of the host's, without a port.
    pub host_key_alias: Option<String>,
    /// `HashKnownHosts`.
    pub hash_known_hosts: Option<bool>,
    /// `RevokedHostKeys`, in order.
    pub revoked_host_keys: Vec<PathBuf>,
    /// `KnownHostsCommand`; `None` also for `none`.
    pub known_hosts_command: Option<KnownHostsCommand>,

    /// `ProxyJump` or `ProxyCommand`, whichever comes first.
    pub proxy: Option<Proxy>,
    /// `ProxyUseFdpass`. Never yes together with a `ProxyCommand`.
    pub proxy_use_fdpass: Option<bool>,
    /// `CanonicalizeHostname`.
    pub canonicalize_hostname: Option<CanonicalizeHostname>,
    /// `CanonicalDomains`. An empty list is `none`.
    pub canonical_domains: Option<Vec<String>>,
    /// `CanonicalizeMaxDots`.
    pub canonicalize_max_dots: Option<u32>,
    /// `CanonicalizeFallbackLocal`.
    pub canonicalize_fallback_local: Option<bool>,
    /// `CanonicalizePermittedCNAMEs`, each `SOURCE:TARGET`. An empty list is `none`.
    pub canonicalize_permitted_cnames: Option<Vec<String>>,
    /// `ConnectTimeout`. Zero is no limit; `None` is one's own default.
    pub connect_timeout: Option<Duration>,
    /// `ServerAliveInterval`.
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub server_alive_count_max: Option<u32>,
    /// `AddressFamily`.
    pub address_family: Option<AddressFamily>,
    /// `BindAddress`.
    pub bind_address: Option<String>,
    /// `BindInterface`.
    pub bind_interface: Option<String>,
    /// `TCPKeepAlive`.
    pub tcp_keep_alive: Option<bool>,
    /// `RekeyLimit`.
    pub rekey_limit: Option<RekeyLimit>,

    /// `KexAlgorithms`.
    pub kex_algorithms: Option<AlgorithmList>,
    /// `Ciphers`.
    pub ciphers: Option<AlgorithmList>,
    /// `MACs`.
    pub macs: Option<AlgorithmList>,
    /// `HostKeyAlgorithms`.
    pub host_key_algorithms: Option<AlgorithmList>,
    /// `CASignatureAlgorithms`.
    pub ca_signature_algorithms: Option<AlgorithmList>,
    /// `PubkeyAcceptedAlgorithms`.
    pub pubkey_accepted_algorithms: Option<AlgorithmList>,
    /// `RequiredRSASize`, in bits.
    pub required_rsa_size: Option<u32>,

    /// `Tunnel`.
    pub tunnel: Option<Tunnel>,
    /// `TunnelDevice`.
    pub tunnel_device: Option<TunnelDevice>,
    /// `ExitOnForwardFailure`.
    pub exit_on_forward_failure: Option<bool>,

    /// `ForkAfterAuthentication`.
    pub fork_after_authentication: Option<bool>,
    /// `LocalCommand`, for the user's shell after each time the tunnel is up. `None` also for `none`, and where
    /// `PermitLocalCommand` does not allow it.
    pub local_command: Option<LocalCommand>,
    /// `PermitLocalCommand`.
    pub permit_local_command: Option<bool>,

    /// `PreferredAuthentications`: methods with commas between them.
    pub preferred_authentications: Option<String>,
    /// `NumberOfPasswordPrompts`.
    pub number_of_password_prompts: Option<u32>,
    /// `KbdInteractiveDevices`.
    pub kbd_interactive_devices: Option<String>,
    /// `BatchMode`: ask nothing.
    pub batch_mode: Option<bool>,
    /// `PasswordAuthentication`.
    pub password_authentication: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub kbd_interactive_authentication: Option<bool>,
    /// `PubkeyAuthentication`.
    pub pubkey_authentication: Option<PubkeyAuthentication>,

    /// `Tag`.
    pub tag: Option<String>,
    /// `IgnoreUnknown`.
    pub ignore_unknown: Option<String>,

    /// What was passed over on the way.
    pub warnings: Vec<Warning>,
    pub(super) written: Written,
}

/// Values before their tokens are replaced, as `ssh -G` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) identity_file: Vec<String>,
    pub(super) certificate_file: Vec<String>,
    pub(super) identity_agent: Option<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) proxy_jump: Option<String>,
    pub(super) local_command: Option<String>,
    pub(super) known_hosts_command: Option<String>,
}

impl HostOptions {
    pub(super) const DEFAULT_IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

    /// What to connect to: `HostName`, else the host as written; names in lower case.
    pub fn host_name(&self) -> &str {
        self.host_name.as_deref().unwrap_or(&self.original_host)
    }

    /// The port: 22 unless set.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(22)
    }

    /// The name to log in with: the local user's unless set.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(&self.local_user)
    }

    /// The private keys to try: `id_ed25519`, `id_ecdsa` and `id_rsa` of `~/.ssh` unless set.
    pub fn identity_file(&self) -> Vec<PathBuf> {
        self.or_in_home(&self.identity_file, &Self::DEFAULT_IDENTITIES)
    }

    /// Whether only the keys of [`Self::identity_file`] may be offered: no unless set.
    pub fn identities_only(&self) -> bool {
        self.identities_only.unwrap_or(false)
    }

    /// The agent: that of `SSH_AUTH_SOCK` unless set.
    pub fn identity_agent(&self) -> IdentityAgent {
        self.identity_agent.clone().unwrap_or(IdentityAgent::Environment)
    }

    /// The user's known hosts: `known_hosts` and `known_hosts2` of `~/.ssh` unless set. New keys go to the first.
    pub fn user_known_hosts_file(&self) -> Vec<PathBuf> {
        self.or_in_home(&self.user_known_hosts_file, &["known_hosts", "known_hosts2"])
    }

    /// The system's known hosts: `ssh_known_hosts` and `ssh_known_hosts2` of `/etc/ssh` unless set.
    pub fn global_known_hosts_file(&self) -> Vec<PathBuf> {
        self.global_known_hosts_file.clone().unwrap_or_else(|| {
            ["ssh_known_hosts", "ssh_known_hosts2"]
                .iter()
                .map(|name| Path::new("/etc/ssh").join(name))
                .collect()
        })
    }

    /// What to do about unknown host keys: ask unless set; in batch mode nobody can be asked, so then it is yes.
    pub fn strict_host_key_checking(&self) -> StrictHostKeyChecking {
        match self.strict_host_key_checking.unwrap_or(StrictHostKeyChecking::Ask) {
            StrictHostKeyChecking::Ask if self.batch_mode() => StrictHostKeyChecking::Yes,
            other => other,
        }
    }

    /// Whether names go into known hosts hashed: no unless set.
    pub fn hash_known_hosts(&self) -> bool {
        self.hash_known_hosts.unwrap_or(false)
    }

    /// How to reach the host: directly unless set.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap_or(&Proxy::Direct)
    }

    /// After how much silence to ask the server for a sign of life; zero, the default, is never.
    pub fn server_alive_interval(&self) -> Duration {
        self.server_alive_interval.unwrap_or(Duration::ZERO)
    }

    /// How many of those questions may stay unanswered: 3 unless set.
    pub fn server_alive_count_max(&self) -> u32 {
        self.server_alive_count_max.unwrap_or(3)
    }

    /// Which addresses to use: any unless set.
    pub fn address_family(&self) -> AddressFamily {
        self.address_family.unwrap_or(AddressFamily::Any)
    }

    /// When to change session keys: as the cipher demands unless set.
    pub fn rekey_limit(&self) -> RekeyLimit {
        self.rekey_limit.unwrap_or_default()
    }

    /// Which tunnel to open: none unless set.
    pub fn tunnel(&self) -> Tunnel {
        self.tunnel.unwrap_or(Tunnel::No)
    }

    /// The devices at both ends: `any:any` unless set.
    pub fn tunnel_device(&self) -> TunnelDevice {
        self.tunnel_device.unwrap_or_default()
    }

    /// Whether a refused tunnel ends the connection: no unless set.
    pub fn exit_on_forward_failure(&self) -> bool {
        self.exit_on_forward_failure.unwrap_or(false)
    }

    /// Whether nothing may be asked: no unless set.
    pub fn batch_mode(&self) -> bool {
        self.batch_mode.unwrap_or(false)
    }

    /// Whether to try a password: yes unless set, and never in batch mode.
    pub fn password_authentication(&self) -> bool {
        self.password_authentication.unwrap_or(true) && !self.batch_mode()
    }

    /// Whether to try keyboard-interactive: yes unless set, and never in batch mode.
    pub fn kbd_interactive_authentication(&self) -> bool {
        self.kbd_interactive_authentication.unwrap_or(true) && !self.batch_mode()
    }

    /// Whether to try keys: yes unless set.
    pub fn pubkey_authentication(&self) -> bool {
        self.pubkey_authentication != Some(PubkeyAuthentication::No)
    }

    /// Whether TCP looks for dead peers by itself: yes unless set.
    pub fn tcp_keep_alive(&self) -> bool {
        self.tcp_keep_alive.unwrap_or(true)
    }

    /// How often a person is asked for a password: 3 times unless set.
    pub fn number_of_password_prompts(&self) -> u32 {
        self.number_of_password_prompts.unwrap_or(3)
    }

    fn or_in_home(&self, set: &Option<Vec<PathBuf>>, names: &[&str]) -> Vec<PathBuf> {
        set.clone().unwrap_or_else(|| {
            let directory = self.home.join(".ssh");
            names.iter().map(|name| directory.join(name)).collect()
        })
    }
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// `none`: no agent.
    None,
    /// `SSH_AUTH_SOCK`: the socket that this variable of the environment names, if it is set.
    Environment,
    /// The socket at this path.
    Socket(PathBuf),
}

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Refuse unknown and changed keys.
    Yes,
    /// Store unknown keys, refuse changed ones.
    AcceptNew,
    /// Ask about unknown keys, refuse changed ones.
    Ask,
    /// Store unknown keys.
    No,
}

/// `KnownHostsCommand`: a program that prints lines as in a known hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHostsCommand {
    /// The program and its arguments, tokens and all.
    pub words: Vec<String>,
    /// What tokens stand for, but for those that are about a key: `%f`, `%H`, `%I`, `%K` and `%t`.
    pub tokens: BTreeMap<char, String>,
}

/// `LocalCommand`, of which only the name of the interface is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCommand {
    /// What stands between the places of `%T`.
    pub(super) parts: Vec<String>,
}

impl LocalCommand {
    /// The command, with the name of the tunnel's interface for `%T`.
    pub fn with_interface(&self, name: &str) -> String {
        self.parts.join(name)
    }
}

/// `CanonicalizeHostname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanonicalizeHostname {
    /// `no`.
    No,
    /// `yes`: of hosts that are reached directly.
    Yes,
    /// `always`.
    Always,
}

/// `PubkeyAuthentication`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PubkeyAuthentication {
    /// `no`.
    No,
    /// `yes`.
    Yes,
    /// `unbound`: without OpenSSH's extension that binds signatures to the host, which is not spoken here.
    Unbound,
    /// `host-bound`.
    HostBound,
}

/// How the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// By a connection of our own.
    Direct,
    /// `ProxyJump`: through these hosts, the first one first. Never empty. Each has options of its own in the
    /// configuration files; `-o` options are not theirs.
    Jump(Vec<JumpHost>),
    /// `ProxyCommand`: over the standard input and output of this command, for the user's shell to `exec`.
    Command(String),
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// `any`.
    Any,
    /// `inet`: IPv4 only.
    Inet,
    /// `inet6`: IPv6 only.
    Inet6,
}

/// `RekeyLimit`: session keys change at the first of both limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RekeyLimit {
    /// Bytes in one direction; `None` is what the cipher demands.
    pub bytes: Option<u64>,
    /// Time since the last change; `None` is no limit.
    pub interval: Option<Duration>,
}

/// `Tunnel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// `no`.
    No,
    /// `point-to-point` or `yes`.
    PointToPoint,
    /// `ethernet`.
    Ethernet,
}

/// `TunnelDevice`: the number in the device's name at either end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TunnelDevice {
    /// Here.
    pub local: TunnelUnit,
    /// At the peer.
    pub remote: TunnelUnit,
}

/// One end of `TunnelDevice`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TunnelUnit {
    /// The next free device.
    #[default]
    Any,
    /// This one, at most 0x7ffffffd.
    Number(u32),
}
