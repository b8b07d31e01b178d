//! Tapline beside Debian's OpenSSH in both roles, and Tapline alone: what crosses a link, for how long, and what both
//! say when it may not.
//!
//! ```text
//!   client                                             server
//!   tap0 10.77.0.2, fd77::2  ====== the link ======  tap0 10.77.0.1, fd77::1
//!   eth0 192.0.2.2          ------- IPv4 only ------ eth0 192.0.2.1
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bridges;
mod carried;
mod checksums;
mod ciphers;
mod endurance;
mod link;
mod mtu;
mod refused;
mod reopened;
mod ssh_options;
mod traffic;
mod units;
