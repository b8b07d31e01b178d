//! The daemon and the other commands: what they promise of the host that they run on.
//!
//! ```text
//!      leipzig (client)                            berlin (server)
//!   tapN, br-lab    eth1                         tapN, br-lab
//!   eth0 192.0.2.2  |  ---- 192.0.2.0/24 ----  eth0 192.0.2.1
//!                   +-- lan0 of host lan
//! ```
//!
//! Each test has its own hosts, which are network namespaces, and compares the kernel's state before and after.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod broken_links;
mod check;
mod connections;
mod desk;
mod host_keys;
mod hostile_key;
mod kernel_state;
mod lab;
mod life_cycle;
mod neighbours;
mod peers;
mod penalties;
mod privilege;
mod reload;
mod shared_keys;
mod sites;
mod startup;
mod trust;
mod underlay;
mod units;
mod usage;
mod waits;
