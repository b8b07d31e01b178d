//! Values of single options. Each parser says `None` to what is not a value.

use std::time::Duration;

use super::options::{
    AddressFamily, CanonicalizeHostname, PubkeyAuthentication, StrictHostKeyChecking, Tunnel, TunnelDevice,
    TunnelUnit,
};

/// The largest number of a tunnel device; the two above it mean `any` and an error on the wire.
const LARGEST_UNIT: u32 = 0x7fff_fffd;

pub(super) fn flag(text: &str) -> Option<bool> {
    choice(text, &[("yes", true), ("true", true), ("no", false), ("false", false)])
}

pub(super) fn pubkey_authentication(text: &str) -> Option<PubkeyAuthentication> {
    choice(
        text,
        &[
            ("yes", PubkeyAuthentication::Yes),
            ("true", PubkeyAuthentication::Yes),
            ("no", PubkeyAuthentication::No),
            ("false", PubkeyAuthentication::No),
            ("unbound", PubkeyAuthentication::Unbound),
            ("host-bound", PubkeyAuthentication::HostBound),
        ],
    )
}

pub(super) fn canonicalize_hostname(text: &str) -> Option<CanonicalizeHostname> {
    choice(
        text,
        &[
            ("yes", CanonicalizeHostname::Yes),
            ("true", CanonicalizeHostname::Yes),
            ("no", CanonicalizeHostname::No),
            ("false", CanonicalizeHostname::No),
            ("always", CanonicalizeHostname::Always),
        ],
    )
}

/// Letters, digits, `-`, `_` and single dots.
pub(super) fn is_domain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !text.contains("..")
}

pub(super) fn strict_host_key_checking(text: &str) -> Option<StrictHostKeyChecking> {
    choice(
        text,
        &[
            ("yes", StrictHostKeyChecking::Yes),
            ("true", StrictHostKeyChecking::Yes),
            ("accept-new", StrictHostKeyChecking::AcceptNew),
            ("ask", StrictHostKeyChecking::Ask),
            ("no", StrictHostKeyChecking::No),
            ("off", StrictHostKeyChecking::No),
            ("false", StrictHostKeyChecking::No),
        ],
    )
}

pub(super) fn address_family(text: &str) -> Option<AddressFamily> {
    choice(
        text,
        &[("any", AddressFamily::Any), ("inet", AddressFamily::Inet), ("inet6", AddressFamily::Inet6)],
    )
}

pub(super) fn tunnel(text: &str) -> Option<Tunnel> {
    choice(
        text,
        &[
            ("ethernet", Tunnel::Ethernet),
            ("point-to-point", Tunnel::PointToPoint),
            ("yes", Tunnel::PointToPoint),
            ("true", Tunnel::PointToPoint),
            ("no", Tunnel::No),
            ("false", Tunnel::No),
        ],
    )
}

/// `local[:remote]`, each a number or `any`; a missing remote is `any`.
pub(super) fn tunnel_device(text: &str) -> Option<TunnelDevice> {
    let (local, remote) = text.split_once(':').unwrap_or((text, "any"));
    Some(TunnelDevice { local: tunnel_unit(local)?, remote: tunnel_unit(remote)? })
}

pub(super) fn port(text: &str) -> Option<u16> {
    number::<u16>(text).filter(|&port| port > 0)
}

pub(super) fn count(text: &str) -> Option<u32> {
    number::<u32>(text).filter(|&count| i32::try_from(count).is_ok())
}

/// What [`time`] takes.
pub(super) const TIME: &str = "none or a time such as 30, 90s or 1h30m";

/// `TIME FORMATS` of `sshd_config(5)`: numbers with s, m, h, d or w, added up; a number alone is seconds. There is one
/// number of seconds at most, whose fraction does not count.
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut total = 0u64;
    let mut has_seconds = false;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(end)?;
        let mut characters = after.chars();
        let unit = match characters.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        if unit == 1 && std::mem::replace(&mut has_seconds, true) {
            return None;
        }
        let whole = match digits.split_once('.') {
            None => digits,
            Some((whole, fraction)) if unit == 1 && !fraction.is_empty() => {
                number::<u64>(fraction)?;
                if whole.is_empty() { "0" } else { whole }
            }
            Some(_) => return None,
        };
        total = number::<u64>(whole)?.checked_mul(unit)?.checked_add(total)?;
        rest = characters.as_str();
    }
    (!text.is_empty() && total <= i32::MAX as u64).then(|| Duration::from_secs(total))
}

/// The bytes of `RekeyLimit`, at least 16, with K, M, G or T; 0 is `default`.
pub(super) fn rekey_bytes(text: &str) -> Option<u64> {
    match text {
        "default" => Some(0),
        scaled => scaled_bytes(scaled).filter(|bytes| !(1..16).contains(bytes)),
    }
}

fn tunnel_unit(text: &str) -> Option<TunnelUnit> {
    if text.eq_ignore_ascii_case("any") {
        return Some(TunnelUnit::Any);
    }
    number::<u32>(text).filter(|&unit| unit <= LARGEST_UNIT).map(TunnelUnit::Number)
}

fn scaled_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.strip_prefix(digits)?;
    let shift = match suffix.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number::<u64>(digits)?.checked_mul(1 << shift)
}

/// Digits alone: neither sign nor blank.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|&(_, value)| value)
}
