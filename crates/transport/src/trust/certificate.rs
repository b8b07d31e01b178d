//! Certificates of OpenSSH (its PROTOCOL.certkeys): whether one is valid for a host or a user.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ssh_key::{Algorithm, Certificate, HashAlg, certificate::CertType, public::KeyData};
use thiserror::Error;

use super::{network, pattern};

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Signed by another key than the authority's.
    #[error("certificate \"{key_id}\" is not signed by the trusted authority")]
    OtherAuthority {
        /// The certificate's identity.
        key_id: String,
    },
    /// A user's certificate for a host or the reverse.
    #[error("certificate \"{key_id}\" is not a {expected} certificate; sign it anew with the right type")]
    WrongType {
        /// The certificate's identity.
        key_id: String,
        /// `host` or `user`.
        expected: &'static str,
    },
    /// Its time has not come.
    #[error("certificate \"{key_id}\" is not valid yet; check the clocks")]
    NotYetValid {
        /// The certificate's identity.
        key_id: String,
        /// From when on it is.
        valid_after: u64,
    },
    /// Its time is over.
    #[error("certificate \"{key_id}\" has expired; sign it anew")]
    Expired {
        /// The certificate's identity.
        key_id: String,
        /// Since when it is not.
        valid_before: u64,
    },
    /// No principals: PROTOCOL.certkeys lets that mean everybody, current OpenSSH refuses it.
    #[error("certificate \"{key_id}\" names no principals; sign it anew with -n")]
    NoPrincipals {
        /// The certificate's identity.
        key_id: String,
    },
    /// The principals are others.
    #[error("certificate \"{key_id}\" is not for {name}; its principals are others")]
    NotAPrincipal {
        /// The certificate's identity.
        key_id: String,
        /// The host, the user, or the list it should have been one of.
        name: String,
    },
    /// The name that the user logs in with is what counts, and any name may log in.
    #[error(
        "certificate \"{key_id}\" is for users by name, and here any name may log in; set permit-user or \
         authorized-principals-file, or principals= on the authority's line"
    )]
    AnyUser {
        /// The certificate's identity.
        key_id: String,
    },
    /// A critical option that is unknown or that cannot be honoured.
    #[error("certificate \"{key_id}\" has the critical option {option}, which cannot be honoured here")]
    CriticalOption {
        /// The certificate's identity.
        key_id: String,
        /// The option's name.
        option: String,
    },
    /// The critical option source-address excludes the peer, or is damaged.
    #[error("certificate \"{key_id}\" may not be used from {peer}, says its source-address")]
    SourceAddress {
        /// The certificate's identity.
        key_id: String,
        /// Where the peer is.
        peer: IpAddr,
    },
    /// The key is in a security token whose touch cannot be verified.
    #[error(
        "certificate \"{key_id}\" is for a security token; it and the authority's line need no-touch-required"
    )]
    Touch {
        /// The certificate's identity.
        key_id: String,
    },
    /// An algorithm of the signature that is not trusted any more.
    #[error(
        "certificate \"{key_id}\" is signed with {algorithm}; sign it anew with -t rsa-sha2-512 or another key"
    )]
    WeakSignature {
        /// The certificate's identity.
        key_id: String,
        /// The algorithm.
        algorithm: String,
    },
    /// The signature is wrong.
    #[error("the signature of certificate \"{key_id}\" is wrong")]
    BadSignature {
        /// The certificate's identity.
        key_id: String,
    },
}

/// Which principals of a user's certificate count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principals<'a> {
    /// The name the user logs in with.
    User(&'a str),
    /// One of these.
    OneOf(&'a [String]),
}

/// Whether `certificate`, signed by `authority`, is valid for `host` at the time `now`.
///
/// The principals of host certificates may have wildcards, as in OpenSSH. A host certificate has no critical options.
///
/// # Errors
/// The first reason why not.
pub fn check_host(
    certificate: &Certificate,
    authority: &KeyData,
    host: &str,
    now: u64,
) -> Result<(), CertificateError> {
    check_common(certificate, authority, CertType::Host, now)?;
    let host = host.to_ascii_lowercase();
    if !certificate.valid_principals().iter().any(|principal| pattern::matches(&host, principal)) {
        return Err(CertificateError::NotAPrincipal { key_id: key_id(certificate), name: host });
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(CertificateError::CriticalOption {
            key_id: key_id(certificate),
            option: quotable(option),
        });
    }
    Ok(())
}

/// Whether `certificate`, signed by `authority`, is valid at the time `now` for a user who logs in from `peer`.
///
/// Extensions are not looked at, as the tunnel channel of OpenSSH does not consult them either: what
/// `permit-port-forwarding` and its like allow does not exist here. The one exception is no-touch-required.
///
/// # Errors
/// The first reason why not.
pub fn check_user(
    certificate: &Certificate,
    authority: &KeyData,
    principals: Principals<'_>,
    peer: IpAddr,
    now: u64,
) -> Result<(), CertificateError> {
    check_common(certificate, authority, CertType::User, now)?;
    check_user_principals(certificate, principals)?;
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            "source-address" => {
                if network::list_contains(value, peer) != Ok(true) {
                    return Err(CertificateError::SourceAddress { key_id: key_id(certificate), peer });
                }
            }
            // Above all force-command: there is nothing here that could run it.
            _ => {
                return Err(CertificateError::CriticalOption {
                    key_id: key_id(certificate),
                    option: quotable(name),
                });
            }
        }
    }
    Ok(())
}

fn check_user_principals(
    certificate: &Certificate,
    principals: Principals<'_>,
) -> Result<(), CertificateError> {
    let listed = certificate.valid_principals();
    let (matched, name) = match principals {
        Principals::User(user) => (listed.iter().any(|principal| principal == user), user.to_owned()),
        Principals::OneOf(names) => {
            (listed.iter().any(|principal| names.contains(principal)), names.join(" or "))
        }
    };
    match matched {
        true => Ok(()),
        false => Err(CertificateError::NotAPrincipal { key_id: key_id(certificate), name }),
    }
}

/// What holds for both types. The order is that of the most useful message; all of it has to hold.
fn check_common(
    certificate: &Certificate,
    authority: &KeyData,
    expected: CertType,
    now: u64,
) -> Result<(), CertificateError> {
    let key_id = || key_id(certificate);
    // A certificate cannot be an authority: chains do not exist.
    if certificate.signature_key() != authority || authority.is_certificate() || authority.is_other() {
        return Err(CertificateError::OtherAuthority { key_id: key_id() });
    }
    if certificate.cert_type() != expected {
        let expected = match expected {
            CertType::Host => "host",
            CertType::User => "user",
        };
        return Err(CertificateError::WrongType { key_id: key_id(), expected });
    }
    let signature = certificate.signature().algorithm();
    if matches!(signature, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(CertificateError::WeakSignature { key_id: key_id(), algorithm: signature.to_string() });
    }
    if now < certificate.valid_after() {
        return Err(CertificateError::NotYetValid {
            key_id: key_id(),
            valid_after: certificate.valid_after(),
        });
    }
    if now >= certificate.valid_before() {
        return Err(CertificateError::Expired { key_id: key_id(), valid_before: certificate.valid_before() });
    }
    certificate
        .validate_at(now, [&authority.fingerprint(HashAlg::Sha256)])
        .map_err(|_| CertificateError::BadSignature { key_id: key_id() })?;
    match certificate.valid_principals() {
        [] => Err(CertificateError::NoPrincipals { key_id: key_id() }),
        _ => Ok(()),
    }
}

/// The certificate's identity for messages.
pub(super) fn key_id(certificate: &Certificate) -> String {
    quotable(certificate.key_id())
}

/// A text from a peer as part of a line: short, and without characters that move the cursor.
fn quotable(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
