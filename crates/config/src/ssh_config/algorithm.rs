//! Lists of algorithms: what OpenSSH knows by name, and what `+`, `-` and `^` make of a default.

use super::pattern;

/// What an algorithm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `KexAlgorithms`.
    KeyExchange,
    /// `Ciphers`.
    Cipher,
    /// `MACs`.
    Mac,
    /// Of keys and their signatures: `HostKeyAlgorithms`, `PubkeyAcceptedAlgorithms`.
    Key,
    /// Of the signatures of certificates: `CASignatureAlgorithms`.
    Signature,
}

/// A list as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmList {
    change: Change,
    names: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// These alone.
    Replace,
    /// `+`: after the default ones.
    Append,
    /// `-`: the default ones without these.
    Remove,
    /// `^`: before the default ones.
    Prefer,
}

/// A name that OpenSSH does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownName(pub(super) String);

impl AlgorithmList {
    /// Checks the names against those of OpenSSH, as ssh does: not behind `-`, and patterns count only for keys.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, UnknownName> {
        let (change, names) = match text.split_at_checked(1) {
            Some(("+", names)) => (Change::Append, names),
            Some(("-", names)) => (Change::Remove, names),
            Some(("^", names)) => (Change::Prefer, names),
            _ => (Change::Replace, text),
        };
        if change != Change::Remove {
            if names.is_empty() || names.starts_with(',') {
                return Err(UnknownName(text.to_owned()));
            }
            // An empty name ends the list for ssh.
            for name in names.split(',').take_while(|name| !name.is_empty()) {
                // `!` means nothing here: ssh takes such a line and refuses it when the list is put together.
                if name.starts_with('!') || !kind.knows(name) {
                    return Err(UnknownName(name.to_owned()));
                }
            }
        }
        Ok(Self { change, names: names.to_owned() })
    }

    /// The list, given the `defaults` and `all` names that there are, each in order of preference. Names that are not
    /// in `all` fall away, so that the list may be empty.
    pub fn apply(&self, defaults: &[&str], all: &[&str]) -> Vec<String> {
        let written = || self.names.split(',');
        if self.change == Change::Remove {
            let kept = defaults.iter().filter(|name| !pattern::matches_list(name, &self.names));
            return kept.map(|&name| name.to_owned()).collect();
        }
        let patterns: Vec<&str> = match self.change {
            Change::Append => defaults.iter().copied().chain(written()).collect(),
            Change::Prefer => written().chain(defaults.iter().copied()).collect(),
            Change::Replace | Change::Remove => written().collect(),
        };
        let mut list = Vec::new();
        for pattern in patterns {
            for name in all.iter().filter(|name| pattern::matches(name, pattern)) {
                if !list.iter().any(|known| known == name) {
                    list.push((*name).to_owned());
                }
            }
        }
        list
    }

    /// Whether the list takes the place of the default one, whose order then counts for nothing.
    pub fn sets_the_order(&self) -> bool {
        self.change != Change::Remove
    }
}

impl std::fmt::Display for AlgorithmList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.change {
            Change::Replace => "",
            Change::Append => "+",
            Change::Remove => "-",
            Change::Prefer => "^",
        })?;
        f.write_str(&self.names)
    }
}

impl Kind {
    /// The names that some OpenSSH from 8 to 10.5 knows.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::KeyExchange => KEY_EXCHANGES,
            Self::Cipher => CIPHERS,
            Self::Mac => MACS,
            Self::Key => KEYS,
            Self::Signature => SIGNATURES,
        }
    }

    fn knows(self, name: &str) -> bool {
        match self {
            Self::KeyExchange | Self::Cipher | Self::Mac => self.names().contains(&name),
            Self::Key | Self::Signature => self.names().iter().any(|known| pattern::matches(known, name)),
        }
    }

    /// For messages.
    pub(super) fn listed(self) -> String {
        self.names().join(", ")
    }
}

const KEY_EXCHANGES: &[&str] = &[
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];

const CIPHERS: &[&str] = &[
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "3des-cbc",
];

const MACS: &[&str] = &[
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
    "hmac-sha1-96",
    "hmac-md5",
    "hmac-md5-96",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
];

const SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-mldsa44-ed25519@openssh.com",
    "ssh-rsa",
    "ssh-dss",
];

const KEYS: &[&str] = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-mldsa44-ed25519-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-mldsa44-ed25519@openssh.com",
    "ssh-rsa",
    "ssh-dss",
];
