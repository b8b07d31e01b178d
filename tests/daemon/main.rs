//! The daemon: what it promises of the host that it runs on.
