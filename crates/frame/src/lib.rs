//! Frames and packets as values: no file descriptor, no clock, no runtime.
//!
//! In the order a frame meets them: [`view`] finds its headers, [`queue`] lets it wait its turn in a buffer of [`pool`],
//! [`segment`] cuts it where the peer takes no super-frames, [`records`] or [`tunnel`] is its form on the wire. On the other
//! side [`guard`] and [`NetHeader::check`] keep from the kernel what it must not get, and [`coalesce`] joins what the device
//! takes in one write. Everything here is total: no input panics, and nothing grows with what a peer sends.

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
