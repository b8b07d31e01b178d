//! Lists of addresses: `from=` of `authorized_keys` and `source-address` of certificates.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use thiserror::Error;

use super::pattern;

/// Why a list of addresses is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Two commas in a row, or one at an end.
    #[error("the list has an empty element; remove the extra comma")]
    Empty,
    /// `ADDRESS/LENGTH` whose length does not fit, or that has bits beyond it.
    #[error(
        "`{0}` is no network: the length is too large, or bits after it are set; write for example 192.0.2.0/24"
    )]
    Prefix(String),
    /// Neither an address nor a network, where nothing else is allowed.
    #[error("`{0}` is neither an address nor a network")]
    Address(String),
}

/// The patterns of `from=`: networks and names, each possibly negated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressPatterns {
    elements: Vec<(bool, Element)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Network(Network),
    Name(String),
}

impl AddressPatterns {
    pub(super) fn parse(list: &str) -> Result<Self, NetworkError> {
        let elements = list
            .split(',')
            .map(|written| {
                let (negated, text) = match written.strip_prefix('!') {
                    Some(text) => (true, text),
                    None => (false, written),
                };
                let element = match Network::parse(text) {
                    Ok(network) => Element::Network(network),
                    // Whatever is no address is a pattern for its text.
                    Err(NetworkError::Address(name)) => Element::Name(name.to_ascii_lowercase()),
                    Err(error) => return Err(error),
                };
                Ok((negated, element))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { elements })
    }

    /// Some element fits and no negated one does. Names are not looked up: as in sshd with `UseDNS no`, a name
    /// pattern is compared with the address as text.
    pub(super) fn allow(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let text = peer.to_string();
        let fits = |element: &Element| match element {
            Element::Network(network) => network.contains(peer),
            Element::Name(name) => pattern::matches(&text, name),
        };
        let mut positive = false;
        for (negated, element) in &self.elements {
            if fits(element) {
                if *negated {
                    return false;
                }
                positive = true;
            }
        }
        positive
    }
}

/// Whether a comma-separated list of addresses and networks, without negation or wildcards, has `peer` in it.
pub(super) fn list_contains(list: &str, peer: IpAddr) -> Result<bool, NetworkError> {
    let peer = peer.to_canonical();
    let mut contains = false;
    for text in list.split(',') {
        contains |= Network::parse(text)?.contains(peer);
    }
    Ok(contains)
}

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    /// In bits.
    length: u32,
    /// 32 or 128 bits.
    width: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, NetworkError> {
        if text.is_empty() {
            return Err(NetworkError::Empty);
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(NetworkError::Address(text.to_owned()));
        };
        let (bits, width) = bits_of(address);
        let length = match length {
            None => width,
            Some(length) => length
                .parse()
                .ok()
                .filter(|&length| length <= width)
                .ok_or_else(|| NetworkError::Prefix(text.to_owned()))?,
        };
        let network = Self { bits, length, width };
        match network.host_part(bits) {
            0 => Ok(network),
            _ => Err(NetworkError::Prefix(text.to_owned())),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (bits, width) = bits_of(address);
        width == self.width && self.host_part(bits ^ self.bits) == bits ^ self.bits
    }

    /// The bits after the network's length.
    fn host_part(&self, bits: u128) -> u128 {
        let host_bits = self.width.saturating_sub(self.length);
        match 1u128.checked_shl(host_bits) {
            Some(limit) => bits & (limit - 1),
            None => bits,
        }
    }
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}
