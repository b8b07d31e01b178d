use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use russh_channels::keys::{Certificate, PrivateKey, PublicKey};
use tapline_frame::Mode;

use crate::Tuning;
use crate::algorithms::{LEAST_RSA_BITS, REKEY_BYTES, REKEY_TIME};

/// How a server behaves: `sshd_config`'s words, resolved. Files that a log-in needs are named here and read anew for
/// each attempt, so that what they take back is taken back at once.
#[derive(Debug, Clone)]
pub struct Options {
    /// At least one; see [`super::load_host_key`].
    pub host_keys: Vec<PrivateKey>,
    /// Each belongs to one of the host keys and is offered before it.
    pub host_certificates: Vec<Certificate>,
    pub permit_tunnel: PermitTunnel,
    /// In OpenSSH's format. A file that never existed has no lines; one that cannot be read, or that others could have
    /// written, ends the reading: neither the files after it, nor `accept`, nor trusted authorities let anybody in.
    pub authorized_keys_files: Vec<PathBuf>,
    /// Files of authorities whose certificates admit the users they name (`TrustedUserCAKeys`).
    pub trusted_user_ca_keys: Vec<PathBuf>,
    /// Principals of which those certificates have to name one, in the place of the user (`AuthorizedPrincipalsFile`).
    pub authorized_principals_file: Option<PathBuf>,
    /// Keys and certificates that are revoked (`RevokedKeys`). A file that cannot be used lets nobody in.
    pub revoked_keys: Option<PathBuf>,
    /// Keys that are authorized without a file, under a name.
    pub accept: Vec<AcceptedKey>,
    /// Bits of an RSA key's modulus below which a client's key is refused, and its certificate's authority likewise.
    pub required_rsa_size: u32,
    /// User names that may log in; `None` is any, as no account of this host is involved. Certificates that are valid for
    /// users by name then let nobody in.
    pub permit_users: Option<Vec<String>>,
    /// How long a client may take to authenticate; zero is for ever.
    pub login_grace_time: Duration,
    pub max_startups: MaxStartups,
    /// Unauthenticated connections from one source at a time.
    pub per_source_max_startups: usize,
    /// `None` switches penalties off.
    pub per_source_penalties: Option<Penalties>,
    /// Who gets none.
    pub per_source_penalty_exempt_list: Vec<IpNet>,
    /// What one source is.
    pub per_source_net_block_size: NetBlockSize,
    /// Rejected attempts to authenticate before the connection ends.
    pub max_auth_tries: usize,
    /// Connections at a time, authenticated ones included; each has a thread. Fewer where the process may not have the
    /// descriptors for so many.
    pub max_connections: usize,
    pub client_alive: Option<ClientAlive>,
    pub rekey: RekeyLimit,
    pub tuning: Tuning,
}

/// A key that `server.accept` of the configuration names.
#[derive(Debug, Clone)]
pub struct AcceptedKey {
    pub name: String,
    pub key: PublicKey,
    /// The user name that has to go with the key; `None` takes those that no other entry with this key has.
    pub user: Option<String>,
}

/// `PerSourceNetBlockSize`: addresses that are the same in so many leading bits are one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetBlockSize {
    pub ipv4: u8,
    pub ipv6: u8,
}

/// `PermitTunnel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PermitTunnel {
    #[default]
    No,
    PointToPoint,
    Ethernet,
    Yes,
}

/// `MaxStartups`, start:rate:full: from `start` unauthenticated connections on, new ones are dropped with a probability
/// that grows from `rate` per cent to certainty at `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxStartups {
    pub start: usize,
    pub rate: u8,
    pub full: usize,
}

/// `PerSourcePenalties`: for how long a source is kept out after what one of its connections did. Penalties add up, up
/// to `max`, and bite once they reach `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Penalties {
    /// The session ended by a fault of ours that the client may have caused.
    pub crash: Duration,
    /// Authentication was tried and failed.
    pub auth_fail: Duration,
    /// The user may not log in.
    pub invalid_user: Duration,
    /// The connection ended without an attempt.
    pub no_auth: Duration,
    pub grace_exceeded: Duration,
    pub min: Duration,
    pub max: Duration,
    /// Sources remembered; beyond it the penalty that ends first is forgotten.
    pub max_sources: usize,
}

/// `ClientAliveInterval` and `ClientAliveCountMax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAlive {
    pub interval: Duration,
    /// Requests without any answer before the connection ends; zero is no limit.
    pub count_max: usize,
}

/// `RekeyLimit`: bytes in either direction, and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimit {
    pub bytes: u64,
    pub time: Duration,
}

impl Options {
    /// OpenSSH's defaults, and nobody who may log in.
    pub fn new(host_keys: Vec<PrivateKey>) -> Self {
        Self {
            host_keys,
            host_certificates: Vec::new(),
            permit_tunnel: PermitTunnel::default(),
            authorized_keys_files: Vec::new(),
            trusted_user_ca_keys: Vec::new(),
            authorized_principals_file: None,
            revoked_keys: None,
            accept: Vec::new(),
            required_rsa_size: LEAST_RSA_BITS,
            permit_users: None,
            login_grace_time: Duration::from_secs(120),
            max_startups: MaxStartups::default(),
            per_source_max_startups: 10,
            per_source_penalties: Some(Penalties::default()),
            per_source_penalty_exempt_list: Vec::new(),
            per_source_net_block_size: NetBlockSize::default(),
            max_auth_tries: 6,
            max_connections: 1024,
            client_alive: None,
            rekey: RekeyLimit::default(),
            tuning: Tuning::default(),
        }
    }
}

impl PermitTunnel {
    pub fn permits(self, mode: Mode) -> bool {
        match self {
            Self::No => false,
            Self::PointToPoint => mode == Mode::PointToPoint,
            Self::Ethernet => mode == Mode::Ethernet,
            Self::Yes => true,
        }
    }
}

impl Default for NetBlockSize {
    /// One host can make addresses in the whole of an IPv6 /64.
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl Default for MaxStartups {
    fn default() -> Self {
        Self { start: 10, rate: 30, full: 100 }
    }
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            crash: Duration::from_secs(90),
            auth_fail: Duration::from_secs(5),
            invalid_user: Duration::from_secs(5),
            no_auth: Duration::from_secs(1),
            grace_exceeded: Duration::from_secs(10),
            min: Duration::from_secs(15),
            max: Duration::from_secs(600),
            max_sources: 65_536,
        }
    }
}

impl Default for RekeyLimit {
    fn default() -> Self {
        Self { bytes: REKEY_BYTES, time: REKEY_TIME }
    }
}
