//! What a lab showed, as a value.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// One result for each check of the file, in its order.
    pub checks: Vec<CheckResult>,
    /// The last lines of every daemon's log, by host. Empty when all checks passed.
    pub logs: BTreeMap<String, Vec<String>>,
    /// What went wrong without a check to show it, such as a daemon that did not end when told to.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// Whether every check passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// How many checks failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.verdict.passed()).count()
    }
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckResult {
    /// The check's own name, where the file gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `ping`, `multicast` or `throughput`.
    pub probe: String,
    /// The host that tried.
    pub from: String,
    /// The address it tried.
    pub target: String,
    /// Seconds until the check passed or was given up.
    pub seconds: f64,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Verdict {
    /// It works.
    Passed {
        /// What was measured on the way.
        figures: Figures,
    },
    /// It does not.
    Failed {
        /// One line.
        reason: String,
    },
}

impl Verdict {
    /// Whether the check passed.
    #[must_use]
    pub const fn passed(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }
}

/// What a check measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", untagged)]
pub enum Figures {
    /// A ping was answered.
    RoundTrip {
        /// The median of the answers' round-trip times in milliseconds.
        rtt_ms: f64,
    },
    /// A multicast ping was answered by all wanted hosts.
    Answers {
        /// The host and the round-trip time of its first answer in milliseconds.
        rtt_ms_by_host: BTreeMap<String, f64>,
    },
    /// A TCP stream went through.
    Rate {
        /// Bytes the receiver read.
        bytes: u64,
        /// Seconds between its first and its last read.
        seconds: f64,
        /// Both as 10^9 bits per second.
        gbit_per_second: f64,
    },
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundTrip { rtt_ms } => write!(f, "rtt {rtt_ms:.2} ms"),
            Self::Answers { rtt_ms_by_host } => {
                for (index, (host, rtt)) in rtt_ms_by_host.iter().enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    write!(f, "{separator}{host} answers, rtt {rtt:.2} ms")?;
                }
                Ok(())
            }
            Self::Rate { gbit_per_second, seconds, .. } => {
                write!(f, "{gbit_per_second:.2} Gbit/s over {seconds:.1} s")
            }
        }
    }
}
