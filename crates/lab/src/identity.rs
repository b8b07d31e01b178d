//! The keys of a lab's hosts, made for one run.

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

/// One ed25519 key in OpenSSH's formats.
#[derive(Clone)]
pub(crate) struct Key {
    /// The private key file.
    pub(crate) private: String,
    /// The line of the public key file, without its end.
    pub(crate) public: String,
}

/// The keys of one host.
#[derive(Clone)]
pub(crate) struct Identity {
    /// What it shows when others connect.
    pub(crate) host: Key,
    /// What it logs in with.
    pub(crate) user: Key,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("no random numbers for a key: {0}; see that the kernel offers getrandom")]
    Random(#[from] getrandom::Error),
    #[error("a key cannot be written as text: {0}")]
    Encode(#[from] ssh_key::Error),
}

impl Identity {
    /// Fresh keys with the host's name as comment.
    pub(crate) fn new(name: &str) -> Result<Self, IdentityError> {
        Ok(Self { host: Key::new(name)?, user: Key::new(name)? })
    }
}

impl Key {
    fn new(comment: &str) -> Result<Self, IdentityError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Self::from_seed(&seed, comment)
    }

    pub(crate) fn from_seed(seed: &[u8; 32], comment: &str) -> Result<Self, IdentityError> {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
        let key = PrivateKey::new(pair, comment)?;
        let private = key.to_openssh(LineEnding::LF)?.to_string();
        Ok(Self { private, public: key.public_key().to_openssh()? })
    }
}
