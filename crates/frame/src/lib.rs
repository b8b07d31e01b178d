//! Frames and packets as values: no file descriptor, no clock, no runtime.

mod mode;
mod net_header;

pub use mode::Mode;
pub use net_header::{Gso, NetHeader, NetHeaderError};
