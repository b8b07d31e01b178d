//! SSH sessions and the tunnel channels in them: client and server, stock and native.

pub mod client;
pub mod link;
pub mod server;
pub mod trust;
pub mod tunnel;
