//! The names of a host, in the forms in which files may have them.
//!
//! One address has many spellings, and a revocation must not depend on which of them somebody chose. So addresses are
//! compared, and stored, in one form: that of RFC 5952, IPv4 in dotted decimal, an IPv4-mapped address as the IPv4
//! address that it is. What was typed is looked up as well, since other programs may have stored that.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Host;

/// What a host may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// With the port, where that is not SSH's own. The first one is the one to store.
    pub(super) own: Vec<String>,
    /// Without the port.
    pub(super) plain: Vec<String>,
    /// Under any of these a key may be revoked: also without an address's zone or a name's last dot.
    pub(super) revocable: Vec<String>,
}

impl Names {
    pub(super) fn of(host: &Host<'_>) -> Self {
        let plain = match host.alias {
            // An alias is whatever its user likes, with no port and no address to it.
            Some(alias) => unique([alias.to_ascii_lowercase(), alias.to_owned()]),
            None => unique(spellings(host.name)),
        };
        let with_port = |name: &String| match host.has_port() {
            true => format!("[{name}]:{}", host.port),
            false => name.clone(),
        };
        let own: Vec<String> = plain.iter().map(with_port).collect();
        let wider: Vec<String> = plain.iter().map(|name| widened(name)).collect();
        let revocable = unique(
            own.iter().chain(&plain).cloned().chain(wider.iter().map(with_port)).chain(wider.iter().cloned()),
        );
        Self { own, plain, revocable }
    }
}

/// The one form of a name or an address, in lower case.
pub(super) fn canonical(name: &str) -> String {
    match Address::parse(name) {
        Some(address) => address.to_text(),
        None => name.to_ascii_lowercase(),
    }
}

/// A pattern of the file in the form of [`canonical`], where it stands for one address or for a name with SSH's own port.
pub(super) fn canonical_pattern(pattern: &str) -> String {
    let (sign, name) = match pattern.strip_prefix('!') {
        Some(name) => ("!", name),
        None => ("", pattern),
    };
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
    let name = match bracketed {
        Some((name, "" | ":22")) => canonical(name),
        Some((name, port)) => format!("[{}]{port}", canonical(name)),
        None => canonical(name),
    };
    format!("{sign}{name}")
}

fn spellings(name: &str) -> Vec<String> {
    let typed = name.to_ascii_lowercase();
    match Address::parse(name) {
        Some(address) => {
            let as_ssh_has_it = address.mapped.map(|mapped| mapped.to_string());
            [Some(address.to_text()), as_ssh_has_it, Some(typed)].into_iter().flatten().collect()
        }
        None => vec![typed],
    }
}

/// Without the zone or the last dot.
fn widened(name: &str) -> String {
    match Address::parse(name) {
        Some(address) => address.ip.to_string(),
        None => name.strip_suffix('.').unwrap_or(name).to_owned(),
    }
}

fn unique(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

struct Address {
    ip: IpAddr,
    /// As it was written, if it was written as IPv6 and is IPv4.
    mapped: Option<Ipv6Addr>,
    zone: Option<String>,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (text, zone) = match text.split_once('%') {
            Some((text, zone)) if !zone.is_empty() => (text, Some(zone)),
            Some(_) => return None,
            None => (text, None),
        };
        if zone.is_none()
            && let Some(ip) = parse_v4(text)
        {
            return Some(Self { ip: ip.into(), mapped: None, zone: None });
        }
        let v6: Ipv6Addr = text.parse().ok()?;
        match v6.to_ipv4_mapped() {
            Some(v4) => Some(Self { ip: v4.into(), mapped: Some(v6), zone: None }),
            None => Some(Self { ip: v6.into(), mapped: None, zone: zone.map(zone_name) }),
        }
    }

    fn to_text(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.ip),
            None => self.ip.to_string(),
        }
    }
}

/// The interface's name for its number, as `getnameinfo` has it, in lower case as all names here are.
fn zone_name(zone: &str) -> String {
    let name = zone.parse().ok().and_then(|index| nix::net::if_::if_indextoname(index).ok());
    match name.as_ref().and_then(|name| name.to_str().ok()) {
        Some(name) => name.to_ascii_lowercase(),
        None => zone.to_ascii_lowercase(),
    }
}

/// All forms that resolvers take for an IPv4 address (inet_aton(3)): one to four numbers, decimal, octal or hexadecimal,
/// the last one for all bytes that are left.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 {
        return None;
    }
    let mut address: u32 = 0;
    for (place, part) in bytes.iter().enumerate() {
        let byte = u8::try_from(parse_number(part)?).ok()?;
        address |= u32::from(byte) << (24 - 8 * place);
    }
    let rest = parse_number(last)?;
    let room = 32 - 8 * bytes.len();
    if u64::from(rest) >> room != 0 {
        return None;
    }
    Some(Ipv4Addr::from_bits(address | rest))
}

fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
