//! Whether a key is long enough to prove anything (`RequiredRSASize`).

#[cfg(test)]
mod tests;

use ssh_key::public::KeyData;
use thiserror::Error;

use super::Offered;

/// An RSA key whose modulus is too short.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WeakKey {
    /// The key that was shown.
    #[error("an RSA key of {bits} bits, {least} are needed")]
    Own {
        /// Of its modulus.
        bits: u32,
        /// What is asked for.
        least: u32,
    },
    /// The key that signed the certificate that was shown.
    #[error("a certificate of an authority with an RSA key of {bits} bits, {least} are needed")]
    Authority {
        /// Of its modulus.
        bits: u32,
        /// What is asked for.
        least: u32,
    },
}

/// Whether what is offered, and the authority behind it, have RSA keys of at least `least` bits, if they are RSA keys.
///
/// # Errors
/// The key that has not.
pub(crate) fn check(offered: Offered<'_>, least: u32) -> Result<(), WeakKey> {
    if let Some(bits) = shorter(offered.key(), least) {
        return Err(WeakKey::Own { bits, least });
    }
    if let Offered::Certificate(certificate) = offered
        && let Some(bits) = shorter(certificate.signature_key(), least)
    {
        return Err(WeakKey::Authority { bits, least });
    }
    Ok(())
}

/// The length of a key that is too short.
fn shorter(key: &KeyData, least: u32) -> Option<u32> {
    match key {
        KeyData::Rsa(rsa) => Some(rsa.key_size()).filter(|bits| *bits < least),
        _ => None,
    }
}
