//! russh 0.65.1 with channels of other types; see README.md for what is added and why.
//!
//! Everything is as in russh's own documentation, and [`tunnel`] is new.

// The included source is russh's, judged by russh's own lints.
#![allow(warnings, clippy::all, clippy::restriction)]

include!(concat!(env!("OUT_DIR"), "/russh/lib_inner.rs"));
