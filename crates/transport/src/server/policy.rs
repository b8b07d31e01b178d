//! Whether a channel may be opened. Pure.

use russh_channels::tunnel::OpenAnswer;
use tapline_device::Unit;
use tapline_frame::records::{self, BundleMember};
use tapline_frame::{Mode, Offloads, tunnel as stock};

use super::PermitTunnel;
use crate::trust::authorized_keys::TunnelGrant;
use crate::tunnel::Dialect;

const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const RESOURCE_SHORTAGE: u32 = 4;

/// What OpenSSH's server says before it refuses a tunnel; its clients show nothing else.
const REJECTED: &str = "Server has rejected tunnel device forwarding";
const NO_DEVICE: &str = "Failed to open the tunnel device.";

/// A tunnel that a peer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) dialect: Dialect,
    pub(super) mode: Mode,
    pub(super) unit: Unit,
    /// In bytes, if the peer says it.
    pub(super) mtu: Option<u32>,
    /// What the peer takes beyond ordinary frames.
    pub(super) takes: Offloads,
    /// The bundle that the peer wants the tunnel to be of.
    pub(super) bundle: Option<BundleMember>,
}

/// Why a channel is not opened. The text is for this host's log; the peer hears [`Refusal::answer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a channel that is no tunnel")]
    NoTunnel,
    #[error("a tunnel before authentication")]
    NotAuthenticated,
    #[error(transparent)]
    Stock(#[from] stock::OpenError),
    #[error(transparent)]
    Native(#[from] records::OpenError),
    #[error("permit-tunnel does not permit it")]
    NotPermitted(Dialect),
    #[error("the key is restricted and may open no tunnel")]
    Restricted(Dialect),
    #[error("the key's tunnel option is for another device")]
    OtherDevice(Dialect),
    #[error("the session has {0} tunnels, which is the limit")]
    TooMany(usize),
    #[error("no device: {reason}")]
    NoDevice { dialect: Dialect, reason: String },
}

/// Reads an open message. `kind` is `None` for the types that RFC 4254 defines.
pub(super) fn parse(kind: Option<&str>, payload: &[u8]) -> Result<Wanted, Refusal> {
    match kind {
        Some(stock::CHANNEL_TYPE) => {
            let open = stock::Open::decode(payload)?;
            let unit = unit(open.unit);
            Ok(Wanted {
                dialect: Dialect::Stock,
                mode: open.mode,
                unit,
                mtu: None,
                takes: Offloads::NONE,
                bundle: None,
            })
        }
        Some(records::CHANNEL_TYPE) => {
            let open = records::Open::decode(payload)?;
            let records::Open { mode, mtu, features: takes, bundle, .. } = open;
            Ok(Wanted { dialect: Dialect::Native, mode, unit: unit(open.unit), mtu, takes, bundle })
        }
        _ => Err(Refusal::NoTunnel),
    }
}

/// The device that the tunnel gets, and whether it is the key's own line of authorized_keys that names it.
pub(super) fn decide(
    permit: PermitTunnel,
    grant: TunnelGrant,
    wanted: &Wanted,
) -> Result<(Unit, bool), Refusal> {
    let dialect = wanted.dialect;
    if !permit.permits(wanted.mode) {
        return Err(Refusal::NotPermitted(dialect));
    }
    if grant == TunnelGrant::No {
        return Err(Refusal::Restricted(dialect));
    }
    let unit = grant.unit(wanted.unit).map_err(|_| Refusal::OtherDevice(dialect))?;
    Ok((unit, matches!(grant, TunnelGrant::Forced(Unit::Number(_)))))
}

impl Refusal {
    /// As OpenSSH's server refuses, where the channel is OpenSSH's; with the reason in plain text where it is ours.
    pub(super) fn answer(&self) -> OpenAnswer {
        match self {
            Self::NoTunnel => refuse(
                ADMINISTRATIVELY_PROHIBITED,
                "only tunnels are served here; use ssh -N -w, or tapline connect".to_owned(),
                None,
            ),
            Self::NotAuthenticated => {
                refuse(ADMINISTRATIVELY_PROHIBITED, "not authenticated".to_owned(), None)
            }
            Self::Stock(stock::OpenError::Mode(_)) => stock_failure("Unsupported tunnel device mode."),
            Self::Stock(_) => stock_failure(NO_DEVICE),
            Self::Native(error) => refuse(CONNECT_FAILED, error.to_string(), None),
            Self::NotPermitted(Dialect::Stock) | Self::Restricted(Dialect::Stock) => stock_failure(REJECTED),
            Self::OtherDevice(Dialect::Stock) => stock_failure(NO_DEVICE),
            Self::NoDevice { dialect: Dialect::Stock, reason } => {
                stock_failure(&format!("{NO_DEVICE} {reason}"))
            }
            Self::NotPermitted(Dialect::Native)
            | Self::Restricted(Dialect::Native)
            | Self::OtherDevice(Dialect::Native) => {
                refuse(ADMINISTRATIVELY_PROHIBITED, format!("{REJECTED}: {self}"), None)
            }
            Self::TooMany(_) => refuse(RESOURCE_SHORTAGE, self.to_string(), Some(self.to_string())),
            Self::NoDevice { dialect: Dialect::Native, reason } => {
                refuse(CONNECT_FAILED, format!("{NO_DEVICE} {reason}"), None)
            }
        }
    }
}

fn stock_failure(debug: &str) -> OpenAnswer {
    refuse(CONNECT_FAILED, "open failed".to_owned(), Some(debug.to_owned()))
}

fn refuse(reason: u32, description: String, debug: Option<String>) -> OpenAnswer {
    OpenAnswer::Refuse { reason, description, debug }
}

fn unit(number: Option<u32>) -> Unit {
    number.map_or(Unit::Any, Unit::Number)
}

#[cfg(test)]
mod tests;
