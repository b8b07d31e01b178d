//! SSH sessions and the tunnel channels in them: client and server, stock and native.

mod algorithms;
pub mod client;
pub mod link;
pub mod server;
mod tcp;
pub mod trust;
mod tuning;
pub mod tunnel;

pub use tuning::{Congestion, Tuning};

/// The runtime that a session is at its best on: one thread, and events looked for whenever the session yields.
///
/// # Errors
/// The system has no file descriptors left.
pub fn session_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build()
}
