//! Lengths of time in OpenSSH's format.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::InvalidValue;
use crate::diagnostic::quoted;
use crate::schema::Scalar;

/// Longest time in seconds, as in OpenSSH: about 68 years.
const LONGEST: u64 = i32::MAX as u64;

/// A time as in "TIME FORMATS" of `sshd_config(5)`: `600`, `10m`, `1h30m`, `2w`; a bare number counts seconds.
///
/// # Errors
/// When the text is no such time, or one beyond 2^31-1 seconds.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidValue> {
    let invalid = || {
        InvalidValue::new(
            format!("{} is not a length of time", quoted(text)),
            "write seconds, or a number with s, m, h, d or w: `600`, `10m`, `1h30m`",
        )
    };
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, unit) = rest.split_at_checked(digits).ok_or_else(invalid)?;
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let seconds = match unit.chars().next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 60 * 60,
            Some('d' | 'D') => 24 * 60 * 60,
            Some('w' | 'W') => 7 * 24 * 60 * 60,
            Some(_) => return Err(invalid()),
        };
        let part = number.checked_mul(seconds).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST).ok_or_else(invalid)?;
        rest = unit.get(1..).unwrap_or_default();
    }
    if text.is_empty() { Err(invalid()) } else { Ok(Duration::from_secs(total)) }
}

impl Scalar for Duration {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        parse_duration(text)
    }

    fn to_json(&self) -> Json {
        self.as_secs().into()
    }

    fn schema() -> Json {
        json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^([0-9]+[sSmMhHdDwW]?)+$" })
    }
}
