//! Whether a server proves itself as the key exchange agreed on.
//!
//! russh takes any key and any signature that fits it. Then a server that has agreed on rsa-sha2-512 can sign with SHA-1,
//! which was not offered, and one that has agreed on one kind of key can show another (RFC 4253 section 8, RFC 8332
//! section 3).

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PublicKey, Signature};

use crate::Error;
use crate::helpers::AlgorithmExt;
use crate::negotiation::Names;

/// Whether the host key, or the one in the host certificate, is of the kind agreed on. RSA keys are of one kind, whatever
/// they sign with.
pub(crate) fn host_key(names: &Names, key: &PublicKey) -> Result<(), Error> {
    let found = key.algorithm();
    let is_bare = !matches!(key.key_data(), KeyData::Certificate(_));
    if is_bare && names.key.with_hash_alg(None) == found.with_hash_alg(None) {
        return Ok(());
    }
    let found = if is_bare { found.to_string() } else { format!("a certificate of {found}") };
    Err(other("host key", &names.key, found))
}

/// Whether the signature is made with the algorithm agreed on.
pub(crate) fn signature(names: &Names, signature: &Signature) -> Result<(), Error> {
    let found = signature.algorithm();
    if found == names.key { Ok(()) } else { Err(other("signature", &names.key, found.to_string())) }
}

fn other(what: &'static str, agreed: &Algorithm, found: String) -> Error {
    Error::NotAsAgreed { what, agreed: agreed.to_string(), found }
}
