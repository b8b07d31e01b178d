//! The kernel's network state over rtnetlink: what is desired, what is there, the difference, and back.
//!
//! [`Desired`] and [`Observed`] are values, and [`plan()`] is their difference: a list of [`Operation`]s, each with its
//! inverse. A [`Controller`] observes, plans, applies, verifies, and rolls back when a change fails.
//!
//! ```no_run
//! use tapline_control::{Controller, Desired, Interface, Journal};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut controller = Controller::new(Journal::open("/run/tapline/state.json")?)?;
//! let addresses = ["fd77::2/64".parse()?].into();
//! let mut desired = Desired::default();
//! desired.interfaces.insert("tap0".parse()?, Interface { addresses, ..Interface::default() });
//!
//! let outcome = controller.reconcile(&desired).await?.check()?;
//! assert!(controller.reconcile(&desired).await?.changes.is_empty());
//! controller.remove_all().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What belongs to Tapline
//! What Tapline adds to the kernel it removes, and what it finds it leaves. [`Owned`] is the record that this rests
//! on; a [`Journal`] keeps it in a file, which is written before each change, so that a process that was killed leaves
//! nothing behind that the next one does not know. In the kernel the same is marked for people to see: bridges with
//! the alias [`BRIDGE_ALIAS`], addresses and routes with the protocol number [`PROTOCOL`].
//!
//! An interface is the same one as long as its number (`ifindex`) is; what is recorded for a name is never applied to
//! a later interface of that name.
//!
//! # Namespaces
//! Everything works inside a user namespace too, where `CAP_NET_ADMIN` is had without being root outside.
//! [`namespace`] makes network namespaces for labs and tests.
//!
//! This crate knows no YAML and no SSH, and imports no other crate of Tapline.

mod address;
mod controller;
mod desired;
mod events;
mod execute;
mod filter;
mod hands;
mod journal;
mod name;
pub mod namespace;
mod neighbours;
mod netlink;
mod observe;
mod observed;
mod operation;
mod outside;
mod owned;
mod plan;
mod returning;
mod sysctl;

pub use address::{IfAddr, IfAddrError};
pub use controller::{
    Controller, DuplicateAddresses, InterfaceAddress, MissingPrivilege, NarrowPort, ObserveError, Outcome,
    ReconcileError, RemoveError,
};
pub use desired::{Bridge, BridgeParameters, Desired, Interface, Route};
pub use events::{EventsError, LinkEvent, LinkEvents};
pub use execute::{OperationError, Reason};
pub use filter::{BridgeFilter, bridge_filters};
pub use hands::InOtherHands;
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use journal::{Journal, JournalError};
pub use name::{InterfaceName, InterfaceNameError, MacAddress, MacAddressError};
pub use netlink::NetlinkError;
pub use observed::{Address, Ipv6Settings, Link, LinkRoute, Observed, Tun};
pub use operation::{BRIDGE_ALIAS, Ipv6Setting, Operation, PROTOCOL};
pub use outside::{KeptOutside, Obstacle, Tunnels, keep_outside, may_need};
pub use owned::{Found, Owned, OwnedInterface};
pub use plan::{Conflict, Plan, plan};
pub use returning::{ReturnError, Returned};
