//! Public keys as text: `TYPE BASE64 COMMENT`.

use ssh_key::{Algorithm, PublicKey, public::KeyData};
use thiserror::Error;

/// A key and what follows it on its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyText<'a> {
    pub(crate) key: KeyData,
    pub(crate) comment: &'a str,
}

/// Why a text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyTextError {
    /// There is nothing, or a type alone.
    #[error("the public key is missing; append `TYPE BASE64` as in the .pub file")]
    Missing,
    /// Not a type of key, or one that is not supported.
    #[error("`{0}` is not a type of public key known here; use ssh-ed25519, ecdsa-sha2-nistp256 or ssh-rsa")]
    UnknownType(String),
    /// The type is known but what follows is no such key.
    #[error("the {0} key is damaged; copy the line of the .pub file again")]
    Damaged(String),
}

/// Parses a key at the start of `text`; blanks and tabs separate.
pub(crate) fn parse(text: &str) -> Result<KeyText<'_>, KeyTextError> {
    let (kind, rest) = field(text);
    let (base64, comment) = field(rest);
    if kind.is_empty() || base64.is_empty() {
        return Err(KeyTextError::Missing);
    }
    if !is_known_type(kind) {
        // Cut, because this goes into messages and the line may be anything.
        return Err(KeyTextError::UnknownType(kind.chars().take(40).collect()));
    }
    let key = PublicKey::from_openssh(&format!("{kind} {base64}"))
        .map_err(|_| KeyTextError::Damaged(kind.to_owned()))?
        .key_data()
        .clone();
    Ok(KeyText { key, comment })
}

/// Whether a word is the name of a kind of plain public key.
pub(super) fn is_known_type(word: &str) -> bool {
    matches!(Algorithm::new(word), Ok(algorithm) if !matches!(algorithm, Algorithm::Other(_) | Algorithm::Dsa))
}

/// The kind of a key in the words of OpenSSH's messages.
pub(crate) fn type_name(key: &KeyData) -> &'static str {
    match key {
        KeyData::Ed25519(_) => "ED25519",
        KeyData::Ecdsa(_) => "ECDSA",
        KeyData::Rsa(_) => "RSA",
        KeyData::SkEd25519(_) => "ED25519-SK",
        KeyData::SkEcdsaSha2NistP256(_) => "ECDSA-SK",
        _ => "unknown",
    }
}

/// The first word and the rest without blanks before it.
pub(crate) fn field(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(is_blank);
    let (word, rest) = text.split_once(is_blank).unwrap_or((text, ""));
    (word, rest.trim_start_matches(is_blank))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}
