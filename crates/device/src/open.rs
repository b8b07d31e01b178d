//! Opening devices: names, units and what can go wrong.

use std::io;

use tapline_frame::Mode;

use crate::KernelDevice;
use crate::attachment::{Attachment, Queueing};

/// Which device to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    pub mode: Mode,
    pub unit: Unit,
    /// An interface name to use instead of `tunN` or `tapN`; `unit` is then not looked at.
    pub name: Option<String>,
    pub offloads: OffloadPolicy,
}

/// The number in `tunN` or `tapN`, as in OpenSSH's `TunnelDevice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The lowest number that is free, chosen by the kernel; always creates a device.
    Any,
    /// Exactly this one, at most [`Unit::MAX`]; a device that exists is used.
    Number(u32),
}

/// Whether to ask the kernel for super-frames and partial checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffloadPolicy {
    /// Every frame is complete and fits the interface's MTU.
    Off,
    /// As much as the kernel has; [`crate::Device::offloads`] tells what that is.
    #[default]
    Probe,
}

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "/dev/net/tun does not exist or has no driver: run `modprobe tun`, or pass the device node into this container"
    )]
    NoDriver,
    #[error(
        "no permission to open /dev/net/tun: run as root, or let the group or everyone read and write it"
    )]
    NodePermission,
    #[error("cannot open /dev/net/tun: {0}")]
    Node(#[source] io::Error),
    #[error("unit {0} is out of range: use any or a number up to {max}", max = Unit::MAX)]
    UnitOutOfRange(u32),
    #[error("{0:?} is no interface name: use 1 to 15 characters without space, `/`, `:` or `%`")]
    Name(String),
    #[error(
        "creating {what} needs CAP_NET_ADMIN: run as root, or have root run `ip tuntap add dev {example} mode {mode} user NAME` and name that device",
        mode = mode_word(*mode)
    )]
    CreateNotPermitted { what: String, example: String, mode: Mode },
    #[error(
        "{interface} belongs to another user: run as its owner or root, or have root recreate it with `ip tuntap add dev {interface} mode {mode} user NAME`",
        mode = mode_word(*mode)
    )]
    NotOwner { interface: String, mode: Mode },
    #[error(
        "{interface} is in use by another process: stop that one (`fuser -v /dev/net/tun` lists them) or choose another unit"
    )]
    Busy { interface: String },
    #[error("{interface} is there already: choose a number that is free, or any")]
    Exists { interface: String },
    #[error(
        "{interface} is a {is} device and {wanted} is needed: choose another unit, or the tunnel mode that fits it",
        is = mode_word(*is), wanted = mode_word(*wanted)
    )]
    OtherMode { interface: String, is: Mode, wanted: Mode },
    #[error(
        "{interface} was created without multi_queue, and each connection of the link wants a queue: recreate it with `ip tuntap add dev {interface} mode {mode} multi_queue`, or give the link one of `connections`",
        mode = mode_word(*mode)
    )]
    SingleQueue { interface: String, mode: Mode },
    #[error(
        "the name {interface} is taken by another kind of interface ({driver}): rename that one or choose another unit"
    )]
    NameTaken { interface: String, driver: String },
    #[error("cannot attach to {what}: {source}")]
    Attach { what: String, source: io::Error },
    #[error("cannot set up {interface}: {source}")]
    SetUp { interface: String, source: io::Error },
}

impl OpenRequest {
    /// A request for `tunN` or `tapN` with all offloads there are.
    pub fn new(mode: Mode, unit: Unit) -> Self {
        Self { mode, unit, name: None, offloads: OffloadPolicy::Probe }
    }
}

impl Unit {
    /// OpenSSH's highest unit; the two numbers above mean "any" and "error" there.
    pub const MAX: u32 = 0x7fff_fffd;
}

/// Opens a tap ([`Mode::Ethernet`]) or tun ([`Mode::PointToPoint`]) device in the network namespace of the calling
/// thread.
///
/// A device that exists under the name is used, which needs no capability if it belongs to the user; what has been
/// changed on it is set back when the [`KernelDevice`] is dropped. Otherwise one is created, and the kernel removes it
/// when the [`KernelDevice`] is dropped or the process ends, however it ends; a child process that is being started
/// at that moment delays it until its `exec`. The interface is not set up and gets no address.
///
/// A persistent device that was created with `multi_queue` is used with one queue.
///
/// # Errors
/// See [`OpenError`]; nothing is left behind.
pub fn open(request: &OpenRequest) -> Result<KernelDevice, OpenError> {
    let target = Target::of(request)?;
    let (attachment, offloads) = Attachment::single(&target, request.offloads)?;
    Ok(KernelDevice::new(attachment, target.mode, offloads))
}

/// As [`open`], but never uses a device that exists: it may be somebody else's.
///
/// # Errors
/// As there, and [`OpenError::Exists`] for whatever has the name, without a gap in which it could come.
pub fn create(request: &OpenRequest) -> Result<KernelDevice, OpenError> {
    let target = Target { is_new: true, ..Target::of(request)? };
    let (attachment, offloads) = Attachment::with_offloads(&target, Queueing::Single, request.offloads)?;
    Ok(KernelDevice::new(attachment, target.mode, offloads))
}

/// What to attach to: a name that the kernel takes, or none for its own choice.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) mode: Mode,
    pub(crate) name: Option<String>,
    /// Whether an interface that exists is refused.
    pub(crate) is_new: bool,
}

impl Target {
    pub(crate) fn of(request: &OpenRequest) -> Result<Self, OpenError> {
        let name = match (&request.name, request.unit) {
            (Some(name), _) if is_interface_name(name) => Some(name.clone()),
            (Some(name), _) => return Err(OpenError::Name(name.clone())),
            (None, Unit::Any) => None,
            (None, Unit::Number(unit)) if unit > Unit::MAX => return Err(OpenError::UnitOutOfRange(unit)),
            (None, Unit::Number(unit)) => Some(format!("{}{unit}", mode_word(request.mode))),
        };
        Ok(Self { mode: request.mode, name, is_new: false })
    }
}

/// `dev_valid_name` of the kernel, and no `%`, from which it would make a name of its own.
fn is_interface_name(name: &str) -> bool {
    (1..libc::IFNAMSIZ).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|char: char| char.is_whitespace() || char.is_control() || "/:%".contains(char))
}

/// The word of `ip tuntap` for the mode, which is the prefix of the names too.
pub(crate) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::PointToPoint => "tun",
        Mode::Ethernet => "tap",
    }
}

#[cfg(test)]
mod tests;
