//! Labs: several hosts as network namespaces of one machine, networks between them, a Tapline daemon in each, and
//! checks with a readable result.
//!
//! [`run`] brings a lab up, tries its checks and takes it down. It needs no root, no other program, and leaves
//! nothing behind, however it ends:
//!
//! ```text
//! tapline lab run FILE          the caller of `run`: reads FILE, reports, touches nothing
//!  └ tapline --lab-isolate      enters fresh user (unless root), network and mount namespaces, and makes a PID namespace
//!     └ tapline --lab-init      PID 1 there: builds the networks, tries the checks
//!        └ tapline run -c ...   one daemon in each host's network namespace
//! ```
//!
//! The init exits when the caller closes their pipe or dies, and the kernel then kills every process in its PID
//! namespace. Network namespaces have no names, and files lie in a tmpfs of the private mount namespace: both go with
//! the last process. So there is nothing to clean up, also after `kill -9` of all of them.
//!
//! A program that calls [`run`] calls [`entry`] first thing in `main`, because it is what runs in the middle two rows.

mod check;
mod daemon;
mod directory;
mod identity;
mod inside;
mod log;
mod message;
mod network;
mod outcome;
mod probe;
mod render;
mod report;
mod run;
mod session;
mod topology;

pub use inside::entry;
pub use outcome::{CheckResult, Figures, Outcome, Verdict};
pub use report::{Event, Report, TextReport};
pub use run::{LabError, RunOptions, run};
