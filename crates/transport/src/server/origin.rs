//! Where connections come from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::net::if_::if_indextoname;

use super::NetBlockSize;

/// The addresses that count as one source: one host's, or a network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    address: IpAddr,
    /// The interface of a link-local address, else 0: every link has its own fe80::/64.
    scope: u32,
    /// Leading bits of the address that count; those behind them are zero.
    bits: u8,
}

impl Source {
    /// The one host that has the address.
    pub fn host(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        let scope = match address {
            SocketAddr::V6(address) if is_link_local(ip) => address.scope_id(),
            _ => 0,
        };
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        Self { address: ip, scope, bits }
    }

    /// All that count as this host. A link-local address stays alone, as its neighbours are other hosts.
    pub(super) fn block(self, size: NetBlockSize) -> Self {
        match self.address {
            IpAddr::V4(address) => {
                let bits = size.ipv4.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv4Addr::from_bits(address.to_bits() & mask).into(), bits, ..self }
            }
            IpAddr::V6(_) if is_link_local(self.address) => self,
            IpAddr::V6(address) => {
                let bits = size.ipv6.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv6Addr::from_bits(address.to_bits() & mask).into(), bits, ..self }
            }
        }
    }

    /// Without the interface.
    pub(super) fn ip(&self) -> IpAddr {
        self.address
    }
}

/// As `ip` and sshd write it: `fe80::1%eth0`, and a network with its prefix.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.scope != 0 {
            match if_indextoname(self.scope) {
                Ok(name) if !name.is_empty() => write!(f, "%{}", name.to_string_lossy())?,
                _ => write!(f, "%{}", self.scope)?,
            }
        }
        let is_host = self.bits == if self.address.is_ipv4() { 32 } else { 128 };
        if is_host { Ok(()) } else { write!(f, "/{}", self.bits) }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests;
