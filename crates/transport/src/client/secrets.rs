//! What people have typed, so that a link that breaks need not ask again.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

/// Passwords and passphrases that were of use, in memory alone, while the options of a connection or a clone of them live.
/// One that is refused is forgotten; all are overwritten at the end.
#[derive(Default)]
pub struct Secrets(Mutex<HashMap<Question, Zeroizing<String>>>);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Of the key in this file.
    Passphrase(PathBuf),
    Password {
        user: String,
        server: String,
    },
    /// A question of the server's that asks for a password.
    Prompt {
        user: String,
        server: String,
        prompt: String,
    },
}

/// More than anybody types.
const MAX_KEPT: usize = 64;

impl Secrets {
    pub(super) fn get(&self, question: &Question) -> Option<Zeroizing<String>> {
        self.kept().get(question).cloned()
    }

    pub(super) fn keep(&self, question: Question, answer: Zeroizing<String>) {
        let mut kept = self.kept();
        if kept.len() < MAX_KEPT || kept.contains_key(&question) {
            kept.insert(question, answer);
        }
    }

    pub(super) fn forget(&self, question: &Question) {
        self.kept().remove(question);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Question, Zeroizing<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.kept().len()).finish()
    }
}

#[cfg(test)]
mod tests;
