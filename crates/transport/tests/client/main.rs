//! The client against Debian's sshd, each test in a fresh network namespace with only a loopback interface:
//!
//! ```text
//!   client ---- lo (127.0.0.0/8, ::1) ---- one or more sshd, port 22
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod end;
mod harness;
mod host_key;
mod interactive;
mod known_hosts;
mod log_in;
mod oracle;
mod reach;
mod tunnel;
