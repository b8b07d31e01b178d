//! Real taps and tuns, each test in network namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod frames;
mod harness;
mod offload;
mod open;
mod queues;
mod readiness;
