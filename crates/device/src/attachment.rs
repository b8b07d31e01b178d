//! An open `/dev/net/tun` with its interface: how it gets there, what went wrong if it does not, and how an interface
//! that was there before is left.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use libc::{c_int, c_uint};
use tapline_frame::{Mode, NetHeader};

use crate::open::{Target, mode_word};
use crate::refusals::Refusals;
use crate::{OffloadPolicy, Offloads, OpenError, ioctl};

/// Dropping it sets an interface that persists back and lets the kernel remove any other.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) tun: Arc<File>,
    pub(crate) name: String,
    pub(crate) persistent: bool,
    /// What the kernel takes less than it said.
    pub(crate) refusals: Refusals,
    found: HeaderSettings,
}

/// What stands in front of each frame read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    None,
    VirtioNet,
}

/// How many files may be attached to the interface at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queueing {
    /// One, and the kernel sees to that.
    Single,
    /// As many as there are queues.
    Multi,
}

/// Settings of a persistent interface that outlive the file that made them.
#[derive(Debug, Default)]
struct HeaderSettings {
    size: Option<c_int>,
    little_endian: Option<c_int>,
}

const TCP_OFFLOADS: c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
const UDP_OFFLOADS: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// From the most to the least; USO came with Linux 6.2.
const OFFLOAD_STEPS: [(c_uint, Offloads); 3] = [
    (TCP_OFFLOADS | UDP_OFFLOADS, Offloads { checksum: true, tso: true, uso: true }),
    (TCP_OFFLOADS, Offloads { checksum: true, tso: true, uso: false }),
    (libc::TUN_F_CSUM, Offloads { checksum: true, tso: false, uso: false }),
];

impl Attachment {
    /// With as much of `policy` as the kernel has.
    pub(crate) fn with_offloads(
        target: &Target,
        queueing: Queueing,
        policy: OffloadPolicy,
    ) -> Result<(Self, Offloads), OpenError> {
        if policy == OffloadPolicy::Probe {
            let attachment = Self::new(target, queueing, Header::VirtioNet)?;
            if let Some(offloads) = attachment.probe_offloads() {
                return Ok((attachment, offloads));
            }
        }
        let attachment = Self::new(target, queueing, Header::None)?;
        attachment.refuse_offloads()?;
        Ok((attachment, Offloads::NONE))
    }

    /// As [`Attachment::with_offloads`] for one file, also of an interface that was made for several.
    pub(crate) fn single(target: &Target, policy: OffloadPolicy) -> Result<(Self, Offloads), OpenError> {
        match Self::with_offloads(target, Queueing::Single, policy) {
            // To the kernel it is never busy; what opens it so sees to that.
            Err(_) if is_persistent(target, Queueing::Multi).unwrap_or(false) => {
                Self::with_offloads(target, Queueing::Multi, policy)
            }
            result => result,
        }
    }

    fn new(target: &Target, queueing: Queueing, header: Header) -> Result<Self, OpenError> {
        if queueing == Queueing::Multi && !target.is_new {
            refuse_shared(target, header.other())?;
        }
        let (tun, name, flags) = attach(target, queueing, header)?;
        if queueing == Queueing::Multi && !header.is_in(flags) {
            return Err(OpenError::Busy { interface: name });
        }
        let found = HeaderSettings {
            size: ioctl::vnet_header_size(&tun).ok(),
            little_endian: ioctl::vnet_little_endian(&tun).ok(),
        };
        Ok(Self {
            tun: Arc::new(tun),
            name,
            persistent: flags & libc::IFF_PERSIST != 0,
            refusals: Refusals::default(),
            found,
        })
    }

    /// See [`crate::KernelDevice::set_address`].
    pub(crate) fn set_address(&self, address: [u8; 6]) -> io::Result<()> {
        if self.persistent { Ok(()) } else { ioctl::set_address(&self.tun, address) }
    }

    /// Switches the carrier through one of the interface's files, so that the kernel takes note of it: of one that is off to
    /// forget its neighbours, of one that is on to let frames out.
    pub(crate) fn switch_carrier(&self, through: &File, up: bool) -> io::Result<()> {
        ioctl::set_carrier(through, up)?;
        // Asking makes it so.
        self.carrier_is_noted(up);
        Ok(())
    }

    /// See [`crate::Device::carrier_is_noted`].
    pub(crate) fn carrier_is_noted(&self, carrier: bool) -> bool {
        let stack = ioctl::attached(&self.tun).and_then(|(name, _)| ioctl::stack_has_carrier(&name));
        // Where it cannot be known it is not waited for.
        carrier || !stack.unwrap_or(false)
    }

    /// Switches on the virtio-net header of [`NetHeader::LEN`] bytes in little-endian order, and then what the kernel
    /// has of the offloads. `None` if it has not even the header.
    fn probe_offloads(&self) -> Option<Offloads> {
        let (_, flags) = ioctl::attached(&self.tun).ok()?;
        if flags & libc::IFF_VNET_HDR == 0 {
            return None;
        }
        ioctl::set_vnet_header_size(&self.tun, c_int::try_from(NetHeader::LEN).ok()?).ok()?;
        // Kernels without this request use the host's order, which is little-endian but for a few hosts.
        if ioctl::set_vnet_little_endian(&self.tun, 1).is_err() && cfg!(target_endian = "big") {
            return None;
        }
        OFFLOAD_STEPS
            .iter()
            .find(|(mask, _)| ioctl::set_offload(&self.tun, *mask).is_ok())
            .map(|(_, offloads)| *offloads)
    }

    /// Clears what an earlier user of a persistent interface may have left on: without headers, super-frames and
    /// partial checksums could not be told from others.
    fn refuse_offloads(&self) -> Result<(), OpenError> {
        ioctl::set_offload(&self.tun, 0)
            .map_err(|source| OpenError::SetUp { interface: self.name.clone(), source })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if !self.persistent {
            return;
        }
        // The interface may have been deleted; then there is nothing to set back.
        let _ = ioctl::set_offload(&self.tun, 0);
        if let Some(size) = self.found.size {
            let _ = ioctl::set_vnet_header_size(&self.tun, size);
        }
        if let Some(on) = self.found.little_endian {
            let _ = ioctl::set_vnet_little_endian(&self.tun, on);
        }
    }
}

impl Header {
    fn flag(self) -> c_int {
        match self {
            Self::VirtioNet => libc::IFF_VNET_HDR,
            Self::None => 0,
        }
    }

    fn is_in(self, flags: c_int) -> bool {
        flags & libc::IFF_VNET_HDR == self.flag()
    }

    fn other(self) -> Self {
        match self {
            Self::VirtioNet => Self::None,
            Self::None => Self::VirtioNet,
        }
    }
}

/// An open file, the interface's name, and its flags. Closing the file leaves an interface that persists as it is.
fn attach(target: &Target, queueing: Queueing, header: Header) -> Result<(File, String, c_int), OpenError> {
    let tun = open_node()?;
    let name =
        ioctl::attach(&tun, target.name.as_deref().unwrap_or_default(), flags(target, queueing, header))
            .map_err(|error| explain(target, queueing, error))?;
    let (name, flags) =
        ioctl::attached(&tun).map_err(|source| OpenError::SetUp { interface: name, source })?;
    Ok((tun, name, flags))
}

/// Another queue of the interface that `first` is attached to, not in use yet.
pub(crate) fn attach_queue(mode: Mode, first: &Attachment) -> Result<File, OpenError> {
    let set_up = |source| OpenError::SetUp { interface: first.name.clone(), source };
    // By the name it has now; when it is gone, a new one by its old name would be made.
    let (name, flags) = ioctl::attached(&first.tun).map_err(set_up)?;
    let header = if Header::VirtioNet.is_in(flags) { Header::VirtioNet } else { Header::None };
    let target = Target { mode, name: Some(name), is_new: false };
    let (tun, ..) = attach(&target, Queueing::Multi, header)?;
    ioctl::set_queue(&tun, false).map_err(set_up)?;
    Ok(tun)
}

/// An interface with several queues is never busy to the kernel. But it takes the header that the first of its files
/// asks for, so whoever asks for one and gets the other is not the first: once here and once when attaching for good,
/// with either header, finds everybody.
fn refuse_shared(target: &Target, header: Header) -> Result<(), OpenError> {
    if !target.name.as_deref().is_some_and(ioctl::interface_exists) {
        return Ok(());
    }
    let (_, interface, flags) = attach(target, Queueing::Multi, header)?;
    if header.is_in(flags) { Ok(()) } else { Err(OpenError::Busy { interface }) }
}

fn flags(target: &Target, queueing: Queueing, header: Header) -> c_int {
    let kind = match target.mode {
        Mode::PointToPoint => libc::IFF_TUN,
        Mode::Ethernet => libc::IFF_TAP,
    };
    let queues = match queueing {
        Queueing::Single => 0,
        Queueing::Multi => libc::IFF_MULTI_QUEUE,
    };
    let exclusive = if target.is_new { libc::IFF_TUN_EXCL } else { 0 };
    kind | queues | exclusive | libc::IFF_NO_PI | header.flag()
}

fn open_node() -> Result<File, OpenError> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun").map_err(
        |error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => OpenError::NoDriver,
            Some(libc::EACCES | libc::EPERM) => OpenError::NodePermission,
            _ => OpenError::Node(error),
        },
    )
}

/// The kernel answers a good many mistakes with the same error; what holds the name tells them apart.
fn explain(target: &Target, queueing: Queueing, error: io::Error) -> OpenError {
    let mode = target.mode;
    let Some(interface) = target.name.clone() else {
        let what = format!("a {} device", mode_word(mode));
        return match error.raw_os_error() {
            Some(libc::EPERM) => {
                OpenError::CreateNotPermitted { what, example: format!("{}0", mode_word(mode)), mode }
            }
            _ => OpenError::Attach { what, source: error },
        };
    };
    match error.raw_os_error() {
        Some(libc::EBUSY) if target.is_new => OpenError::Exists { interface },
        Some(libc::EBUSY) => OpenError::Busy { interface },
        Some(libc::EPERM) if ioctl::interface_exists(&interface) => OpenError::NotOwner { interface, mode },
        Some(libc::EPERM) => {
            OpenError::CreateNotPermitted { what: interface.clone(), example: interface, mode }
        }
        Some(libc::EINVAL) if ioctl::interface_exists(&interface) => {
            explain_mismatch(target, interface, queueing)
        }
        _ => OpenError::Attach { what: interface, source: error },
    }
}

fn explain_mismatch(target: &Target, interface: String, queueing: Queueing) -> OpenError {
    let wanted = target.mode;
    let (driver, bus) = ioctl::driver_and_bus(&interface).unwrap_or_default();
    match (driver.as_str(), bus.as_str(), wanted) {
        ("tun", "tun", Mode::Ethernet) => OpenError::OtherMode { interface, is: Mode::PointToPoint, wanted },
        ("tun", "tap", Mode::PointToPoint) => OpenError::OtherMode { interface, is: Mode::Ethernet, wanted },
        ("tun", ..) => explain_queues(target, interface, queueing),
        ("", ..) => OpenError::NameTaken { interface, driver: "driver unknown".into() },
        _ => OpenError::NameTaken { interface, driver },
    }
}

/// The interface has queues where one file is wanted, or the other way round. If it does not persist, another process has
/// made it for itself.
fn explain_queues(target: &Target, interface: String, wanted: Queueing) -> OpenError {
    let mode = target.mode;
    let other = match wanted {
        Queueing::Single => Queueing::Multi,
        Queueing::Multi => Queueing::Single,
    };
    match (is_persistent(target, other), wanted) {
        (Ok(true), Queueing::Multi) => OpenError::SingleQueue { interface, mode },
        // The kernel looks at the owner after the queues.
        (Err(error), _) if error.raw_os_error() == Some(libc::EPERM) => {
            OpenError::NotOwner { interface, mode }
        }
        _ => OpenError::Busy { interface },
    }
}

/// Whether the interface of that name can be attached to so, and stays without us.
fn is_persistent(target: &Target, queueing: Queueing) -> io::Result<bool> {
    let Some(interface) = target.name.as_deref().filter(|name| ioctl::interface_exists(name)) else {
        return Ok(false);
    };
    let tun = open_node().map_err(io::Error::other)?;
    ioctl::attach(&tun, interface, flags(target, queueing, Header::None))?;
    Ok(ioctl::attached(&tun)?.1 & libc::IFF_PERSIST != 0)
}

/// Takes from the persistent interface `name` what a process that was killed may have left on it: whoever attaches to it
/// next without asking for a virtio-net header, as OpenSSH does, would get super-frames and partial checksums and could
/// not tell. `has_header`: the interface has that header now, so that whoever uses it knows what he does and is left alone.
/// Returns whether nothing is left.
///
/// # Errors
/// The interface is gone, belongs to another user, or is none of ours.
pub fn clear_offloads(name: &str, has_header: bool) -> Result<bool, OpenError> {
    let set_up = |source| OpenError::SetUp { interface: name.to_owned(), source };
    let mode = match ioctl::driver_and_bus(name).map_err(set_up)? {
        (driver, bus) if driver == "tun" && bus == "tap" => Mode::Ethernet,
        (driver, bus) if driver == "tun" && bus == "tun" => Mode::PointToPoint,
        (driver, _) => return Err(OpenError::NameTaken { interface: name.to_owned(), driver }),
    };
    let target = Target { mode, name: Some(name.to_owned()), is_new: false };
    match Attachment::single(&target, OffloadPolicy::Off) {
        // What attaches without offloads has cleared them.
        Ok(_attachment) => Ok(true),
        Err(OpenError::Busy { .. }) if has_header => Ok(false),
        Err(OpenError::Busy { .. }) => ioctl::clear_features(name).map(|()| true).map_err(set_up),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
