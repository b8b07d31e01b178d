//! Hosts, users and the ways to reach them, in OpenSSH's spelling.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::{InvalidValue, text_scalar};
use crate::diagnostic::{Report, quoted};
use crate::document::{Content, Node};
use crate::schema::{Definitions, Element, Scalar};

/// The name of a host, its address without brackets, or a `Host` alias of `ssh_config`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

/// The name with which somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// `[user@]host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostTarget {
    /// The part before the `@`.
    pub user: Option<UserName>,
    /// The host.
    pub host: HostName,
}

/// `[user@]host[:port]`, one station of a `proxy-jump`; an IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jump {
    /// The part before the `@`.
    pub user: Option<UserName>,
    /// The host.
    pub host: HostName,
    /// The port.
    pub port: Option<NonZeroU16>,
}

/// Through which hosts a link goes, the first one first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProxyJump {
    /// `none`: straight, whatever `ssh_config` says.
    None,
    /// Through these, at least one.
    Through(Vec<Jump>),
}

/// The command whose standard input and output are the connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProxyCommand {
    /// `none`: a socket, whatever `ssh_config` says.
    None,
    /// This command, for the user's shell, with the percent tokens of `ssh_config(5)` still to be replaced.
    Command(String),
}

impl FromStr for HostName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = |hint: &str| Err(InvalidValue::new(format!("{} is not a host", quoted(text)), hint));
        if text.is_empty() || text.len() > 255 {
            return wrong("write a name, an address, or a `Host` of ssh_config");
        }
        if text.starts_with(['[', '-']) || text.contains("://") {
            return wrong("write the bare name or address, without brackets, options or `ssh://`");
        }
        if text.contains([
            '/', '@', '\'', '"', '`', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}', '*', '?',
        ]) || text.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return wrong("a name of a host has letters, digits, `.`, `-` and `_`");
        }
        if text.contains(':')
            && text.split('%').next().is_none_or(|a| a.parse::<std::net::Ipv6Addr>().is_err())
        {
            return wrong("the port has a key of its own: `port: 2222`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for UserName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let is_sound = !text.is_empty()
            && text.len() <= 255
            && !text.starts_with('-')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "'`\";&<>|(){}$\\".contains(c));
        if is_sound {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new(
            format!("{} is not a user's name", quoted(text)),
            "write it without spaces and quotes",
        ))
    }
}

impl FromStr for HostTarget {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(uri_of_host(text, scheme, rest));
        }
        // OpenSSH looks for the last @: names of users may contain one.
        match text.rsplit_once('@') {
            Some((user, host)) => Ok(Self { user: Some(user.parse()?), host: host.parse()? }),
            None => Ok(Self { user: None, host: text.parse()? }),
        }
    }
}

/// What to write instead of `ssh://user@host:port`.
fn uri_of_host(text: &str, scheme: &str, rest: &str) -> InvalidValue {
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let rest = rest.split('/').next().unwrap_or_default();
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let at = if user.is_empty() { "" } else { "@" };
    let port = port.filter(|port| !port.is_empty()).map(|port| format!(" and `port: {port}`"));
    InvalidValue::new(
        format!("{} is a URI, and a host is wanted", quoted(text)),
        match scheme.eq_ignore_ascii_case("ssh") && !host.is_empty() {
            true => format!("write `host: {user}{at}{host}`{}", port.unwrap_or_default()),
            false => "write the bare name or address, as ssh takes it".to_owned(),
        },
    )
}

impl FromStr for Jump {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bare = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match bare.rsplit_once('@') {
            Some((user, rest)) => (Some(user.parse()?), rest),
            None => (None, bare),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            None if rest.matches(':').count() == 1 => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
            None => (rest, None),
        };
        Ok(Self { user, host: host.parse()?, port: port.map(NonZeroU16::from_text).transpose()? })
    }
}

impl FromStr for ProxyJump {
    type Err = InvalidValue;

    /// `none`, or stations with commas between them.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        text.split(',').map(|jump| jump.trim().parse()).collect::<Result<_, _>>().map(Self::Through)
    }
}

impl FromStr for ProxyCommand {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.trim() {
            "" => Err(InvalidValue::new("the command is empty", "write a command, or `none`")),
            none if none.eq_ignore_ascii_case("none") => Ok(Self::None),
            command => Ok(Self::Command(command.to_owned())),
        }
    }
}

/// A list of stations reads as well as OpenSSH's commas.
impl Element for ProxyJump {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        if !matches!(node.content, Content::List(_)) {
            return Text::parse(node, report).map(|Text(jump)| jump);
        }
        let jumps = Vec::<Jump>::parse(node, report)?;
        if jumps.is_empty() {
            report.error(node.span, "the list of hosts is empty", "write `none` to go straight");
            return None;
        }
        Some(Self::Through(jumps))
    }

    fn to_json(&self) -> Json {
        match self {
            Self::None => "none".into(),
            Self::Through(jumps) => jumps.to_json(),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "anyOf": [{ "type": "string" }, Vec::<Jump>::schema(definitions)] })
    }
}

/// The form with commas.
struct Text(ProxyJump);

impl Scalar for Text {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self)
    }

    fn to_json(&self) -> Json {
        Element::to_json(&self.0)
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl HostName {
    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserName {
    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user}@{}", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.0.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None if self.host.0.contains(':') => write!(f, "[{}]", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl fmt::Display for ProxyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Command(command) => command,
        })
    }
}

text_scalar!(HostTarget, { "type": "string", "minLength": 1 });
text_scalar!(UserName, { "type": "string", "minLength": 1 });
text_scalar!(Jump, { "type": "string", "minLength": 1 });
text_scalar!(ProxyCommand, { "type": "string", "minLength": 1 });
