//! The decision about one peer.

use std::{fmt, net::IpAddr};

use ssh_key::{HashAlg, public::KeyData};
use tapline_device::Unit;
use thiserror::Error;

use super::{
    super::{
        Location, Offered,
        certificate::{self, CertificateError, Principals},
    },
    AuthorizedKeys, Diagnostic, Entry,
    options::{KeyOptions, is_token},
    principals::{PrincipalFound, PrincipalLines},
};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The key or certificate, of which the peer has proved or will prove to have the private key.
    pub offered: Offered<'a>,
    /// The name it logs in with.
    pub user: &'a str,
    /// Whether the name is one of those that may log in here. Otherwise it says nothing, since peers choose it.
    pub is_named: bool,
    /// Where it is.
    pub peer: IpAddr,
    /// The time, in seconds since 1970.
    pub now: u64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may log in.
    Granted(Box<Grant>),
    /// It may not.
    Refused(Refusals),
}

/// What a peer may do, by the first line that lets it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The tunnels it may open.
    pub tunnel: TunnelGrant,
    /// The comment of the line, often the key's name. May be empty.
    pub comment: String,
    /// The line.
    pub location: Location,
    /// The key it has: of a certificate, the key in it.
    pub key: KeyData,
    /// The certificate, if it used one.
    pub certificate: Option<GrantedCertificate>,
}

/// The certificate a peer logged in with, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedCertificate {
    /// Its identity.
    pub key_id: String,
    /// Its serial number.
    pub serial: u64,
    /// When it stops being valid, in seconds since 1970; `u64::MAX` is never.
    pub valid_before: u64,
}

/// Which tunnel devices of this host a key may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelGrant {
    /// None: `restrict`, even beside a `tunnel=`.
    No,
    /// Whichever it asks for: no `tunnel=`.
    Free,
    /// `tunnel="N"` or `tunnel="any"`: this one. A peer that asks for any gets it; one that asks for another is refused,
    /// and with `any` that is everyone who asks for a number.
    Forced(Unit),
}

/// Why a tunnel is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TunnelRefused {
    /// `restrict`.
    #[error("the key is restricted and may open no tunnel")]
    Restricted,
    /// `tunnel=`.
    #[error("the key may not ask for this tunnel device; ask for any")]
    OtherDevice,
}

/// Every line that was about the key and did not let it in. Empty when no line is about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(pub Vec<Refusal>);

/// Why a line did not let a peer in. For the log of this host, not for the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The line as a whole is refused.
    #[error("{0}")]
    Line(Box<Diagnostic>),
    /// `expiry-time`.
    #[error("{location}: the key's expiry-time is over")]
    Expired {
        /// The line.
        location: Location,
    },
    /// `from`.
    #[error(
        "{location}: the key may not be used from {peer}, says its from option (which compares addresses, not names)"
    )]
    From {
        /// The line.
        location: Location,
        /// Where the peer is.
        peer: IpAddr,
    },
    /// The certificate.
    #[error("{location}: {error}")]
    Certificate {
        /// The line of its authority.
        location: Location,
        /// Why.
        error: CertificateError,
    },
}

impl TunnelGrant {
    /// The device that a peer gets that asks for `requested`.
    ///
    /// # Errors
    /// When it may not have that one.
    pub fn unit(self, requested: Unit) -> Result<Unit, TunnelRefused> {
        match (self, requested) {
            (Self::No, _) => Err(TunnelRefused::Restricted),
            (Self::Free, requested) => Ok(requested),
            (Self::Forced(forced), Unit::Any) => Ok(forced),
            (Self::Forced(forced), requested) if forced == requested => Ok(forced),
            (Self::Forced(_), _) => Err(TunnelRefused::OtherDevice),
        }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no authorized_keys line is about this key");
        }
        for (index, refusal) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}

/// The first line that lets the peer in, as in OpenSSH; later lines about the same key still count when an earlier one
/// does not, unless the earlier one is refused as a whole.
pub(super) fn authorize(keys: &AuthorizedKeys, request: &Request<'_>) -> Decision {
    let wanted = match request.offered {
        Offered::Key(key) => key,
        Offered::Certificate(certificate) => certificate.signature_key(),
    };
    let by_certificate = matches!(request.offered, Offered::Certificate(_));
    let text = super::base64(wanted);
    let refused: Vec<(usize, &Diagnostic)> =
        keys.diagnostics.iter().enumerate().filter(|(_, line)| line.is_about(wanted, &text)).collect();
    let mut refusals = Vec::new();
    for entry in &keys.entries {
        if &entry.key != wanted || entry.is_authority != by_certificate {
            continue;
        }
        // What the refused line would have limited, a later one must not set free.
        if refused.iter().any(|(index, _)| *index < entry.after) {
            break;
        }
        match check(entry, keys.principals.as_ref(), request) {
            Ok(options) => return Decision::Granted(Box::new(grant(entry, options, request))),
            Err(refusal) => refusals.push(refusal),
        }
    }
    refusals.extend(refused.into_iter().map(|(_, line)| Refusal::Line(Box::new(line.clone()))));
    Decision::Refused(Refusals(refusals))
}

/// The options that limit the peer.
fn check<'a>(
    entry: &'a Entry,
    principals: Option<&'a PrincipalLines>,
    request: &Request<'_>,
) -> Result<&'a KeyOptions, Refusal> {
    check_limits(&entry.options, &entry.location, request)?;
    let Offered::Certificate(certificate) = request.offered else {
        return Ok(&entry.options);
    };
    let refused = |error| Refusal::Certificate { location: entry.location.clone(), error };
    let key_id = || certificate::key_id(certificate);
    let (wanted, options) = match (&entry.options.principals, principals) {
        (Some(names), _) => (Principals::OneOf(names), &entry.options),
        (None, Some(lines)) if entry.is_listed => match lines.of(certificate.valid_principals()) {
            PrincipalFound::Line(line) => {
                check_limits(&line.options, &line.location, request)?;
                (Principals::OneOf(std::slice::from_ref(&line.name)), &line.options)
            }
            PrincipalFound::Refused(diagnostic) => {
                return Err(Refusal::Line(Box::new(diagnostic.clone())));
            }
            PrincipalFound::None => {
                let name = "a principal of authorized-principals-file".to_owned();
                return Err(refused(CertificateError::NotAPrincipal { key_id: key_id(), name }));
            }
        },
        (None, _) if request.is_named => (Principals::User(request.user), &entry.options),
        (None, _) => return Err(refused(CertificateError::AnyUser { key_id: key_id() })),
    };
    certificate::check_user(certificate, &entry.key, wanted, request.peer, request.now).map_err(refused)?;
    let needs_no_touch = options.needs_no_touch && certificate.extensions().contains_key("no-touch-required");
    match is_token(certificate.public_key()) && !needs_no_touch {
        true => Err(refused(CertificateError::Touch { key_id: key_id() })),
        false => Ok(options),
    }
}

fn check_limits(options: &KeyOptions, location: &Location, request: &Request<'_>) -> Result<(), Refusal> {
    if options.expiry.is_some_and(|expiry| request.now > expiry) {
        return Err(Refusal::Expired { location: location.clone() });
    }
    if options.from.as_ref().is_some_and(|from| !from.allow(request.peer)) {
        return Err(Refusal::From { location: location.clone(), peer: request.peer });
    }
    Ok(())
}

fn grant(entry: &Entry, options: &KeyOptions, request: &Request<'_>) -> Grant {
    let certificate = match request.offered {
        Offered::Key(_) => None,
        Offered::Certificate(certificate) => Some(GrantedCertificate {
            key_id: certificate::key_id(certificate),
            serial: certificate.serial(),
            valid_before: certificate.valid_before(),
        }),
    };
    Grant {
        tunnel: match (options.is_restricted, options.tunnel) {
            (true, _) => TunnelGrant::No,
            (false, None) => TunnelGrant::Free,
            (false, Some(unit)) => TunnelGrant::Forced(unit),
        },
        comment: entry.comment.clone(),
        location: entry.location.clone(),
        key: request.offered.key().clone(),
        certificate,
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.key.fingerprint(HashAlg::Sha256), self.location)?;
        match &self.certificate {
            Some(certificate) => {
                write!(f, ", certificate \"{}\" serial {}", certificate.key_id, certificate.serial)
            }
            None => Ok(()),
        }
    }
}
