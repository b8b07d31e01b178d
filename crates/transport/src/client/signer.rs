//! Signing with the agent or with a key file. A file is read and decrypted when the server has accepted its key, not
//! before.

use std::path::Path;
use std::sync::Arc;

use russh_channels::SendError;
use russh_channels::keys::agent::AgentIdentity;
use russh_channels::keys::signature::Signer as _;
use russh_channels::keys::ssh_encoding::Encode;
use russh_channels::keys::{HashAlg, PrivateKey, decode_secret_key};
use ssh_key::Signature;
use ssh_key::private::KeypairData;
use zeroize::Zeroizing;

use super::agent::Agent;
use super::identity::{IdentityError, SignerKind, is_encrypted, read_private};
use super::prompt::{self, PromptError, Prompter};
use super::secrets::{Question, Secrets};

/// Signs for one candidate.
pub(super) struct CandidateSigner<'a> {
    pub(super) kind: &'a SignerKind,
    pub(super) agent: Option<&'a mut Agent>,
    /// `None`: nobody may be asked for a passphrase.
    pub(super) prompter: Option<&'a Arc<dyn Prompter>>,
    pub(super) secrets: &'a Secrets,
}

/// Why a key that the server accepts was of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error("the session ended")]
    SessionEnded,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("it is encrypted and nobody can be asked for its passphrase, add it to the agent with ssh-add")]
    Encrypted,
    #[error("wrong passphrase")]
    WrongPassphrase,
    #[error("its passphrase was not given: {0}")]
    Prompt(#[from] PromptError),
    #[error("its .pub file belongs to another key, run `ssh-keygen -y -f KEY > KEY.pub`")]
    Mismatch,
    #[error("the agent does not sign with it: {0}")]
    Agent(russh_channels::keys::Error),
    #[error("it cannot sign: {0}")]
    Key(String),
}

/// How often a passphrase is asked for.
const PASSPHRASE_ATTEMPTS: usize = 3;

impl russh_channels::Signer for CandidateSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        tracing::debug!("the server takes the key and wants a signature");
        match (self.kind, &mut self.agent) {
            (SignerKind::Agent, Some(agent)) => {
                // The agent may have the plain key of a certificate that we have from a file.
                let plain = AgentIdentity::from(identity.public_key().into_owned());
                match agent.sign_request(identity, hash, to_sign.clone()).await {
                    Err(_) if matches!(identity, AgentIdentity::Certificate { .. }) => {
                        agent.sign_request(&plain, hash, to_sign).await.map_err(SignError::Agent)
                    }
                    signed => signed.map_err(SignError::Agent),
                }
            }
            (SignerKind::Agent, None) => Err(SignError::SessionEnded),
            (SignerKind::File(path), _) => {
                let key = unlock(path, self.prompter, self.secrets).await?;
                if key.public_key().key_data() != identity.public_key().key_data() {
                    return Err(SignError::Mismatch);
                }
                append_signature(&key, hash, to_sign).map_err(|error| SignError::Key(error.to_string()))
            }
        }
    }
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::SessionEnded
    }
}

/// The private key in a file, decrypted.
async fn unlock(
    path: &Path,
    prompter: Option<&Arc<dyn Prompter>>,
    secrets: &Secrets,
) -> Result<PrivateKey, SignError> {
    let text = Arc::new(read_private(path)?);
    match decode(&text, None).await {
        Ok(key) => return Ok(key),
        Err(error) if is_encrypted(&text, &error) => {}
        Err(error) => return Err(SignError::Key(error.to_string())),
    }
    let known = Question::Passphrase(path.to_owned());
    if let Some(passphrase) = secrets.get(&known) {
        match decode(&text, Some(passphrase)).await {
            Ok(key) => return Ok(key),
            // The file is another one now.
            Err(_) => secrets.forget(&known),
        }
    }
    let prompter = prompter.ok_or(SignError::Encrypted)?;
    for _ in 0..PASSPHRASE_ATTEMPTS {
        let question = format!("Enter passphrase for key '{}': ", path.display());
        let passphrase = prompt::ask(prompter, question, false).await?;
        if passphrase.is_empty() {
            return Err(PromptError::Cancelled.into());
        }
        if let Ok(key) = decode(&text, Some(passphrase.clone())).await {
            secrets.keep(known, passphrase);
            return Ok(key);
        }
    }
    Err(SignError::WrongPassphrase)
}

/// On a thread of its own: bcrypt is slow on purpose.
async fn decode(
    text: &Arc<Zeroizing<String>>,
    passphrase: Option<Zeroizing<String>>,
) -> Result<PrivateKey, russh_channels::keys::Error> {
    let text = Arc::clone(text);
    let decoding = tokio::task::spawn_blocking(move || {
        decode_secret_key(&text, passphrase.as_ref().map(|passphrase| passphrase.as_str()))
    });
    decoding.await.map_err(std::io::Error::other)?
}

/// `to_sign` and its signature as a string (RFC 4252 section 7).
fn append_signature(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    mut to_sign: Vec<u8>,
) -> Result<Vec<u8>, ssh_key::Error> {
    let signature: Signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign)?,
        pair => pair.try_sign(&to_sign)?,
    };
    let mut blob = Vec::new();
    signature.encode(&mut blob)?;
    blob.encode(&mut to_sign)?;
    Ok(to_sign)
}
