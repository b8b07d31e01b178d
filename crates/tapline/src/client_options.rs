//! From resolved `ssh_config` options to those of the SSH client.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tapline_config::Link;
use tapline_config::ssh_config::{self, AlgorithmList, HostOptions, IdentityAgent, JumpHost, Query, Warning};
use tapline_transport::Tuning;
use tapline_transport::client::{
    AddressFamily, AlgorithmKind, Algorithms, HostKeyAlgorithms, KnownHostsCommand, Methods, Options, Proxy,
    RekeyLimit,
};
use tapline_transport::trust::host_key::Strictness;
use tapline_transport::trust::known_hosts::Pins;

use crate::ssh_options::{self, SshFiles, SshOptionsError};
use crate::tuning::tuning;

/// A peer silent for so long is asked for a word, and an attempt to connect takes no longer, where nobody says otherwise:
/// a link that is dead and looks alive helps nobody.
pub(crate) const ALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Jump hosts whose own configuration names jump hosts, and so on, end here.
const MAX_JUMP_DEPTH: usize = 8;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientOptionsError {
    #[error(transparent)]
    Ssh(#[from] SshOptionsError),
    #[error(
        "jump hosts of jump hosts, {MAX_JUMP_DEPTH} deep: is there a loop of ProxyJump in the SSH configuration?"
    )]
    JumpLoop,
    #[error("{keyword} {written} has no {what} that Tapline knows; it knows {}", known.join(", "))]
    NothingKnown { keyword: &'static str, written: String, what: &'static str, known: Vec<String> },
}

/// The methods of logging in, by their names.
const METHODS: [&str; 3] = ["publickey", "keyboard-interactive", "password"];

/// Host keys for which no known hosts file has room. One for the process: what a link has learnt holds for the next
/// link, and after a reload.
static PINS: OnceLock<Arc<Pins>> = OnceLock::new();

/// Where such keys are kept, from the first call on.
pub(crate) fn keep_pins_in(directory: &Path) {
    PINS.get_or_init(|| Arc::new(Pins::in_directory(directory)));
}

/// The options of a link; it runs unattended, so that nobody is asked anything.
pub(crate) fn of_link(files: &SshFiles, link: &Link) -> Result<Options, ClientOptionsError> {
    let resolved = files.resolve(&ssh_options::options(link), &ssh_options::query(link))?;
    let mut options = Options { batch_mode: true, ..of_host(files, &resolved)? };
    tune(&mut options, &tuning(link.window_limit, &link.congestion));
    Ok(options)
}

/// The options of a host, with those of its jump hosts.
pub(crate) fn of_host(files: &SshFiles, host: &HostOptions) -> Result<Options, ClientOptionsError> {
    convert(files, host, 0)
}

fn convert(files: &SshFiles, host: &HostOptions, depth: usize) -> Result<Options, ClientOptionsError> {
    tell(&host.warnings);
    let limit = host.rekey_limit();
    let default = RekeyLimit::default();
    // 0 is never, for both.
    let some = |time: Duration| (!time.is_zero()).then_some(time);
    Ok(Options {
        port: host.port(),
        address_family: match host.address_family() {
            ssh_config::AddressFamily::Any => AddressFamily::Any,
            ssh_config::AddressFamily::Inet => AddressFamily::Inet,
            ssh_config::AddressFamily::Inet6 => AddressFamily::Inet6,
        },
        bind_address: host.bind_address.clone(),
        connect_timeout: some(host.connect_timeout.unwrap_or(CONNECT_TIMEOUT)),
        bind_interface: host.bind_interface.clone(),
        tcp_keep_alive: host.tcp_keep_alive(),
        proxy: match host.proxy() {
            ssh_config::Proxy::Direct => Proxy::Direct,
            ssh_config::Proxy::Command(command) => Proxy::Command(command.clone()),
            ssh_config::Proxy::Jump(jumps) => Proxy::Jump(hops(files, jumps, depth)?),
        },
        host_key_alias: host.host_key_alias.clone(),
        user_known_hosts_files: host.user_known_hosts_file(),
        global_known_hosts_files: host.global_known_hosts_file(),
        strict_host_key_checking: match host.strict_host_key_checking() {
            ssh_config::StrictHostKeyChecking::Yes => Strictness::Yes,
            ssh_config::StrictHostKeyChecking::AcceptNew => Strictness::AcceptNew,
            ssh_config::StrictHostKeyChecking::Ask => Strictness::Ask,
            ssh_config::StrictHostKeyChecking::No => Strictness::No,
        },
        hash_known_hosts: host.hash_known_hosts(),
        known_hosts_command: host.known_hosts_command.as_ref().map(|command| KnownHostsCommand {
            words: command.words.clone(),
            tokens: command.tokens.clone(),
        }),
        revoked_host_keys: host.revoked_host_keys.clone(),
        algorithms: algorithms(host)?,
        required_rsa_size: host.required_rsa_size.unwrap_or_else(least_rsa_size),
        pins: PINS.get().cloned().unwrap_or_default(),
        identity_files: host.identity_file(),
        certificate_files: host.certificate_file.clone(),
        identities_only: host.identities_only(),
        identity_agent: match host.identity_agent() {
            IdentityAgent::None => None,
            IdentityAgent::Environment => std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            IdentityAgent::Socket(path) => Some(path),
        },
        methods: Methods {
            public_key: host.pubkey_authentication(),
            keyboard_interactive: host.kbd_interactive_authentication(),
            password: host.password_authentication(),
        },
        preferred_authentications: preferred_authentications(host)?,
        number_of_password_prompts: host.number_of_password_prompts(),
        kbd_interactive_devices: host.kbd_interactive_devices.clone(),
        batch_mode: host.batch_mode(),
        server_alive_interval: some(host.server_alive_interval.unwrap_or(ALIVE_INTERVAL)),
        server_alive_count_max: host.server_alive_count_max(),
        // The name of the interface is known when there is one.
        local_command: host
            .local_command
            .as_ref()
            .map(|command| command.with_interface("\0").replace('%', "%%").replace('\0', "%T")),
        rekey_limit: RekeyLimit {
            bytes: limit.bytes.unwrap_or(default.bytes),
            interval: limit.interval.unwrap_or(default.interval),
        },
        ..Options::new(host.host_name(), host.user())
    })
}

/// What Tapline asks for when nobody says anything, in bits; ssh asks for less.
pub(crate) fn least_rsa_size() -> u32 {
    Options::new("", "").required_rsa_size
}

/// Says what is not honoured; what concerns no tunnel in one line.
pub(crate) fn tell(warnings: &[Warning]) {
    let mut passed_over = Vec::new();
    for warning in warnings {
        match warning {
            Warning::NotHonoured { .. } => tracing::warn!("{warning}"),
            Warning::PassedOver { .. } => passed_over.push(warning.to_string()),
        }
    }
    if !passed_over.is_empty() {
        tracing::info!("passed over, as no tunnel needs them: {}", passed_over.join(", "));
    }
}

/// The lists of algorithms that are set, with what `+`, `-` and `^` make of them.
pub(crate) fn algorithms(host: &HostOptions) -> Result<Algorithms, ClientOptionsError> {
    let chosen = |keyword, list: &Option<AlgorithmList>, kind: AlgorithmKind| {
        let Some(list) = list else { return Ok(None) };
        let (defaults, known) = (kind.defaults(), kind.known());
        let names = list.apply(&texts(&defaults), &texts(&known));
        match names.is_empty() {
            true => Err(ClientOptionsError::NothingKnown {
                keyword,
                written: list.to_string(),
                what: "algorithm",
                known,
            }),
            false => Ok(Some(names)),
        }
    };
    let host_key = chosen("HostKeyAlgorithms", &host.host_key_algorithms, AlgorithmKind::HostKey)?;
    let ordered = host.host_key_algorithms.as_ref().is_some_and(AlgorithmList::sets_the_order);
    Ok(Algorithms {
        key_exchange: chosen("KexAlgorithms", &host.kex_algorithms, AlgorithmKind::KeyExchange)?,
        cipher: chosen("Ciphers", &host.ciphers, AlgorithmKind::Cipher)?,
        mac: chosen("MACs", &host.macs, AlgorithmKind::Mac)?,
        host_key: host_key.map(|names| HostKeyAlgorithms { names, ordered }),
        ca_signature: chosen(
            "CASignatureAlgorithms",
            &host.ca_signature_algorithms,
            AlgorithmKind::CaSignature,
        )?,
        public_key: chosen(
            "PubkeyAcceptedAlgorithms",
            &host.pubkey_accepted_algorithms,
            AlgorithmKind::PublicKey,
        )?,
    })
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn preferred_authentications(host: &HostOptions) -> Result<Option<Vec<String>>, ClientOptionsError> {
    let Some(written) = &host.preferred_authentications else { return Ok(None) };
    let names: Vec<String> = written.split(',').map(str::to_owned).collect();
    match names.iter().any(|name| METHODS.contains(&name.as_str())) {
        true => Ok(Some(names)),
        false => Err(ClientOptionsError::NothingKnown {
            keyword: "PreferredAuthentications",
            written: written.clone(),
            what: "method",
            known: METHODS.map(str::to_owned).to_vec(),
        }),
    }
}

/// `ssh_config` has no words for this, so that the link alone says it. With jump hosts the TCP connection is the first
/// one's.
fn tune(options: &mut Options, tuning: &Tuning) {
    options.tuning = tuning.clone();
    if let Proxy::Jump(hops) = &mut options.proxy {
        for hop in hops {
            tune(hop, tuning);
        }
    }
}

fn hops(files: &SshFiles, jumps: &[JumpHost], depth: usize) -> Result<Vec<Options>, ClientOptionsError> {
    if depth == MAX_JUMP_DEPTH {
        return Err(ClientOptionsError::JumpLoop);
    }
    let mut hops = Vec::new();
    for jump in jumps {
        let query = Query { host: jump.host.clone(), user: jump.user.clone(), port: jump.port };
        hops.push(convert(files, &files.resolve(&[], &query)?, depth + 1)?);
    }
    Ok(hops)
}

#[cfg(test)]
mod tests;
