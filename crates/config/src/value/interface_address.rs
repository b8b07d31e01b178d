//! Addresses as they are assigned to interfaces.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::InvalidValue;
use crate::diagnostic::{Report, quoted};
use crate::document::{Content, Node};
use crate::schema::{Definitions, Element, Scalar, section};

/// An address of an interface with the length of its prefix, and for a link with one other end perhaps the address
/// of that, as `ifconfig tun0 10.77.4.1 pointopoint 10.77.4.2` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The address. With a peer the length is that of the peer's prefix, to which the kernel makes the route.
    pub net: IpNet,
    /// The address of the other end, of the same family.
    pub peer: Option<IpAddr>,
}

section! {
    /// What else is said about an address.
    pub(crate) struct AddressKeys {
        /// The address of the other end: ifconfig's pointopoint.
        "peer" => peer: Option<IpAddr> = None,
    }
}

impl InterfaceAddress {
    fn with_peer(net: IpNet, peer: IpAddr) -> Result<Self, InvalidValue> {
        let wrong = |why: &str, hint: &str| {
            Err(InvalidValue::new(format!("{peer} cannot be the peer of {net}: {why}"), hint))
        };
        if net.addr().is_ipv4() != peer.is_ipv4() {
            return wrong("it is of the other family", "write one address for each family");
        }
        if peer == net.addr() {
            return wrong("it is the same address", "write the address of the other end");
        }
        if peer.is_multicast() || peer.is_unspecified() || peer.is_loopback() {
            return wrong("it is no other host's", "write the address of the other end");
        }
        Ok(Self { net, peer: Some(peer) })
    }
}

impl From<IpNet> for InterfaceAddress {
    fn from(net: IpNet) -> Self {
        Self { net, peer: None }
    }
}

/// The form of the command line: `ADDRESS/LENGTH[,peer=ADDRESS]`.
impl FromStr for InterfaceAddress {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((net, option)) = text.split_once(',') else { return Ok(IpNet::from_text(text)?.into()) };
        let net = IpNet::from_text(net)?;
        match option.split_once('=') {
            Some(("peer", peer)) => Self::with_peer(net, IpAddr::from_text(peer)?),
            _ => Err(InvalidValue::new(
                format!("{} is no option of an address", quoted(option)),
                format!("write `{net},peer=ADDRESS`"),
            )),
        }
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{},peer={peer}", self.net),
            None => self.net.fmt(f),
        }
    }
}

impl Element for InterfaceAddress {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let (address, keys) = match &node.content {
            Content::Map(entries) => match entries.as_slice() {
                [(address, keys)] => (address, keys),
                _ => {
                    let hint = "write a list item for each: `- \"10.77.4.1/32\": {peer: 10.77.4.2}`";
                    report.error(node.span, "expected one address and its keys", hint);
                    return None;
                }
            },
            Content::Scalar(text) if text.contains(",peer=") => {
                let hint = text.split_once(",peer=").map_or_else(String::new, |(net, peer)| {
                    format!("write `{{\"{net}\": {{peer: \"{peer}\"}}}}` here")
                });
                report.error(node.span, "`,peer=` is the form of the command line", hint);
                return None;
            }
            _ => return IpNet::parse(node, report).map(Self::from),
        };
        let net = IpNet::parse(address, report);
        let AddressKeys { peer } = AddressKeys::parse(keys, report)?;
        let (net, Some(peer)) = (net?, peer) else { return net.map(Self::from) };
        match Self::with_peer(net, peer) {
            Ok(address) => Some(address),
            Err(InvalidValue { message, hint }) => {
                report.error(keys.value("peer").map_or(keys.span, |peer| peer.span), message, hint);
                None
            }
        }
    }

    fn to_json(&self) -> Json {
        match self.peer {
            None => Scalar::to_json(&self.net),
            peer => {
                let mut keys = AddressKeys::new();
                keys.peer = peer;
                json!({ self.net.to_string(): keys.to_json() })
            }
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "anyOf": [<IpNet as Scalar>::schema(), {
            "type": "object",
            "additionalProperties": AddressKeys::schema(definitions),
            "minProperties": 1,
            "maxProperties": 1,
        }] })
    }
}
