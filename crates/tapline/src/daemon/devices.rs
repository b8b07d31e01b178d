//! The devices of the links that this host opens.

use nix::net::if_::if_nametoindex;
use tapline_control::InterfaceName;
use tapline_device::{Device, MultiQueue, OffloadPolicy, OpenError, OpenRequest, Unit};
use tapline_frame::Mode;

use super::accept::next_free;
use super::{LinkSpec, mac};

/// A link's interface, with a queue for each connection if it has several.
pub(super) struct Devices {
    pub(super) queues: Vec<Box<dyn Device>>,
    pub(super) interface: InterfaceName,
    /// The kernel's number of the interface.
    pub(super) index: u32,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DevicesError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Name(#[from] tapline_control::InterfaceNameError),
    #[error("{0} was deleted as soon as it was made")]
    Gone(InterfaceName),
}

impl DevicesError {
    /// Somebody has the interface, and has it in a way of his own.
    pub(super) fn is_taken(&self) -> bool {
        use OpenError::{Busy, SingleQueue};
        matches!(self, Self::Open(Busy { .. } | SingleQueue { .. }))
    }
}

/// The name that the link's interface will have, unless the kernel is to choose.
pub(super) fn chosen_name(link: &LinkSpec) -> Option<String> {
    if let Some(own) = &link.set_name {
        return Some(own.clone());
    }
    let prefix = match link.mode {
        Mode::Ethernet => "tap",
        Mode::PointToPoint => "tun",
    };
    match link.local_unit {
        Unit::Any => None,
        Unit::Number(number) => Some(format!("{prefix}{number}")),
    }
}

/// Whether both links have the same interface, whatever goes through it.
pub(super) fn are_the_same(one: &LinkSpec, other: &LinkSpec) -> bool {
    let device = |link: &LinkSpec| (link.mode, chosen_name(link), link.connections);
    device(one) == device(other)
}

/// Opens the link's devices. Where the kernel may choose the name, `former` is taken again if it is free.
pub(super) fn open(link: &LinkSpec, former: Option<&InterfaceName>) -> Result<Devices, DevicesError> {
    let again = former.filter(|name| chosen_name(link).is_none() && if_nametoindex(name.as_str()).is_err());
    let request = |unit| OpenRequest {
        mode: link.mode,
        unit,
        name: link.set_name.clone().or(again.map(ToString::to_string)),
        offloads: OffloadPolicy::Probe,
    };
    // Where the number is open, those that the configuration gives to others stay free for them.
    let is_open = chosen_name(link).is_none() && again.is_none();
    let others = link.reserved.units(link.mode);
    let mut queues: Vec<Box<dyn Device>> = Vec::new();
    let name = if link.connections > 1 {
        let interface = match is_open {
            true => next_free(&others, |unit, _| MultiQueue::create(&request(unit))),
            false => MultiQueue::open(&request(link.local_unit)),
        }?;
        mac::settle(link.mode, interface.name(), mac::End::Opened(&link.name), |address| {
            interface.set_address(address)
        });
        for _ in 0..link.connections {
            queues.push(Box::new(interface.queue()?));
        }
        interface.name().to_owned()
    } else {
        let device = match is_open {
            true => next_free(&others, |unit, _| tapline_device::create(&request(unit))),
            false => tapline_device::open(&request(link.local_unit)),
        }?;
        mac::settle(link.mode, device.name(), mac::End::Opened(&link.name), |address| {
            device.set_address(address)
        });
        let name = device.name().to_owned();
        queues.push(Box::new(device));
        name
    };
    let interface: InterfaceName = name.parse()?;
    match if_nametoindex(interface.as_str()) {
        Ok(index) => Ok(Devices { queues, interface, index }),
        Err(_) => Err(DevicesError::Gone(interface)),
    }
}
