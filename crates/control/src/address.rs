//! An address as it is assigned to an interface.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// An address, the length of its prefix, and for a link with one other end perhaps the address of that.
///
/// With a peer the prefix is the peer's (the kernel makes the route to it), as `ip address add LOCAL peer PEER/LENGTH`
/// has it: `IFA_LOCAL` is [`IfAddr::net`]'s address and `IFA_ADDRESS` the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IfAddr {
    /// The address of the interface, and the length of the prefix.
    pub net: IpNet,
    /// The address of the other end, of the same family.
    pub peer: Option<IpAddr>,
}

/// The text is not `ADDRESS/LENGTH` or `ADDRESS/LENGTH peer ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of an interface; write ADDRESS/LENGTH, perhaps with ` peer ADDRESS`")]
pub struct IfAddrError(String);

impl IfAddr {
    /// The address itself.
    pub fn addr(&self) -> IpAddr {
        self.net.addr()
    }

    /// What the kernel reaches on the link itself: with a peer, what the prefix says of that.
    pub(crate) fn network(&self) -> IpNet {
        let net = self.peer.and_then(|peer| IpNet::new(peer, self.net.prefix_len()).ok());
        net.unwrap_or(self.net).trunc()
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        matches!(self.net, IpNet::V4(_))
    }
}

impl From<IpNet> for IfAddr {
    fn from(net: IpNet) -> Self {
        Self { net, peer: None }
    }
}

impl From<Ipv4Net> for IfAddr {
    fn from(net: Ipv4Net) -> Self {
        IpNet::from(net).into()
    }
}

impl From<Ipv6Net> for IfAddr {
    fn from(net: Ipv6Net) -> Self {
        IpNet::from(net).into()
    }
}

impl fmt::Display for IfAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{} peer {peer}", self.net),
            None => self.net.fmt(f),
        }
    }
}

impl FromStr for IfAddr {
    type Err = IfAddrError;

    fn from_str(text: &str) -> Result<Self, IfAddrError> {
        let wrong = || IfAddrError(text.to_owned());
        let (net, peer) = match text.split_once(" peer ") {
            Some((net, peer)) => (net, Some(peer.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let net: IpNet = net.parse().map_err(|_| wrong())?;
        match peer {
            Some(IpAddr::V4(_)) if net.addr().is_ipv6() => Err(wrong()),
            Some(IpAddr::V6(_)) if net.addr().is_ipv4() => Err(wrong()),
            peer => Ok(Self { net, peer }),
        }
    }
}

impl From<IfAddr> for String {
    fn from(address: IfAddr) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for IfAddr {
    type Error = IfAddrError;

    fn try_from(text: String) -> Result<Self, IfAddrError> {
        text.parse()
    }
}
