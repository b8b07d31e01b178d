//! How far a server has come before keys are in use. Pure: its bytes go in.

use std::fmt;

use super::prompt::printable;

/// What a server has sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    stage: Stage,
    /// The first line that is no version.
    said: Option<String>,
    /// The kinds of the whole messages after the version.
    messages: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Lines may come before the version (RFC 4253 section 4.2); this is the one that has begun.
    Lines(Vec<u8>),
    /// It will not speak SSH, or not now.
    Refused(Greeting),
    /// Unencrypted packets: what has come of a header, and of what follows it how much is still to come.
    Packets { header: Vec<u8>, left: usize },
    /// New keys, or nothing that can be read.
    Over,
}

/// What the first bytes of a peer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    Nothing,
    Ssh2,
    Old(String),
    TurnedAway(String),
    Other(String),
}

/// What a server did last before it fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: TCP connected.
    Connected,
    /// It sent its version.
    Version,
    /// It sent its list of algorithms.
    KexInit,
}

/// Lines that OpenSSH says instead of its version when it takes no connections.
const TURNED_AWAY: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];

/// As much of a line as is of interest, in bytes.
const MAX_LINE: usize = 512;

/// Messages that a handshake has at most, roughly.
const MAX_MESSAGES: usize = 16;

/// The longest packet, in bytes.
const MAX_PACKET: usize = 256 << 10;

/// Length, length of the padding, and kind.
const HEADER: usize = 6;

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

impl Default for Stage {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

impl Progress {
    /// Returns whether more is of interest.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            match &mut self.stage {
                Stage::Lines(line) if byte == b'\n' => {
                    let line = String::from_utf8_lossy(line).into_owned();
                    self.line(line.trim_end_matches('\r'));
                }
                Stage::Lines(line) if line.len() < MAX_LINE => line.push(byte),
                Stage::Lines(_) => {}
                Stage::Packets { header, left } if header.len() < HEADER => {
                    header.push(byte);
                    if let [a, b, c, d, _, _] = header[..] {
                        let length = u32::from_be_bytes([a, b, c, d]) as usize;
                        match length.checked_sub(2) {
                            Some(rest) if length <= MAX_PACKET => *left = rest,
                            _ => self.stage = Stage::Over,
                        }
                    }
                }
                Stage::Packets { header, left } => {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        let kind = header.last().copied().unwrap_or_default();
                        header.clear();
                        self.messages.push(kind);
                        if kind == NEWKEYS || self.messages.len() >= MAX_MESSAGES {
                            self.stage = Stage::Over;
                        }
                    }
                }
                Stage::Refused(_) | Stage::Over => return false,
            }
        }
        !matches!(self.stage, Stage::Refused(_) | Stage::Over)
    }

    fn line(&mut self, line: &str) {
        self.stage = if line.starts_with("SSH-2.") || line.starts_with("SSH-1.99-") {
            Stage::Packets { header: Vec::new(), left: 0 }
        } else if line.starts_with("SSH-") {
            Stage::Refused(Greeting::Old(printable(line, 60)))
        } else if TURNED_AWAY.iter().any(|words| line.starts_with(words)) {
            Stage::Refused(Greeting::TurnedAway(printable(line, 60)))
        } else {
            self.said.get_or_insert_with(|| escaped(line));
            Stage::default()
        };
    }

    pub(super) fn greeting(&self) -> Greeting {
        match &self.stage {
            Stage::Refused(greeting) => greeting.clone(),
            Stage::Packets { .. } | Stage::Over => Greeting::Ssh2,
            Stage::Lines(line) => match &self.said {
                Some(said) => Greeting::Other(said.clone()),
                None if line.is_empty() => Greeting::Nothing,
                // A version that has not ended is one all the same.
                None if line.starts_with(b"SSH-2.") => Greeting::Ssh2,
                None => Greeting::Other(escaped(&String::from_utf8_lossy(line))),
            },
        }
    }

    pub(super) fn step(&self) -> Step {
        match self.greeting() {
            Greeting::Ssh2 if self.messages.contains(&KEXINIT) => Step::KexInit,
            Greeting::Ssh2 => Step::Version,
            _ => Step::Connected,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "took the connection and then sent no SSH version",
            Self::Version => "sent its SSH version and then no key exchange (SSH_MSG_KEXINIT)",
            Self::KexInit => "began the key exchange and then did not answer ours (SSH_MSG_KEX_ECDH_REPLY)",
        })
    }
}

impl Step {
    /// What to look at.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Connected => "check that the port is an SSH server's",
            Self::Version | Self::KexInit => {
                "often large packets get lost on the way: try `ping -M do -s 1400` to it, and lower the MTU here or have TCP's \
                 MSS clamped on the path if that gets no answer"
            }
        }
    }
}

/// It may be anything.
fn escaped(line: &str) -> String {
    line.chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests;
