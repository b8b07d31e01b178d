//! Routes in netplan's spelling.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Value as Json, json};

use super::InvalidValue;
use super::address::prefixed;
use crate::diagnostic::{Report, quoted};
use crate::document::Node;
use crate::schema::{Definitions, Element, Scalar, section};

/// A way to other networks: `{to, via, metric, on-link}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destination; a default route is 0.0.0.0/0 or `::/0`. No bit is set behind the prefix.
    pub to: IpNet,
    /// The next hop; without one, every destination is a neighbour. IPv4 may go through an IPv6 next hop (RFC 8950).
    pub via: Option<IpAddr>,
    /// The lower, the better; the kernel's own default otherwise.
    pub metric: Option<u32>,
    /// The next hop is a neighbour although no address says so.
    pub on_link: bool,
}

section! {
    /// A route.
    pub(crate) struct RouteKeys {
        required {
            /// The destination: a prefix, one address, or `default`.
            "to" => to: Destination,
        }
        /// The next hop.
        "via" => via: Option<IpAddr> = None,
        /// The lower, the better.
        "metric" => metric: Option<u32> = None,
        /// Whether the next hop is a neighbour although no address says so.
        "on-link" => on_link: bool = false,
    }
}

/// What `to` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `default`, of the family of the next hop.
    Default,
    /// A prefix.
    Net(IpNet),
}

impl Element for Route {
    fn parse(node: &Node, report: &mut Report) -> Option<Self> {
        let RouteKeys { to, via, metric, on_link } = RouteKeys::parse(node, report)?;
        let at = |key| node.value(key).map_or(node.span, |value| value.span);
        let to = match (to, via) {
            (Destination::Net(net), _) => net,
            (Destination::Default, Some(IpAddr::V4(_))) => IpNet::V4(Ipv4Net::default()),
            (Destination::Default, Some(IpAddr::V6(_))) => IpNet::V6(Ipv6Net::default()),
            (Destination::Default, None) => {
                // A `via` that is there but wrong has been reported already.
                if node.value("via").is_none() {
                    let hint = "add `via`, or write 0.0.0.0/0 or \"::/0\"";
                    report.error(at("to"), "a default route without a next hop has no address family", hint);
                }
                return None;
            }
        };
        if let (IpNet::V6(_), Some(IpAddr::V4(via))) = (to, via) {
            let message = format!("an IPv6 destination cannot be reached through the IPv4 next hop {via}");
            report.error(at("via"), message, "write an IPv6 next hop, or leave `via` out");
        }
        if via.is_some_and(|via| via.is_multicast() || via.is_unspecified()) {
            report.error(at("via"), "this address is no host's", "write the address of the next hop");
        }
        if on_link && node.value("via").is_none() {
            report.error(
                at("on-link"),
                "`on-link` says something about `via`, which is missing",
                "add `via`",
            );
        }
        Some(Self { to, via, metric, on_link })
    }

    fn to_json(&self) -> Json {
        let Self { to, via, metric, on_link } = *self;
        RouteKeys { via, metric, on_link, ..RouteKeys::new(Destination::Net(to)) }.to_json()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        RouteKeys::schema(definitions)
    }
}

impl Scalar for Destination {
    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        if text == "default" {
            return Ok(Self::Default);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        if let "any" | "all" | "Default" | "default4" | "default6" | "*" = text {
            let message = format!("{} is not a destination", quoted(text));
            return Err(InvalidValue::new(message, "write `default`, with the next hop in `via`"));
        }
        let net = prefixed(text, "a destination")?;
        if net != net.trunc() {
            let message = format!("{} has bits set behind its prefix", quoted(text));
            return Err(InvalidValue::new(message, format!("did you mean `{}`?", net.trunc())));
        }
        Ok(Self::Net(net))
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Default => "default".into(),
            Self::Net(net) => net.to_string().into(),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(default|[0-9a-fA-F:.]+(/[0-9]{1,3})?)$" })
    }
}
