//! The client against Debian's sshd, each test in a fresh network namespace with only a loopback interface:
//!
//! ```text
//!   this thread: client ---- lo (127.0.0.0/8, ::1) ---- sshd, one or more
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod harness;
mod log_in;
