//! An open `/dev/net/tun` with its interface: how it gets there, what went wrong if it does not, and how an interface
//! that was there before is left.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use libc::{c_int, c_uint};
use tapline_frame::{Mode, NetHeader};

use crate::open::{Target, mode_word};
use crate::{Offloads, OpenError, ioctl};

/// Dropping it sets an interface that persists back and lets the kernel remove any other.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) tun: Arc<File>,
    pub(crate) name: String,
    pub(crate) persistent: bool,
    found: HeaderSettings,
}

/// What stands in front of each frame read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    None,
    VirtioNet,
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
    pub(crate) fn new(target: &Target, header: Header) -> Result<Self, OpenError> {
        let tun = open_node()?;
        let kind = match target.mode {
            Mode::PointToPoint => libc::IFF_TUN,
            Mode::Ethernet => libc::IFF_TAP,
        };
        let header_flag = match header {
            Header::VirtioNet => libc::IFF_VNET_HDR,
            Header::None => 0,
        };
        let wanted_name = target.name.as_deref().unwrap_or_default();
        let name = ioctl::attach(&tun, wanted_name, kind | libc::IFF_NO_PI | header_flag)
            .map_err(|error| explain(target, error))?;
        let flags = ioctl::attached_flags(&tun)
            .map_err(|source| OpenError::SetUp { interface: name.clone(), source })?;
        let found = HeaderSettings {
            size: ioctl::vnet_header_size(&tun).ok(),
            little_endian: ioctl::vnet_little_endian(&tun).ok(),
        };
        Ok(Self { tun: Arc::new(tun), name, persistent: flags & libc::IFF_PERSIST != 0, found })
    }

    /// Switches on the virtio-net header of [`NetHeader::LEN`] bytes in little-endian order, and then what the kernel
    /// has of the offloads. `None` if it has not even the header.
    pub(crate) fn probe_offloads(&self) -> Option<Offloads> {
        let flags = ioctl::attached_flags(&self.tun).ok()?;
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
    pub(crate) fn refuse_offloads(&self) -> Result<(), OpenError> {
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
fn explain(target: &Target, error: io::Error) -> OpenError {
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
        Some(libc::EBUSY) => OpenError::Busy { interface },
        Some(libc::EPERM) if ioctl::interface_exists(&interface) => OpenError::NotOwner { interface, mode },
        Some(libc::EPERM) => {
            OpenError::CreateNotPermitted { what: interface.clone(), example: interface, mode }
        }
        Some(libc::EINVAL) if ioctl::interface_exists(&interface) => explain_mismatch(interface, mode),
        _ => OpenError::Attach { what: interface, source: error },
    }
}

fn explain_mismatch(interface: String, wanted: Mode) -> OpenError {
    let (driver, bus) = ioctl::driver_and_bus(&interface).unwrap_or_default();
    match (driver.as_str(), bus.as_str(), wanted) {
        ("tun", "tun", Mode::Ethernet) => OpenError::OtherMode { interface, is: Mode::PointToPoint, wanted },
        ("tun", "tap", Mode::PointToPoint) => OpenError::OtherMode { interface, is: Mode::Ethernet, wanted },
        ("tun", ..) => OpenError::MultiQueue { interface, mode: wanted },
        ("", ..) => OpenError::NameTaken { interface, driver: "driver unknown".into() },
        _ => OpenError::NameTaken { interface, driver },
    }
}

#[cfg(test)]
mod tests;
