//! The server against Debian's ssh client and against peers that mean no good.
//!
//! ```text
//! one network namespace per test, with nothing but lo
//!   ssh -w (tapN, tunN)  ----- 127.0.0.1, ::1 -----  server  ===  one end of a memory device, the test has the other
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod certificates;
mod client;
mod harness;
mod hostile;
mod hostile_frames;
mod life;
mod log_in;
mod native;
mod raw;
mod tunnels;
