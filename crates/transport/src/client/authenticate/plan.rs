use russh_channels::{MethodKind, MethodSet};

use crate::client::Methods;

/// What to try next, given what the server goes on with and what we have. As OpenSSH does: keys, then
/// keyboard-interactive, then a password, the last two three times each.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    accepted: MethodSet,
    partial: bool,
    /// What is tried, the first one first.
    order: Vec<Method>,
    public_key: bool,
    keyboard_interactive: u32,
    password: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    PublicKey,
    KeyboardInteractive,
    Password,
}

const METHODS: [Method; 3] = [Method::PublicKey, Method::KeyboardInteractive, Method::Password];

impl Plan {
    /// `prompts`: how often somebody is asked, by each method.
    pub(super) fn new(allowed: Methods, interactive: bool, prompts: u32) -> Self {
        let attempts = |allowed| if allowed && interactive { prompts } else { 0 };
        Self {
            accepted: MethodSet::empty(),
            partial: false,
            order: METHODS.to_vec(),
            public_key: allowed.public_key,
            keyboard_interactive: attempts(allowed.keyboard_interactive),
            password: attempts(allowed.password),
        }
    }

    /// Only these methods, in this order.
    pub(super) fn preferring(mut self, names: &[String]) -> Self {
        let of_name = |name: &String| METHODS.into_iter().find(|method| <&str>::from(&method.kind()) == name);
        self.order = names.iter().filter_map(of_name).collect();
        self
    }

    /// The server refused, and said what it goes on with. `partial`: it took what was tried, and wants more.
    pub(super) fn failed(&mut self, accepted: &MethodSet, partial: bool) {
        self.accepted = accepted.clone();
        self.partial |= partial;
    }

    /// Nobody answers for this method.
    pub(super) fn give_up(&mut self, method: Method) {
        match method {
            Method::PublicKey => self.public_key = false,
            Method::KeyboardInteractive => self.keyboard_interactive = 0,
            Method::Password => self.password = 0,
        }
    }

    /// Counts the attempt. `keys`: there are some left.
    pub(super) fn next(&mut self, keys: bool) -> Option<Method> {
        let next = self.order.iter().copied().find(|&method| match method {
            Method::PublicKey => keys && self.accepts(method),
            Method::KeyboardInteractive | Method::Password => self.accepts(method),
        })?;
        match next {
            Method::PublicKey => {}
            Method::KeyboardInteractive => self.keyboard_interactive -= 1,
            Method::Password => self.password -= 1,
        }
        Some(next)
    }

    /// Whether both the server and we would.
    pub(super) fn accepts(&self, method: Method) -> bool {
        let ours = match method {
            Method::PublicKey => self.public_key,
            Method::KeyboardInteractive => self.keyboard_interactive > 0,
            Method::Password => self.password > 0,
        };
        ours && self.order.contains(&method) && self.accepted.contains(&method.kind())
    }

    /// The names of the methods that the server goes on with.
    pub(super) fn accepted(&self) -> Vec<String> {
        self.accepted.iter().map(|method| <&str>::from(method).to_owned()).collect()
    }

    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }
}

impl Method {
    fn kind(self) -> MethodKind {
        match self {
            Self::PublicKey => MethodKind::PublicKey,
            Self::KeyboardInteractive => MethodKind::KeyboardInteractive,
            Self::Password => MethodKind::Password,
        }
    }
}

#[cfg(test)]
mod tests;
