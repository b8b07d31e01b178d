//! The options before a key.

use jiff::tz::TimeZone;
use ssh_key::public::KeyData;
use tapline_device::Unit;
use thiserror::Error;

use super::{
    super::network::{AddressPatterns, NetworkError},
    time,
};

/// What the options of a key say, as far as it concerns a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyOptions {
    /// `restrict`
    pub(super) is_restricted: bool,
    /// `cert-authority`
    pub(super) is_authority: bool,
    /// `tunnel="..."`
    pub(super) tunnel: Option<Unit>,
    /// `from="..."`
    pub(super) from: Option<AddressPatterns>,
    /// `expiry-time="..."`: the last second in which the key may be used, since 1970.
    pub(super) expiry: Option<u64>,
    /// `principals="..."`
    pub(super) principals: Option<Vec<String>>,
    /// `no-touch-required`, unless `touch-required` comes later.
    pub(super) needs_no_touch: bool,
    /// `verify-required`, unless `no-verify-required` comes later.
    needs_verification: bool,
}

/// Why the options of a key refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionError {
    /// An option nobody knows. Something that should be restricted would not be.
    #[error("the option {0} is not known; correct or remove it")]
    Unknown(String),
    /// An option that OpenSSH knows and that cannot be honoured here.
    #[error("the option {option} cannot be honoured: {reason}")]
    NotHonoured {
        /// The option.
        option: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An option given twice.
    #[error("the option {0} is given twice; remove one")]
    Repeated(&'static str),
    /// `environment=` that sets no variable.
    #[error("environment=\"{0}\" sets no variable; write NAME=value")]
    Environment(String),
    /// `permitopen=` or `permitlisten=` without a host and a port.
    #[error("{option}=\"{value}\" is not host:port; a port is a number or *")]
    Permit {
        /// The option.
        option: &'static str,
        /// What it says.
        value: String,
    },
    /// `cert-authority` beside a principal, which has no key.
    #[error("the option {0} is for keys; remove it from the line of a principal")]
    OfPrincipal(&'static str),
    /// An option without the value it needs.
    #[error("the option {0} needs a value; write {0}=\"...\"")]
    MissingValue(&'static str),
    /// A value for an option that has none.
    #[error("the option {0} takes no value; remove it")]
    UnexpectedValue(String),
    /// A value that is not in quotes, or whose quote is not closed.
    #[error("the value of the option {0} is not in double quotes; write {0}=\"...\"")]
    Quotes(String),
    /// Something else where an option's name or a comma should be.
    #[error("an option is damaged; separate options with commas, and write blanks in quotes alone")]
    Damaged,
    /// `tunnel=` with neither a number nor `any`.
    #[error("tunnel=\"{0}\" is neither any nor a number up to {max}", max = Unit::MAX)]
    Tunnel(String),
    /// `from=` with a damaged list.
    #[error("the option from is damaged: {0}")]
    From(#[from] NetworkError),
    /// `expiry-time=` that is no time.
    #[error("expiry-time=\"{0}\" is no time; write YYYYMMDD or YYYYMMDDHHMM, and Z for UTC")]
    Expiry(String),
    /// `principals=` on a key that is no authority.
    #[error("the option principals is for certificates; add cert-authority or remove it")]
    PrincipalsOfKey,
    /// A key in a security token, whose touch cannot be verified.
    #[error(
        "the key is in a security token whose touch cannot be verified; add no-touch-required to accept it without"
    )]
    Touch,
}

impl KeyOptions {
    /// What holds for an authority without options.
    pub(super) fn authority() -> Self {
        Self { is_authority: true, ..Self::default() }
    }

    /// The options of a line with `key`.
    pub(super) fn parse(text: &str, key: &KeyData, zone: &TimeZone) -> Result<Self, OptionError> {
        let options = Self::parse_list(text, zone)?;
        if options.principals.is_some() && !options.is_authority {
            return Err(OptionError::PrincipalsOfKey);
        }
        if options.needs_verification && (options.is_authority || is_token(key)) {
            return Err(VERIFICATION);
        }
        match is_token(key) && !options.is_authority && !options.needs_no_touch {
            true => Err(OptionError::Touch),
            false => Ok(options),
        }
    }

    /// The options before a principal.
    pub(super) fn of_principal(text: &str, zone: &TimeZone) -> Result<Self, OptionError> {
        let options = Self::parse_list(text, zone)?;
        match options {
            Self { is_authority: true, .. } => Err(OptionError::OfPrincipal("cert-authority")),
            Self { principals: Some(_), .. } => Err(OptionError::OfPrincipal("principals")),
            Self { needs_verification: true, .. } => Err(VERIFICATION),
            options => Ok(options),
        }
    }

    /// As sshd reads them: between commas there may be nothing, and a comma may be the last.
    fn parse_list(text: &str, zone: &TimeZone) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(more) = rest.strip_prefix(',') {
                rest = more;
                continue;
            }
            let (name, value, after) = next_option(rest)?;
            options.apply(name, value, zone)?;
            rest = match after.strip_prefix(',') {
                Some(more) => more,
                None if after.is_empty() => after,
                None => return Err(OptionError::Damaged),
            };
        }
        Ok(options)
    }

    fn apply(&mut self, name: &str, value: Option<String>, zone: &TimeZone) -> Result<(), OptionError> {
        let lower = name.to_ascii_lowercase();
        let flag = |value: &Option<String>| match value {
            None => Ok(()),
            Some(_) => Err(OptionError::UnexpectedValue(lower.clone())),
        };
        match lower.as_str() {
            "restrict" => {
                flag(&value)?;
                self.is_restricted = true;
            }
            "cert-authority" => {
                flag(&value)?;
                self.is_authority = true;
            }
            "no-touch-required" | "touch-required" => {
                flag(&value)?;
                self.needs_no_touch = lower == "no-touch-required";
            }
            // Of keys in security tokens alone, as in sshd.
            "verify-required" | "no-verify-required" => {
                flag(&value)?;
                self.needs_verification = lower == "verify-required";
            }
            // These allow or forbid what does not exist here; `tunnel` is not among what `restrict` gives back.
            "port-forwarding"
            | "agent-forwarding"
            | "x11-forwarding"
            | "pty"
            | "user-rc"
            | "no-port-forwarding"
            | "no-agent-forwarding"
            | "no-x11-forwarding"
            | "no-pty"
            | "no-user-rc" => flag(&value)?,
            // No port is ever opened and no program started, so what these limit or set never comes up.
            "permitopen" => check_permit("permitopen", required("permitopen", value)?)?,
            "permitlisten" => check_permit("permitlisten", required("permitlisten", value)?)?,
            "environment" => check_environment(required("environment", value)?)?,
            // As in sshd the last counts.
            "tunnel" => self.tunnel = Some(parse_unit(required("tunnel", value)?)?),
            "from" => {
                let patterns = AddressPatterns::parse(&required("from", value)?)?;
                set_once("from", &mut self.from, patterns)?;
            }
            "expiry-time" => {
                let text = required("expiry-time", value)?;
                let expiry = time::parse(&text, zone).ok_or(OptionError::Expiry(text))?;
                // As in OpenSSH the earliest counts.
                self.expiry = Some(self.expiry.map_or(expiry, |earlier| earlier.min(expiry)));
            }
            "principals" => {
                let names = required("principals", value)?.split(',').map(str::to_owned).collect();
                set_once("principals", &mut self.principals, names)?;
            }
            "command" => {
                return Err(OptionError::NotHonoured {
                    option: "command",
                    reason: "Tapline runs no programs for a peer; remove it, or keep the key to sshd",
                });
            }
            // Cut, because the line may be anything.
            _ => return Err(OptionError::Unknown(name.chars().take(40).collect())),
        }
        Ok(())
    }
}

/// Splits a line into its options and what follows: the options end at the first blank outside quotes, and a backslash
/// before a quote takes its meaning away, in quotes and outside.
pub(super) fn split_line(line: &str) -> Result<(&str, &str), OptionError> {
    let mut quoted = false;
    let mut characters = line.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if matches!(characters.peek(), Some((_, '"'))) => drop(characters.next()),
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                return line.split_at_checked(index).ok_or(OptionError::Damaged);
            }
            _ => {}
        }
    }
    match quoted {
        true => Err(OptionError::Quotes(last_name(line))),
        false => Ok((line, "")),
    }
}

/// Whether the private key is in a security token.
pub(crate) fn is_token(key: &KeyData) -> bool {
    matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_))
}

const VERIFICATION: OptionError = OptionError::NotHonoured {
    option: "verify-required",
    reason: "what a security token verified cannot be seen here; use another key",
};

/// An option's name, its value, and what follows it.
fn next_option(text: &str) -> Result<(&str, Option<String>, &str), OptionError> {
    let end = text.find(['=', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).ok_or(OptionError::Damaged)?;
    if name.is_empty() || name.contains('"') {
        return Err(OptionError::Damaged);
    }
    let Some(value) = rest.strip_prefix('=') else {
        return Ok((name, None, rest));
    };
    let quotes = || OptionError::Quotes(name.chars().take(40).collect());
    let mut characters = value.strip_prefix('"').ok_or_else(quotes)?.chars();
    let mut dequoted = String::new();
    loop {
        match characters.next().ok_or_else(quotes)? {
            '"' => return Ok((name, Some(dequoted), characters.as_str())),
            // A backslash escapes a quote and nothing else.
            '\\' if characters.as_str().starts_with('"') => {
                characters.next();
                dequoted.push('"');
            }
            character => dequoted.push(character),
        }
    }
}

fn parse_unit(text: String) -> Result<Unit, OptionError> {
    if text.eq_ignore_ascii_case("any") {
        return Ok(Unit::Any);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|&unit| digits && unit <= Unit::MAX)
        .map(Unit::Number)
        .ok_or(OptionError::Tunnel(text))
}

/// `host:port`, or of `permitlisten` a port alone; the host may be in brackets.
fn check_permit(option: &'static str, value: String) -> Result<(), OptionError> {
    let bare_port = option == "permitlisten" && !value.contains(':');
    let port = match value.strip_prefix('[') {
        _ if bare_port => Some(value.as_str()),
        Some(rest) => rest.split_once(']').and_then(|(_, port)| port.strip_prefix([':', '/'])),
        None => value.split_once([':', '/']).map(|(_, port)| port),
    };
    let is_port = |port: &str| {
        port == "*"
            || port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match port.is_some_and(is_port) {
        true => Ok(()),
        false => Err(OptionError::Permit { option, value }),
    }
}

fn check_environment(value: String) -> Result<(), OptionError> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match value.split_once('=').is_some_and(|(name, _)| is_name(name)) {
        true => Ok(()),
        false => Err(OptionError::Environment(value)),
    }
}

fn required(name: &'static str, value: Option<String>) -> Result<String, OptionError> {
    value.ok_or(OptionError::MissingValue(name))
}

fn set_once<T>(name: &'static str, slot: &mut Option<T>, value: T) -> Result<(), OptionError> {
    match slot.replace(value) {
        Some(_) => Err(OptionError::Repeated(name)),
        None => Ok(()),
    }
}

/// The name before the quote that is not closed, for the message.
fn last_name(line: &str) -> String {
    let before = line.rsplit_once("=\"").map_or(line, |(before, _)| before);
    before.rsplit(',').next().unwrap_or(before).chars().take(40).collect()
}
