//! Asking a person: host keys, passphrases, passwords.

mod terminal;

use std::sync::Arc;

use zeroize::Zeroizing;

pub use terminal::Terminal;

/// Who is asked when a connection needs an answer.
///
/// [`Prompter::ask`] blocks; it is called on a thread for that, never on the session's own.
pub trait Prompter: Send + Sync + std::fmt::Debug {
    /// Whether there is anybody to ask.
    fn is_interactive(&self) -> bool;

    /// Shows `prompt` as it is and returns the answer without its line end. With `echo` off the answer is a secret.
    ///
    /// # Errors
    /// Nobody can be asked, or the person gives up.
    fn ask(&self, prompt: &str, echo: bool) -> Result<Zeroizing<String>, PromptError>;

    /// Something to read: a banner of the server, or what came of an answer. May be several lines.
    fn show(&self, text: &str);
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("there is no terminal to ask on")]
    NotInteractive,
    /// Nothing was typed.
    #[error("cancelled")]
    Cancelled,
    /// The person wants the whole program to end, and it has got the signal for that.
    #[error("interrupted")]
    Interrupted,
    #[error("the terminal failed: {0}")]
    Io(#[from] std::io::Error),
}

/// Asks nobody and logs what there is to read: for daemons.
#[derive(Debug, Clone, Copy, Default)]
pub struct NonInteractive;

impl Prompter for NonInteractive {
    fn is_interactive(&self) -> bool {
        false
    }

    fn ask(&self, _prompt: &str, _echo: bool) -> Result<Zeroizing<String>, PromptError> {
        Err(PromptError::NotInteractive)
    }

    fn show(&self, text: &str) {
        for line in text.lines() {
            tracing::info!("{line}");
        }
    }
}

/// Asks without holding up the session's thread.
pub(super) async fn ask(
    prompter: &Arc<dyn Prompter>,
    prompt: String,
    echo: bool,
) -> Result<Zeroizing<String>, PromptError> {
    let prompter = Arc::clone(prompter);
    let answer = tokio::task::spawn_blocking(move || prompter.ask(&prompt, echo));
    answer.await.map_err(std::io::Error::other)?
}

/// A text from the peer as one line: no control characters that could move the cursor, and at most `limit` characters.
pub(super) fn printable(text: &str, limit: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(limit).collect()
}
