//! `~`, `%` tokens and `${VARIABLES}`.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use super::{LocalUser, Problem, Surroundings};

/// The tokens most options take.
pub(super) const CONNECTION: &str = "CdhijkLlnpru";
/// `User` is part of the hash of `%C`, so it takes neither that nor itself.
pub(super) const USER: &str = "dhijkLlnpu";
/// `ProxyCommand` and `ProxyJump`.
pub(super) const PROXY: &str = "hknpr";
/// Those of `KnownHostsCommand` that are about a key.
pub(super) const KEY: &str = "fHIKt";
/// `HostName`.
pub(super) const HOST_NAME: &str = "h";

/// What the tokens stand for.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    pub(super) local: &'a LocalUser,
    /// `%h`
    pub(super) host: String,
    /// `%n`
    pub(super) original_host: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) user: String,
    /// `%k`
    pub(super) key_alias: String,
    /// `%j`
    pub(super) jump_host: String,
}

impl Tokens<'_> {
    fn value(&self, token: char) -> Option<String> {
        let local = self.local;
        Some(match token {
            'C' => self.connection_hash(),
            'd' => local.home.to_string_lossy().into_owned(),
            'h' => self.host.clone(),
            'i' => local.uid.to_string(),
            'j' => self.jump_host.clone(),
            'k' => self.key_alias.clone(),
            'L' => local.host_name.split('.').next().unwrap_or_default().to_owned(),
            'l' => local.host_name.clone(),
            'n' => self.original_host.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => local.name.clone(),
            _ => return None,
        })
    }

    /// What all of `allowed` stand for.
    pub(super) fn values(&self, allowed: &str) -> BTreeMap<char, String> {
        allowed.chars().filter_map(|token| Some((token, self.value(token)?))).collect()
    }

    /// The SHA-1 of `%l%h%p%r%j`, in hexadecimal.
    fn connection_hash(&self) -> String {
        let hash = Sha1::new()
            .chain_update(&self.local.host_name)
            .chain_update(&self.host)
            .chain_update(self.port.to_string())
            .chain_update(&self.user)
            .chain_update(&self.jump_host)
            .finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Replaces `%` tokens out of `allowed`, and `${VARIABLES}` where `surroundings` is given.
pub(super) fn expand(
    keyword: &'static str,
    text: &str,
    tokens: &Tokens<'_>,
    allowed: &str,
    surroundings: Option<&dyn Surroundings>,
) -> Result<String, Problem> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['%', '$']) {
        let (before, special) = rest.split_at_checked(start).unwrap_or((rest, ""));
        expanded.push_str(before);
        rest = match (special.strip_prefix('%'), surroundings) {
            (Some(after), _) => {
                let mut characters = after.chars();
                let token = characters.next();
                match token {
                    Some('%') => expanded.push('%'),
                    Some(token) if allowed.contains(token) => {
                        expanded.push_str(&tokens.value(token).unwrap_or_default());
                    }
                    _ => {
                        return Err(Problem::BadToken {
                            keyword,
                            token: token.map(String::from).unwrap_or_default(),
                        });
                    }
                }
                characters.as_str()
            }
            (None, Some(surroundings)) if special.starts_with("${") => {
                let (name, after) = special
                    .strip_prefix("${")
                    .and_then(|variable| variable.split_once('}'))
                    .filter(|(name, _)| !name.is_empty())
                    .ok_or(Problem::BadVariable(keyword))?;
                let value = surroundings
                    .variable(name)
                    .ok_or_else(|| Problem::UnsetVariable { keyword, name: name.to_owned() })?;
                expanded.push_str(&value);
                after
            }
            (None, _) => {
                expanded.push('$');
                special.strip_prefix('$').unwrap_or_default()
            }
        };
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The old form of a variable, `$NAME`.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with('$') && !text.starts_with("${")
}

/// The text between the places where `%token` stands.
pub(super) fn split_at_token(text: &str, token: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(percent) = text.get(from..).and_then(|rest| rest.find('%')).map(|at| from + at) {
        let Some(next) = text.get(percent + 1..).and_then(|rest| rest.chars().next()) else { break };
        from = percent + 1 + next.len_utf8();
        if next == token {
            parts.extend(text.get(start..percent));
            start = from;
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// Replaces a leading `~` or `~user`.
pub(super) fn expand_home(
    keyword: &'static str,
    text: &str,
    local: &LocalUser,
    surroundings: &dyn Surroundings,
) -> Result<String, Problem> {
    let Some(after) = text.strip_prefix('~') else {
        return Ok(text.to_owned());
    };
    let (user, path) = after.split_once('/').unwrap_or((after, ""));
    let home = match user {
        "" => local.home.clone(),
        user => surroundings
            .home_of(user)
            .ok_or_else(|| Problem::NoSuchUser { keyword, user: user.to_owned() })?,
    };
    Ok(home.join(path.trim_start_matches('/')).to_string_lossy().into_owned())
}
