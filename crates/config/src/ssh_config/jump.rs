//! `ProxyJump`: hosts to pass through.

use std::fmt;

use super::{Query, value};

/// One host of `ProxyJump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpHost {
    /// The user to log in with there, if given.
    pub user: Option<String>,
    /// Host name, address (without brackets) or alias of the configuration.
    pub host: String,
    /// The port there, if given.
    pub port: Option<u16>,
}

impl fmt::Display for JumpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None if self.host.contains(':') => write!(f, "[{}]", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A destination as it is given to ssh: `[user@]host` or `ssh://[user@]host[:port]`; `None` when it is neither.
pub fn parse_destination(text: &str) -> Option<Query> {
    if let Some(uri) = text.strip_prefix("ssh://") {
        let JumpHost { user, host, port } = parse_uri(uri)?;
        return Some(Query { host, user, port });
    }
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, text),
    };
    let is_sound = !host.is_empty() && user.as_deref() != Some("");
    is_sound.then(|| Query { host: host.to_owned(), user, port: None })
}

/// A comma-separated list; `None` when an element is not `[user@]host[:port]` or `ssh://[user@]host[:port]`.
pub(super) fn parse_list(text: &str) -> Option<Vec<JumpHost>> {
    text.split(',').map(parse_host).collect()
}

/// The list as `ssh -G` prints it: the last host in its own words, those before as they were written.
pub(super) fn written(hosts: &[JumpHost], text: &str) -> Option<String> {
    let last = hosts.last()?;
    let is_address = last.host.contains(':') || last.host.chars().all(|c| c.is_ascii_digit() || c == '.');
    let user = last.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let host = if is_address { format!("[{}]", last.host) } else { last.host.clone() };
    let port = last.port.map(|port| format!(":{port}")).unwrap_or_default();
    let before = text.rsplit_once(',').map(|(before, _)| format!("{before},")).unwrap_or_default();
    Some(format!("{before}{user}{host}{port}"))
}

/// Whether a host name may stand in a command: OpenSSH's `ssh_valid_hostname`, and not empty.
pub(super) fn is_safe_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with('-')
        && host.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"'`\"$\\;&<>|(){},".contains(c))
}

/// Whether a user name may stand in a command: OpenSSH's `ssh_valid_ruser`, and not empty.
pub(super) fn is_safe_user(user: &str) -> bool {
    !user.is_empty()
        && !user.starts_with('-')
        && !user.ends_with('\\')
        && user.chars().all(|c| !c.is_control() && !"'`\";&<>|(){}".contains(c))
        && !user.split_whitespace().skip(1).any(|word| word.starts_with('-'))
}

fn parse_host(text: &str) -> Option<JumpHost> {
    let text = text.trim();
    let jump = match text.strip_prefix("ssh://") {
        Some(uri) => parse_uri(uri)?,
        None => parse_plain(text)?,
    };
    let safe = is_safe_host(&jump.host) && jump.user.as_deref().is_none_or(is_safe_user);
    safe.then_some(jump)
}

fn parse_plain(text: &str) -> Option<JumpHost> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, text),
    };
    let (host, port) = parse_host_port(host)?;
    Some(JumpHost { user, host, port })
}

fn parse_uri(text: &str) -> Option<JumpHost> {
    let (user, rest) = match text.split_once('@') {
        // What follows a semicolon are parameters of the connection, which nobody defines.
        Some((user, rest)) => (Some(percent_decode(user.split(';').next()?)?), rest),
        None => (None, text),
    };
    let (host, port) = parse_host_port(rest.strip_suffix('/').unwrap_or(rest))?;
    Some(JumpHost { user, host, port })
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn parse_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, after) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => match text.find([':', '/']) {
            Some(end) => text.split_at_checked(end)?,
            None => (text, ""),
        },
    };
    let port = match after.strip_prefix(':') {
        Some("") => None,
        Some(port) => Some(value::port(port)?),
        None if after.is_empty() => None,
        None => return None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}
