//! Frames and packets as values: no file descriptor, no clock, no runtime.

pub mod guard;
mod mode;
mod net_header;
mod offloads;
pub mod records;
pub mod tunnel;

pub use mode::Mode;
pub use net_header::{Gso, NetHeader, NetHeaderError};
pub use offloads::Offloads;
