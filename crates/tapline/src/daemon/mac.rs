//! MAC addresses that a restarted daemon gives its taps again, so that what neighbours know of them stays true.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use sha1::{Digest, Sha1};
use tapline_frame::Mode;

/// Which end of which link a tap is.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// Of a link that this host opens.
    Opened(&'a str),
    /// Of the link of this peer, which this host accepts.
    Accepted(&'a str),
}

/// What an address is derived from beside the link. Not `machine-id`: containers, and namespaces of one machine, share
/// it, and the clones of a machine often do. No two interfaces of one name have the same boot and namespace; with both
/// of a restarted machine's being new, its addresses are as random as the kernel's.
struct Place {
    boot: String,
    /// The inode of the network namespace.
    namespace: u64,
}

/// Gives a tap in the network namespace of the calling thread its address. Where that fails it has the kernel's.
pub(super) fn settle(mode: Mode, interface: &str, end: End<'_>, set: impl FnOnce([u8; 6]) -> io::Result<()>) {
    if mode == Mode::PointToPoint {
        return;
    }
    if let Err(error) = Place::here().and_then(|place| set(address(&place, interface, end))) {
        tracing::debug!(interface, %error, "its MAC address will be another after a restart");
    }
}

impl Place {
    fn here() -> io::Result<Self> {
        Ok(Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?,
            namespace: fs::metadata("/proc/thread-self/ns/net")?.ino(),
        })
    }
}

/// The address that a bridge is made with. Left to itself it would have that of a port, and another one each time a port
/// comes or goes, for which its neighbours lose it.
pub(super) fn of_bridge(interface: &str) -> Option<[u8; 6]> {
    Place::here().ok().map(|place| derived(&place, LOCAL, &["bridge", interface]))
}

/// The highest byte that is locally administered and of one interface: a bridge without an address of its own takes the
/// least of its ports', which then is never a tap's that comes and goes while it has any other port.
const HIGH: u8 = 0xfe;
/// As the kernel makes them.
const LOCAL: u8 = 0x02;

/// The ends of one link differ whatever else is the same, as one of them opened
/// it and the other accepted it.
fn address(place: &Place, interface: &str, end: End<'_>) -> [u8; 6] {
    let (role, name) = match end {
        End::Opened(name) => ("opened", name),
        End::Accepted(name) => ("accepted", name),
    };
    derived(place, HIGH, &[role, name, interface])
}

fn derived(place: &Place, first: u8, parts: &[&str]) -> [u8; 6] {
    // A byte that is in none of them keeps the parts apart.
    let text = [place.boot.trim(), &place.namespace.to_string(), &parts.join("\0")].join("\0");
    let digest: [u8; 20] = Sha1::digest(text).into();
    let [second, third, fourth, fifth, sixth, ..] = digest;
    [first, second, third, fourth, fifth, sixth]
}

#[cfg(test)]
mod tests;
