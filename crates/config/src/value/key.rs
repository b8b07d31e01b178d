//! Public keys in OpenSSH's one-line format.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{InvalidValue, text_scalar};
use crate::diagnostic::quoted;
use crate::nearest::nearest;

/// The key types that a modern `ssh-keygen` makes; DSA is gone from OpenSSH too.
/// With each the number of SSH strings in the key, its type included.
const ALGORITHMS: [(&str, usize); 7] = [
    ("ssh-ed25519", 2),
    ("ecdsa-sha2-nistp256", 3),
    ("ecdsa-sha2-nistp384", 3),
    ("ecdsa-sha2-nistp521", 3),
    ("ssh-rsa", 3),
    ("sk-ssh-ed25519@openssh.com", 3),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 4),
];

/// One line of a `.pub` file: type, key and comment. The type is known and is the one that the key itself names
/// (RFC 4253, section 6.6); its numbers are left to whoever uses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: &'static str,
    blob: Vec<u8>,
    comment: String,
}

impl PublicKey {
    /// The type, such as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.algorithm
    }

    /// The key as SSH sends it, the type included.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What follows the key; it identifies nobody.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }
}

impl FromStr for PublicKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut parts = text.trim().splitn(3, [' ', '\t']);
        let word = parts.next().unwrap_or_default();
        let Some(&(algorithm, strings)) = ALGORITHMS.iter().find(|(known, _)| *known == word) else {
            let hint = match nearest(word, ALGORITHMS.map(|(known, _)| known)) {
                _ if word.contains("-cert-v01@") => {
                    "this is a certificate; write the line of the .pub file without `-cert`, or have the server trust the authority: `trusted-user-ca-keys: FILE`".to_owned()
                }
                _ if word == "ssh-dss" => "DSA is gone from SSH; make a key with `ssh-keygen -t ed25519`".to_owned(),
                _ if word.starts_with("SHA256:") || word.starts_with("MD5:") => {
                    "this is a fingerprint; write the line of the .pub file: `ssh-ed25519 AAAA... name`".to_owned()
                }
                _ if word.starts_with(['/', '~', '.']) || word.ends_with(".pub") => {
                    format!("the key itself stands here: paste the line of {word}")
                }
                _ if word.contains(['=', ',']) || word == "restrict" => {
                    "options go into the authorized-keys-files; here stands the key alone: `ssh-ed25519 AAAA... name`"
                        .to_owned()
                }
                _ if text.contains("PRIVATE KEY") => {
                    "this is a private key; write the line of its .pub file".to_owned()
                }
                Some(known) if word.contains('-') => format!("did you mean `{known}`?"),
                _ => "write the line of the .pub file: `ssh-ed25519 AAAA... name`".to_owned(),
            };
            return Err(InvalidValue::new(format!("{} begins no public key", quoted(word)), hint));
        };
        let blob = parts
            .next()
            .and_then(|word| STANDARD.decode(word).ok())
            .filter(|blob| is_whole(blob, algorithm, strings));
        let blob = blob.ok_or_else(|| {
            InvalidValue::new(
                format!("this is not a whole {algorithm} key"),
                "copy the line of the .pub file as it is, all of it in one line",
            )
        })?;
        Ok(Self { algorithm, blob, comment: parts.next().unwrap_or_default().trim().to_owned() })
    }
}

/// Whether `blob` is exactly so many SSH strings (RFC 4251, section 5), none of them empty and its type the first.
fn is_whole(blob: &[u8], algorithm: &str, strings: usize) -> bool {
    let mut rest = blob;
    let mut count = 0;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((string, behind)) = behind.split_at_checked(length) else { return false };
        if string.is_empty() || count == 0 && string != algorithm.as_bytes() {
            return false;
        }
        count += 1;
        rest = behind;
    }
    rest.is_empty() && count == strings
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.blob))?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " {}", self.comment) }
    }
}

text_scalar!(PublicKey, { "type": "string", "pattern": "^[a-z0-9@.-]+ +[A-Za-z0-9+/]+=*( .*)?$" });
