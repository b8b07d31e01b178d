//! Frames and packets as values: no file descriptor, no clock, no runtime.

pub mod checksum;
pub mod coalesce;
pub mod guard;
mod mode;
mod net_header;
mod offloads;
pub mod pool;
pub mod queue;
pub mod records;
#[cfg(test)]
mod samples;
pub mod segment;
pub mod tunnel;
pub mod view;

pub use mode::Mode;
pub use net_header::{Gso, NetHeader, NetHeaderError, Refusal, complete_checksum};
pub use offloads::Offloads;
