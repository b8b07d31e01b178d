//! Addresses of both layers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::{InterfaceName, InvalidValue, text_scalar};
use crate::diagnostic::{Report, quoted};
use crate::document::Node;
use crate::schema::{Definitions, Element, Scalar};

/// The hardware address of one interface: neither a group's nor all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// The address of these octets, in the order of the wire, unless it is a group's or all zero.
    #[must_use]
    pub fn new(octets: [u8; 6]) -> Option<Self> {
        let [first, ..] = octets;
        (first & 1 == 0 && octets != [0; 6]).then_some(Self(octets))
    }

    /// The octets in the order of the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddr {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part =
                parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
            *octet = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or_else(|| {
                InvalidValue::new(
                    format!("{} is not a MAC address", quoted(text)),
                    "write six pairs of hexadecimal digits: \"52:54:00:12:34:56\"",
                )
            })?;
        }
        if parts.next().is_some() {
            return Err(InvalidValue::new(
                format!("{} has more than six pairs", quoted(text)),
                "write six pairs",
            ));
        }
        Self::new(octets).ok_or_else(|| {
            InvalidValue::new(
                format!("{} is no address of one interface", quoted(text)),
                "the second digit must be even, and not all of them zero; 02 is a good beginning",
            )
        })
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

text_scalar!(MacAddr, { "type": "string", "pattern": "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$" });

/// One address, or all of a network: `192.0.2.7`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressBlock(IpNet);

impl AddressBlock {
    /// No bit is set behind the prefix.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }
}

impl FromStr for AddressBlock {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let net = address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            InvalidValue::new(
                format!("{} is neither an address nor a network", quoted(text)),
                "write one address, or a network with its prefix: `192.0.2.0/24`, `\"2001:db8::/32\"`",
            )
        })?;
        if net.trunc() != net {
            let message = format!("{} has bits behind its prefix", quoted(text));
            return Err(InvalidValue::new(message, format!("write {}, or one address alone", net.trunc())));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

text_scalar!(AddressBlock, { "type": "string" });

/// Which link-local addresses an interface gives itself; netplan's default is IPv6 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkLocal {
    /// 169.254.0.0/16 (RFC 3927).
    pub ipv4: bool,
    /// fe80::/64 (RFC 4291).
    pub ipv6: bool,
}

impl Default for LinkLocal {
    fn default() -> Self {
        Self { ipv4: false, ipv6: true }
    }
}

impl Element for LinkLocal {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let families = Vec::<Family>::parse(node, report)?;
        Some(Self { ipv4: families.contains(&Family::Ipv4), ipv6: families.contains(&Family::Ipv6) })
    }

    fn to_json(&self) -> Json {
        let families = [self.ipv4.then_some("ipv4"), self.ipv6.then_some("ipv6")];
        families.into_iter().flatten().collect()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        Vec::<Family>::schema(definitions)
    }
}

#[derive(Debug, PartialEq)]
enum Family {
    Ipv4,
    Ipv6,
}

impl Scalar for Family {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(InvalidValue::new(
                format!("{} is no address family", quoted(text)),
                "write `ipv4` or `ipv6`",
            )),
        }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Ipv4 => "ipv4".into(),
            Self::Ipv6 => "ipv6".into(),
        }
    }

    fn schema() -> Json {
        json!({ "enum": ["ipv4", "ipv6"] })
    }
}

/// An address with its interface, as `ping` takes it: `192.0.2.1`, `fe80::1%br-lab`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ZonedAddr {
    /// The address.
    pub address: IpAddr,
    /// The interface behind the `%`; link-local and multicast addresses always have one.
    pub interface: Option<InterfaceName>,
}

impl FromStr for ZonedAddr {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(interface.parse()?)),
            None => (text, None),
        };
        let address = IpAddr::from_text(address)?;
        if interface.is_none() && needs_interface(address) {
            return Err(InvalidValue::new(
                format!("{} means nothing without its interface", quoted(text)),
                format!("add it: `{address}%br-lab`"),
            ));
        }
        Ok(Self { address, interface })
    }
}

impl fmt::Display for ZonedAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}%{interface}", self.address),
            None => self.address.fmt(f),
        }
    }
}

fn needs_interface(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
    }
}

text_scalar!(ZonedAddr, { "type": "string" });

impl Scalar for IpAddr {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map_err(|_| {
            let hint = match text.split_once('/') {
                Some((address, _)) if address.parse::<Self>().is_ok() => {
                    format!("leave out the prefix: `{address}`")
                }
                _ => "write an IPv4 or IPv6 address, such as 192.0.2.1 or \"2001:db8::1\"".to_owned(),
            };
            InvalidValue::new(format!("{} is not an IP address", quoted(text)), hint)
        })
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
    }
}

/// The address of an interface and the length of its network's prefix.
impl Scalar for IpNet {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let net = prefixed(text, "an address with its prefix")?;
        let reason = match net {
            _ if net.addr().is_multicast() => "a group's address cannot be an interface's",
            _ if net.addr().is_unspecified() => "this address stands for no interface",
            // RFC 3021: a /31 has two usable addresses and no network address.
            Self::V4(v4) if v4.prefix_len() < 31 && v4.addr() == v4.network() => {
                "this is the address of the network"
            }
            Self::V4(v4) if v4.prefix_len() < 31 && v4.addr() == v4.broadcast() => {
                "this is the broadcast address"
            }
            _ => return Ok(net),
        };
        Err(InvalidValue::new(
            format!("{} cannot be assigned: {reason}", quoted(text)),
            "write one host's address",
        ))
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F:.]+/[0-9]{1,3}$" })
    }
}

/// `ADDRESS/LENGTH`, with a word about what is wrong with it otherwise.
pub(super) fn prefixed(text: &str, what: &str) -> Result<IpNet, InvalidValue> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    // Not `IpNet`'s own, which takes 010 for 10 where others take it for 8.
    let is_plain = |length: &&str| {
        length.bytes().all(|b| b.is_ascii_digit()) && (*length == "0" || !length.starts_with('0'))
    };
    let read = || {
        let length = length.filter(is_plain)?.parse().ok()?;
        IpNet::new(address.parse().ok()?, length).ok()
    };
    read().ok_or_else(|| {
        if let Some(written_out) = without_zeros(address) {
            let message = format!("{} is not {what}: a number has a zero in front", quoted(text));
            let length = length.map_or_else(String::new, |length| format!("/{length}"));
            return InvalidValue::new(message, format!("did you mean `{written_out}{length}`?"));
        }
        let hint = match (address.parse::<IpAddr>(), length) {
            (Ok(IpAddr::V4(_)), None) => format!("add the length of the prefix: `{address}/24`"),
            (Ok(IpAddr::V6(_)), None) => format!("add the length of the prefix: `{address}/64`"),
            (Ok(IpAddr::V4(_)), Some(_)) => "the prefix of an IPv4 address has 0 to 32 bits".to_owned(),
            (Ok(IpAddr::V6(_)), Some(_)) => "the prefix of an IPv6 address has 0 to 128 bits".to_owned(),
            (Err(_), Some("0")) if matches!(address, "0" | "default" | "any" | "") => {
                "write 0.0.0.0/0 for IPv4, \"::/0\" for IPv6".to_owned()
            }
            (Err(_), Some(length)) if address.contains('.') && !address.contains(':') => {
                match filled(address) {
                    Some(filled) => format!("write all four numbers: `{filled}/{length}`"),
                    None => "write it like 192.0.2.1/24 or \"2001:db8::1/64\"".to_owned(),
                }
            }
            (Err(_), _) if address.contains('%') => {
                "leave out the zone behind the `%`; the interface is the one it stands under".to_owned()
            }
            (Err(_), _) if address.starts_with('[') => "leave out the brackets".to_owned(),
            (Err(_), _) => "write it like 192.0.2.1/24 or \"2001:db8::1/64\"".to_owned(),
        };
        InvalidValue::new(format!("{} is not {what}", quoted(text)), hint)
    })
}

/// An IPv4 address whose numbers have zeros in front, without them.
fn without_zeros(address: &str) -> Option<Ipv4Addr> {
    let is_number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if address.parse::<IpAddr>().is_ok() || !address.split('.').all(is_number) {
        return None;
    }
    let bare = |part: &str| match part.trim_start_matches('0') {
        "" => "0".to_owned(),
        bare => bare.to_owned(),
    };
    address.split('.').map(bare).collect::<Vec<_>>().join(".").parse().ok()
}

/// `10.1` as `10.1.0.0`: routes are often written so.
fn filled(address: &str) -> Option<Ipv4Addr> {
    let missing = 3_usize.checked_sub(address.matches('.').count())?;
    format!("{}{}", address.trim_end_matches('.'), ".0".repeat(missing)).parse().ok()
}

/// An address and port to listen on.
impl Scalar for SocketAddr {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let wrong =
            |hint: String| InvalidValue::new(format!("{} is not an address with a port", quoted(text)), hint);
        if let Ok(address) = text.parse::<Self>() {
            return match address.port() {
                0 => Err(wrong("the port may be 1 to 65535".to_owned())),
                _ => Ok(address),
            };
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        Err(wrong(match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => format!("add the port: `{address}:2222`"),
            Ok(IpAddr::V6(address)) => format!("add the port: `\"[{address}]:2222\"`"),
            Err(_) => match text.trim_start_matches([':', '*']).parse::<u16>() {
                Ok(port) => format!(
                    "write `0.0.0.0:{port}` for IPv4, `\"[{}]:{port}\"` for IPv6",
                    Ipv6Addr::UNSPECIFIED
                ),
                Err(_) => {
                    "write it like 0.0.0.0:2222 or \"[::]:2222\"; names are not looked up here".to_owned()
                }
            },
        }))
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([0-9.]+|\\[[^\\]]+\\]):[0-9]{1,5}$" })
    }
}
