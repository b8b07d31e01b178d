//! A wire between two namespaces: a pair of veth interfaces.

use std::{io, os::fd::AsFd, os::fd::AsRawFd};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoVeth, LinkMessage},
};
use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_core::{NLM_F_CREATE, NLM_F_EXCL},
};

use super::{Namespace, NamespaceError};
use crate::{
    Desired, Interface, InterfaceName, MacAddress,
    netlink::{Netlink, NetlinkError},
};

/// One end of a wire: an interface that is made in `namespace`.
#[derive(Debug, Clone)]
pub struct WireEnd<'a> {
    pub namespace: &'a Namespace,
    pub interface: InterfaceName,
    /// Random when not given.
    pub macaddress: Option<MacAddress>,
    /// Bytes behind the Ethernet header; 1500 when not given. The same at both ends, as on a real wire.
    pub mtu: Option<u32>,
}

impl<'a> WireEnd<'a> {
    /// An end with a random address and an MTU of 1500.
    pub fn new(namespace: &'a Namespace, interface: InterfaceName) -> Self {
        Self { namespace, interface, macaddress: None, mtu: None }
    }

    fn describe<T>(&self, mut link: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        if let Some(address) = self.macaddress {
            link = link.address(address.0.to_vec());
        }
        if let Some(mtu) = self.mtu {
            link = link.mtu(mtu);
        }
        link
    }
}

/// Lays a wire between two namespaces and brings both its ends up. It goes when one of the namespaces goes, or one of
/// the interfaces is deleted.
///
/// # Errors
/// A name is taken, or the caller lacks `CAP_NET_ADMIN` in one of the namespaces.
pub fn wire(a: &WireEnd<'_>, b: &WireEnd<'_>) -> Result<(), NamespaceError> {
    // The kernel makes the peer where the descriptor says, so no name is ever taken in a third namespace.
    let there = b.namespace.as_fd().as_raw_fd();
    let peer = LinkMessageBuilder::<LinkUnspec>::new().name(b.interface.as_str());
    let peer = b.describe(peer).setns_by_fd(there).build();
    let pair = LinkVeth::new(a.interface.as_str(), b.interface.as_str());
    let pair = a.describe(pair).set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
    a.namespace.block_on(|| create(pair))?.map_err(NamespaceError::Wire)?;
    for end in [a, b] {
        let mut desired = Desired::default();
        desired.interfaces.insert(end.interface.clone(), Interface::default());
        end.namespace.configure(&desired)?;
    }
    Ok(())
}

async fn create(pair: LinkMessage) -> io::Result<()> {
    let netlink = Netlink::open()?;
    let created = netlink.change(RouteNetlinkMessage::NewLink(pair), NLM_F_CREATE | NLM_F_EXCL).await;
    created.map_err(|error| match error {
        NetlinkError::Refused { error, .. } => error,
        other => io::Error::other(other),
    })
}
