//! Tapline's configuration: YAML text in, valid values out.
//!
//! [`Config`] is the file of one host, [`Lab`] the file of several hosts on one machine. After parsing nothing is a
//! string that still has to be understood: addresses are addresses, times are times, and a bridge that is named
//! exists. A file with mistakes gives [`Diagnostics`], all of them in one run, each with its place and what to do.
//!
//! The crate opens the one file it is given. It knows no network, no device and no daemon.

mod check;
mod configuration;
mod diagnostic;
mod document;
mod file;
mod foreign;
mod lab;
mod nearest;
mod render;
mod schema;
pub mod ssh_config;
mod value;

pub use configuration::{Accept, Bridge, BridgeParameters, Config, Link, Server};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use file::{LoadError, Loaded, Places};
pub use lab::{Attachment, Check, Host, Lab, Network, Probe};
pub use schema::{OneOrMany, json_schema};
pub use value::{
    AddressBlock, AddressFamily, Bounded, Congestion, CongestionName, HostName, HostTarget, InterfaceAddress,
    InterfaceName, InvalidValue, Jump, LinkLocal, MacAddr, MaxStartups, Mtu, Name, Native, NetBlockSize,
    PathPattern, PermitTunnel, ProxyCommand, ProxyJump, PublicKey, RekeyLimit, Route, ShellCommand,
    StrictHostKeyChecking, Tunnel, TunnelDevice, Unit, UserName, WindowLimit, ZonedAddr, parse_duration,
};

/// Address and prefix, as the network keys of a configuration have it.
pub use ipnet;
