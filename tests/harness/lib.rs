//! Whole programs in network namespaces: `tapline`, Debian's OpenSSH, and what sends and listens through their links.
//!
//! A test makes [`Namespace`]s, joins them with [`veth`] pairs, starts [`Process`]es in them and waits for conditions
//! with [`eventually`]. Everything ends with the value that stands for it, also when the test fails; then what the
//! processes said is printed. Nothing of the host's network is seen or touched.
//!
//! Whatever cannot go on panics: that is what fails a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod capture;
mod keys;
mod namespace;
mod openssh;
mod process;
mod requirements;
mod tapline;
mod wait;

pub use capture::{Capture, FrameSender};
pub use keys::Keys;
pub use namespace::{Namespace, veth};
pub use openssh::{Ssh, Sshd, sshd};
pub use process::Process;
pub use requirements::are_met;
pub use tapline::{connect, example, run, tapline};
pub use wait::{PATIENCE, eventually, wait_until};
