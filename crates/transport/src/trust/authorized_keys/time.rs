//! Times of `expiry-time`.

use jiff::{civil::DateTime, tz::TimeZone};

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, of `zone` or with `Z` or `UTC` of UTC; in seconds since 1970.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Option<u64> {
    let upper = text.to_ascii_uppercase();
    let (digits, zone) = match upper.strip_suffix('Z').or_else(|| upper.strip_suffix("UTC")) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (upper.as_str(), zone),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let has_time = match digits.len() {
        8 => false,
        12 | 14 => true,
        _ => return None,
    };
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize, to: usize| i8::try_from(part(from, to)?).ok();
    let time = DateTime::new(
        part(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        if has_time { small(8, 10)? } else { 0 },
        if has_time { small(10, 12)? } else { 0 },
        if digits.len() == 14 { small(12, 14)? } else { 0 },
        0,
    )
    .ok()?;
    let seconds = zone.to_timestamp(time).ok()?.as_second();
    // Zero would be "no expiry" to OpenSSH, which refuses it.
    u64::try_from(seconds).ok().filter(|&seconds| seconds > 0)
}
