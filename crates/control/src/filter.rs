//! Packet filters of this host that frames between the ports of a bridge have to pass.

use std::{fmt, fs, io};

use rtnetlink::sys::{Socket, SocketAddr};

/// A filter that drops frames from one port of a bridge to another, unless a rule of it accepts them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BridgeFilter {
    frames: Frames,
    chain: Chain,
}

/// Which frames come to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Frames {
    /// `br_netfilter` hands them to the filters of the packets in them, as this setting of `net.bridge` says.
    Packets {
        what: &'static str,
        setting: &'static str,
        program: &'static str,
    },
    All,
}

/// A chain with the policy "drop", or one that cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Chain {
    Drops {
        family: &'static str,
        table: String,
        name: String,
    },
    /// Of iptables before nftables.
    Legacy,
}

impl fmt::Display for BridgeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.frames {
            Frames::Packets { what, setting, program } => {
                write!(
                    f,
                    "{what} between ports of a bridge goes through the firewall here (net.bridge.{setting} is 1)"
                )?;
                match &self.chain {
                    Chain::Drops { family, table, name } => write!(
                        f,
                        ", whose chain {name} of table {family} {table} drops what no rule accepts"
                    )?,
                    Chain::Legacy => {
                        write!(f, ", whose chain FORWARD may drop it (`{program}-legacy -S FORWARD`)")?
                    }
                }
                write!(
                    f,
                    ": accept it there (`{program} -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT`), or set that to 0"
                )
            }
            Frames::All => match &self.chain {
                Chain::Drops { family, table, name } => write!(
                    f,
                    "the chain {name} of table {family} {table} drops what goes between ports of a bridge and no rule \
                     accepts: accept there what is to cross"
                ),
                Chain::Legacy => Ok(()),
            },
        }
    }
}

/// The settings of `br_netfilter`: what it hands over, to which families of chains.
const PACKETS: [(Frames, &[u8]); 3] = [
    (
        Frames::Packets { what: "IPv4", setting: "bridge-nf-call-iptables", program: "iptables" },
        &[NFPROTO_INET, NFPROTO_IPV4],
    ),
    (
        Frames::Packets { what: "IPv6", setting: "bridge-nf-call-ip6tables", program: "ip6tables" },
        &[NFPROTO_INET, NFPROTO_IPV6],
    ),
    (
        Frames::Packets { what: "ARP", setting: "bridge-nf-call-arptables", program: "arptables" },
        &[NFPROTO_ARP],
    ),
];

const NFPROTO_INET: u8 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_ARP: u8 = 3;
const NFPROTO_BRIDGE: u8 = 7;
const NFPROTO_IPV6: u8 = 10;

/// The filters of the calling thread's network namespace that may keep bridges from bridging. Nothing is changed, and no
/// module is loaded that was not there.
///
/// # Errors
/// The kernel does not answer; filters of iptables and nftables are then not known.
pub fn bridge_filters() -> io::Result<Vec<BridgeFilter>> {
    let is_on = |setting: &str| {
        fs::read_to_string(format!("/proc/sys/net/bridge/{setting}")).is_ok_and(|value| value.trim() == "1")
    };
    let has_legacy = |names: &str| {
        fs::read_to_string(format!("/proc/thread-self/net/{names}"))
            .is_ok_and(|names| names.lines().any(|name| name == "filter"))
    };
    let is_there = |path: &str| fs::exists(path).unwrap_or(false);
    let chains = match is_there("/proc/sys/net/bridge") || is_there("/sys/module/nf_tables") {
        true => chains()?,
        false => Vec::new(),
    };
    Ok(filters(is_on, has_legacy, &chains))
}

fn filters(
    is_on: impl Fn(&str) -> bool,
    has_legacy: impl Fn(&str) -> bool,
    chains: &[(u8, Chain)],
) -> Vec<BridgeFilter> {
    let mut filters = Vec::new();
    for (frames, families) in PACKETS {
        let Frames::Packets { setting, .. } = frames else { continue };
        if !is_on(setting) {
            continue;
        }
        let dropping = chains.iter().filter(|(family, _)| families.contains(family));
        filters.extend(dropping.map(|(_, chain)| BridgeFilter { frames, chain: chain.clone() }));
        let names = match setting {
            "bridge-nf-call-iptables" => "ip_tables_names",
            "bridge-nf-call-ip6tables" => "ip6_tables_names",
            _ => "arp_tables_names",
        };
        if has_legacy(names) {
            filters.push(BridgeFilter { frames, chain: Chain::Legacy });
        }
    }
    let bridges = chains.iter().filter(|(family, _)| *family == NFPROTO_BRIDGE);
    filters.extend(bridges.map(|(_, chain)| BridgeFilter { frames: Frames::All, chain: chain.clone() }));
    filters
}

const NETLINK_NETFILTER: isize = 12;
/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_NEWCHAIN`, `NFT_MSG_GETCHAIN`.
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// A host has some dozens; more datagrams than these are not read.
const MOST_DATAGRAMS: usize = 1000;

/// The chains of nftables, iptables' among them, that frames or packets to be forwarded come to and that drop what no rule
/// accepts, with their families.
fn chains() -> io::Result<Vec<(u8, Chain)>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // Length, kind, flags, number, port; then a header of nfnetlink for all families.
    let mut request = Vec::new();
    request.extend(20_u32.to_ne_bytes());
    request.extend(GET_CHAIN.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    socket.send(&request, 0)?;
    // The kernel has answered when `send` returns, so that nothing is waited for.
    socket.set_non_blocking(true)?;
    let mut found = Vec::new();
    for _ in 0..MOST_DATAGRAMS {
        let datagram = match socket.recv_from_full() {
            Ok((datagram, _)) => datagram,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        if read(&datagram, &mut found)? {
            break;
        }
    }
    Ok(found)
}

/// Adds the chains of one datagram; whether it was the last.
fn read(mut datagram: &[u8], found: &mut Vec<(u8, Chain)>) -> io::Result<bool> {
    const HEADER: usize = 16;
    const NFGENMSG: usize = 4;
    while let Some((length, kind)) = header(datagram) {
        let Some(message) = datagram.get(..length).filter(|_| length >= HEADER) else { break };
        let body = message.get(HEADER..).unwrap_or_default();
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return if code == 0 {
                    Ok(true)
                } else {
                    Err(io::Error::from_raw_os_error(code.saturating_neg()))
                };
            }
            NEW_CHAIN => {
                let family = body.first().copied().unwrap_or_default();
                let chain = forward_chain(family, body.get(NFGENMSG..).unwrap_or_default());
                found.extend(chain.map(|chain| (family, chain)));
            }
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn header(datagram: &[u8]) -> Option<(usize, u16)> {
    let (length, rest) = datagram.split_first_chunk::<4>()?;
    let kind = rest.first_chunk::<2>()?;
    Some((usize::try_from(u32::from_ne_bytes(*length)).ok()?, u16::from_ne_bytes(*kind)))
}

/// `None` for a chain that is not at the hook "forward" or does not drop.
fn forward_chain(family: u8, attributes: &[u8]) -> Option<Chain> {
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const HOOK_NUMBER: u16 = 1;
    const FORWARD: u32 = 2;
    const DROP: u32 = 0;
    let family = match family {
        NFPROTO_INET => "inet",
        NFPROTO_IPV4 => "ip",
        NFPROTO_IPV6 => "ip6",
        NFPROTO_ARP => "arp",
        NFPROTO_BRIDGE => "bridge",
        _ => return None,
    };
    let hook = number(attribute(attribute(attributes, HOOK)?, HOOK_NUMBER)?)?;
    // The hooks of ARP are "in", "out" and "forward"; those of the others begin with "prerouting".
    let drops = number(attribute(attributes, POLICY)?)? == DROP;
    (hook == FORWARD && drops).then(|| Chain::Drops {
        family,
        table: text(attribute(attributes, TABLE).unwrap_or_default()),
        name: text(attribute(attributes, NAME).unwrap_or_default()),
    })
}

/// The value of the first attribute of that kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    const FLAGS: u16 = 0xc000;
    loop {
        let (length, rest) = attributes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let kind = u16::from_ne_bytes(*rest.first_chunk::<2>()?) & !FLAGS;
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// nftables sends numbers in the network's order.
fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn text(value: &[u8]) -> String {
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).chars().filter(|char| !char.is_control()).collect()
}

#[cfg(test)]
mod tests;
