//! The accepting side: from the configuration's words to a running server.

use std::path::{Path, PathBuf};

use russh_channels::keys::PublicKey;
use tapline_config::{self as config, PathPattern, PermitTunnel as Permit};
use tapline_transport::server::{
    self as ssh, AcceptedKey, BindError, ClientAlive, DeviceRequest, HostKeyError, Listener, MaxStartups,
    NetBlockSize, Options, Penalties, PermitTunnel, RekeyLimit, ServeError, ServerHandle,
};
use tokio::sync::mpsc;

use crate::tuning::tuning;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("accept: {name}: {error}; paste the line of the peer's .pub file")]
    AcceptedKey { name: String, error: String },
    #[error("server: the path {0} has a percent token; only `~` is replaced here, write the rest out")]
    Token(String),
    #[error("server: the path {0} has a variable; none is replaced here, write its value out")]
    Variable(String),
    #[error(
        "server: the path {0} begins with somebody's home; only `~/` is replaced here, write the rest out"
    )]
    OtherHome(String),
    #[error("server: `~` in {0} needs HOME; write the path out")]
    Home(String),
}

/// Loads or creates the host keys, binds what can be bound, and serves; also tells why other addresses cannot be had.
/// Events of sessions go to `events`.
pub(crate) fn start(
    config: &config::Server,
    requests: mpsc::Sender<DeviceRequest>,
    events: mpsc::UnboundedSender<ssh::Event>,
) -> Result<(ServerHandle, Vec<BindError>), ServerError> {
    let options = options(config)?;
    let (listener, missing) = Listener::bind_available(&config.listen);
    Ok((ssh::serve(listener, options, requests, events)?, missing))
}

/// Reads host keys, and creates those that are missing.
pub(crate) fn options(config: &config::Server) -> Result<Options, ServerError> {
    let mut host_keys = Vec::new();
    for pattern in &config.host_keys {
        host_keys.push(ssh::create_host_key(&path(pattern)?)?);
    }
    let mut host_certificates = Vec::new();
    for pattern in &config.host_certificates {
        host_certificates.push(ssh::load_host_certificate(&path(pattern)?)?);
    }
    let mut options = Options::new(host_keys);
    options.host_certificates = host_certificates;
    options.permit_tunnel = match config.permit_tunnel.unwrap_or(Permit::No) {
        Permit::No => PermitTunnel::No,
        Permit::PointToPoint => PermitTunnel::PointToPoint,
        Permit::Ethernet => PermitTunnel::Ethernet,
        Permit::Yes => PermitTunnel::Yes,
    };
    options.authorized_keys_files = paths(&config.authorized_keys_files)?;
    options.trusted_user_ca_keys = paths(&config.trusted_user_ca_keys)?;
    options.authorized_principals_file = config.authorized_principals_file.as_ref().map(path).transpose()?;
    options.revoked_keys = config.revoked_keys.as_ref().map(path).transpose()?;
    for (name, accept) in &config.accept {
        let Some(key) = &accept.public_key else { continue };
        let wrong = |error: String| ServerError::AcceptedKey { name: name.to_string(), error };
        let key = PublicKey::from_bytes(key.blob()).map_err(|error| wrong(error.to_string()))?;
        let user = accept.user.as_ref().map(|user| user.as_str().to_owned());
        options.accept.push(AcceptedKey { name: name.to_string(), key, user });
    }
    options.permit_users =
        config.permit_user.as_ref().map(|users| users.iter().map(|user| user.as_str().to_owned()).collect());
    options.login_grace_time = config.login_grace_time;
    options.max_startups = MaxStartups {
        start: config.max_startups.start as usize,
        rate: u8::try_from(config.max_startups.rate).unwrap_or(100),
        full: config.max_startups.full as usize,
    };
    options.per_source_penalties = config.per_source_penalties.then(Penalties::default);
    options.per_source_penalty_exempt_list =
        config.per_source_penalty_exempt_list.iter().map(|block| block.net()).collect();
    let bits = |bits: u32| u8::try_from(bits).unwrap_or(u8::MAX);
    options.per_source_net_block_size = NetBlockSize {
        ipv4: bits(config.per_source_net_block_size.ipv4),
        ipv6: bits(config.per_source_net_block_size.ipv6),
    };
    options.max_auth_tries = config.max_auth_tries.get() as usize;
    options.client_alive = (!config.client_alive_interval.is_zero()).then_some(ClientAlive {
        interval: config.client_alive_interval,
        count_max: config.client_alive_count_max as usize,
    });
    let default = RekeyLimit::default();
    options.rekey = RekeyLimit {
        bytes: config.rekey_limit.bytes.unwrap_or(default.bytes),
        time: config.rekey_limit.time.unwrap_or(default.time),
    };
    options.tuning = tuning(config.window_limit, &config.congestion);
    Ok(options)
}

fn paths(patterns: &[PathPattern]) -> Result<Vec<PathBuf>, ServerError> {
    patterns.iter().map(path).collect()
}

/// The server's files belong to the daemon and to no user that logs in, so that only `~` has a meaning.
pub(crate) fn path(pattern: &PathPattern) -> Result<PathBuf, ServerError> {
    let text = pattern.as_str().replace("%%", "\0");
    if text.contains("${") {
        return Err(ServerError::Variable(pattern.to_string()));
    }
    if text.starts_with('~') && !text.starts_with("~/") {
        return Err(ServerError::OtherHome(pattern.to_string()));
    }
    if text.contains('%') {
        return Err(ServerError::Token(pattern.to_string()));
    }
    let text = text.replace('\0', "%");
    match text.strip_prefix("~/") {
        None => Ok(PathBuf::from(text)),
        Some(rest) => {
            let home = std::env::var_os("HOME").ok_or_else(|| ServerError::Home(pattern.to_string()))?;
            Ok(Path::new(&home).join(rest))
        }
    }
}

#[cfg(test)]
mod tests;
