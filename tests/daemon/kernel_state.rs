use std::fmt::Write;

use serde_json::Value;
use tapline_tests::Namespace;

/// What the kernel has of interfaces, addresses, routes and rules, in a form that can be compared and read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KernelState(Vec<String>);

impl KernelState {
    pub(crate) fn of(host: &Namespace) -> Self {
        let mut lines = Vec::new();
        for command in [
            "ip -j -d link",
            "ip -j address",
            "ip -4 -j route show table all",
            "ip -6 -j route show table all",
            "ip -4 -j rule",
            "ip -6 -j rule",
        ] {
            let mut objects: Value = serde_json::from_str(&host.run(command)).unwrap();
            forget_the_moment(&mut objects);
            lines.extend(objects.as_array().unwrap().iter().map(|object| format!("{command}: {object}")));
        }
        for interface in host.interfaces() {
            for setting in ["accept_ra", "addr_gen_mode", "disable_ipv6"] {
                let value = host.sysctl(&format!("net/ipv6/conf/{interface}/{setting}"));
                lines.push(format!("{interface}: {setting} = {value}"));
            }
        }
        Self(lines)
    }

    /// Fails with the lines that differ unless `host` is now as it was.
    pub(crate) fn is_back(&self, host: &Namespace) {
        let now = Self::of(host);
        let mut difference = String::new();
        for (sign, lines, others) in [("-", &self.0, &now.0), ("+", &now.0, &self.0)] {
            for line in lines.iter().filter(|line| !others.contains(line)) {
                let _ = writeln!(difference, "{sign} {line}");
            }
        }
        assert!(difference.is_empty(), "{} is not as it was before:\n{difference}", host.name());
    }
}

/// Takes away what changes by itself: carriers, which come some time after their interfaces, and timers.
fn forget_the_moment(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !name.ends_with("_timer") && !["operstate", "tentative"].contains(&name.as_str())
            });
            fields.values_mut().for_each(forget_the_moment);
        }
        Value::Array(values) => {
            values.retain(|value| !["NO-CARRIER", "LOWER_UP", "linkdown"].iter().any(|&flag| value == flag));
            values.iter_mut().for_each(forget_the_moment);
        }
        _ => {}
    }
}

/// An interface as `ip -d -j link` shows it.
pub(crate) struct Interface(Value);

impl Interface {
    /// `None` when there is none of the name.
    pub(crate) fn find(host: &Namespace, name: &str) -> Option<Self> {
        let links: Value = serde_json::from_str(&host.run("ip -d -j address")).unwrap();
        let found = links.as_array().unwrap().iter().find(|link| link["ifname"] == name);
        found.cloned().map(Self)
    }

    pub(crate) fn of(host: &Namespace, name: &str) -> Self {
        Self::find(host, name).unwrap_or_else(|| panic!("no interface {name} on {}", host.name()))
    }

    pub(crate) fn index(&self) -> u64 {
        self.0["ifindex"].as_u64().unwrap()
    }

    pub(crate) fn has_carrier(&self) -> bool {
        self.0["flags"].as_array().unwrap().iter().any(|flag| flag == "LOWER_UP")
    }

    /// The bridge whose port it is.
    pub(crate) fn bridge(&self) -> Option<&str> {
        self.0["master"].as_str()
    }

    /// All but those that the kernel made itself, as `address/prefix`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let addresses = self.0["addr_info"].as_array().unwrap().iter();
        addresses
            .filter(|address| address["scope"] != "link")
            .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
            .collect()
    }

    /// What has to stay while a link breaks and comes back.
    pub(crate) fn identity(&self) -> (u64, String, Option<String>, Vec<String>) {
        let mac = self.0["address"].as_str().unwrap().to_owned();
        (self.index(), mac, self.bridge().map(str::to_owned), self.addresses())
    }
}

pub(crate) fn has_carrier(host: &Namespace, interface: &str) -> bool {
    Interface::find(host, interface).is_some_and(|interface| interface.has_carrier())
}
