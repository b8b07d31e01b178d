//! What happens to interfaces, as the kernel tells it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
};

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use rtnetlink::{
    packet_core::{NetlinkMessage, NetlinkPayload},
    sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE},
};

use crate::{
    InterfaceName, Observed,
    netlink::{Netlink, NetlinkError},
    observe,
};

/// Something happened to an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It was not there before, or had another name.
    New { interface: InterfaceName, index: u32, up: bool },
    /// It is administratively up and has carrier now.
    Up { interface: InterfaceName, index: u32 },
    /// It is not any more.
    Down { interface: InterfaceName, index: u32 },
    /// It does not exist any more, or has another name now.
    Gone { interface: InterfaceName, index: u32 },
}

/// The events of the interfaces of one network namespace, without gaps: when the kernel had to drop some, the
/// difference to the state then is told.
pub struct LinkEvents {
    monitor: Monitor,
    netlink: Netlink,
    table: LinkTable,
    ready: VecDeque<LinkEvent>,
}

/// The kernel's events cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    #[error("cannot watch network interfaces: {0}")]
    Socket(#[from] io::Error),
    #[error("cannot read network interfaces: {0}")]
    Netlink(#[from] NetlinkError),
}

impl LinkEvents {
    /// Starts to watch. Each interface that exists comes first as [`LinkEvent::New`].
    pub(crate) async fn open() -> Result<Self, EventsError> {
        let monitor = Monitor::open(&[Monitor::LINK])?;
        let netlink = Netlink::open()?;
        let mut events = Self { monitor, netlink, table: LinkTable::default(), ready: VecDeque::new() };
        events.resynchronise().await?;
        Ok(events)
    }

    /// The next event.
    ///
    /// Cancel safe: no event is lost when the future is dropped.
    ///
    /// # Errors
    /// The socket failed; watching can only be started anew.
    pub async fn next(&mut self) -> Result<LinkEvent, EventsError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            match self.monitor.next().await? {
                Notice::Messages(messages) => {
                    for message in messages {
                        self.ready.extend(self.table.message(&message));
                    }
                }
                Notice::Lost => self.resynchronise().await?,
            }
        }
    }

    async fn resynchronise(&mut self) -> Result<(), EventsError> {
        let observed = observe::observe(&self.netlink).await?;
        self.ready.extend(self.table.replace(&observed));
        Ok(())
    }
}

impl fmt::Debug for LinkEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkEvents").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// What was told of each interface so far. Pure.
#[derive(Debug, Default)]
struct LinkTable {
    links: BTreeMap<u32, (InterfaceName, bool)>,
}

impl LinkTable {
    fn message(&mut self, message: &RouteNetlinkMessage) -> Vec<LinkEvent> {
        match message {
            // With AF_BRIDGE these tell of a port, not of an interface.
            RouteNetlinkMessage::NewLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                let up = link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
                name(link).map(|name| self.seen(link.header.index, name, up)).unwrap_or_default()
            }
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.gone(link.header.index).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn replace(&mut self, observed: &Observed) -> Vec<LinkEvent> {
        let stays = |index: &u32| observed.by_index(*index).is_some();
        let gone: Vec<u32> = self.links.keys().copied().filter(|index| !stays(index)).collect();
        let mut events: Vec<LinkEvent> = gone.into_iter().filter_map(|index| self.gone(index)).collect();
        for (name, link) in &observed.links {
            events.extend(self.seen(link.index, name.clone(), link.up && link.carrier));
        }
        events
    }

    fn seen(&mut self, index: u32, interface: InterfaceName, up: bool) -> Vec<LinkEvent> {
        let before = self.links.insert(index, (interface.clone(), up));
        match before {
            Some((name, _)) if name != interface => {
                vec![LinkEvent::Gone { interface: name, index }, LinkEvent::New { interface, index, up }]
            }
            Some((_, was_up)) if was_up == up => Vec::new(),
            Some(_) if up => vec![LinkEvent::Up { interface, index }],
            Some(_) => vec![LinkEvent::Down { interface, index }],
            None => vec![LinkEvent::New { interface, index, up }],
        }
    }

    fn gone(&mut self, index: u32) -> Option<LinkEvent> {
        self.links.remove(&index).map(|(interface, _)| LinkEvent::Gone { interface, index })
    }
}

fn name(link: &LinkMessage) -> Option<InterfaceName> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(text) => text.parse().ok(),
        _ => None,
    })
}

/// A socket that the kernel's notifications come to.
///
/// It is read only when it is asked, so what waits is bounded by the socket's buffer in the kernel.
pub(crate) struct Monitor {
    socket: TokioSocket,
}

pub(crate) enum Notice {
    Messages(Vec<RouteNetlinkMessage>),
    /// The kernel dropped notifications because the socket's buffer was full.
    Lost,
}

impl Monitor {
    pub(crate) const LINK: u32 = 1;
    pub(crate) const IPV6_ADDRESS: u32 = 9;

    /// Subscribes to `groups` (`RTNLGRP_*`) of the calling thread's namespace, within a tokio runtime.
    pub(crate) fn open(groups: &[u32]) -> io::Result<Self> {
        const BUFFER: usize = 1 << 20;
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        // More than `rmem_max` is cut to it.
        socket.socket_mut().set_rx_buf_sz(BUFFER)?;
        socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
        for group in groups {
            socket.socket_mut().add_membership(*group)?;
        }
        Ok(Self { socket })
    }

    /// Waits for the next datagram. Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Notice> {
        // The kernel makes notifications of at most a page, and dumps of at most 32 KiB.
        let mut datagram = Vec::with_capacity(64 << 10);
        match self.socket.recv(&mut datagram).await {
            Ok(()) => Ok(Notice::Messages(parse(&datagram))),
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => Ok(Notice::Lost),
            Err(error) => Err(error),
        }
    }
}

/// The messages of one datagram; what this crate does not understand is left out.
fn parse(mut datagram: &[u8]) -> Vec<RouteNetlinkMessage> {
    const HEADER: usize = 16;
    let mut messages = Vec::new();
    while let Some((length, _)) = datagram.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_ne_bytes(*length)).unwrap_or(usize::MAX);
        let Some(bytes) = datagram.get(..length).filter(|bytes| bytes.len() >= HEADER) else { break };
        if let Ok(message) = NetlinkMessage::deserialize(bytes)
            && let NetlinkPayload::InnerMessage(inner) = message.payload
        {
            messages.push(inner);
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

#[cfg(test)]
mod tests;
