//! Settings below `/proc/sys/net`, which netlink does not take.
//!
//! The kernel shows the settings of the network namespace of the *calling thread* there. So these functions are
//! synchronous and are called on the thread that polls the [`crate::Controller`].

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
};

use crate::{InterfaceName, observed::Ipv6Settings};

pub(crate) fn set_ipv6(interface: &InterfaceName, setting: &str, value: i32) -> io::Result<()> {
    write(&format!("/proc/sys/net/ipv6/conf/{interface}/{setting}"), value)
}

/// What a new interface starts with; `None` where the kernel has no IPv6.
pub(crate) fn ipv6_default() -> Option<Ipv6Settings> {
    let value = |setting: &str| read(&format!("/proc/sys/net/ipv6/conf/default/{setting}")).ok();
    Some(Ipv6Settings {
        accept_ra: value("accept_ra")?,
        addr_gen_mode: value("addr_gen_mode")?,
        disable_ipv6: value("disable_ipv6")?,
        forwarding: value("forwarding")? != 0,
    })
}

/// Keeps the kernel from removing the other IPv4 addresses of a network together with its first one. Restores what
/// was there when dropped.
pub(crate) struct PromoteSecondaries {
    restore: Option<(String, i32)>,
}

impl PromoteSecondaries {
    pub(crate) fn on(interface: &InterfaceName) -> io::Result<Self> {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries");
        let found = read(&path)?;
        if found != 0 {
            return Ok(Self { restore: None });
        }
        write(&path, 1)?;
        Ok(Self { restore: Some((path, found)) })
    }
}

impl Drop for PromoteSecondaries {
    fn drop(&mut self) {
        if let Some((path, value)) = self.restore.take()
            && let Err(error) = write(&path, value)
        {
            tracing::debug!(path, %error, "cannot restore");
        }
    }
}

fn read(path: &str) -> io::Result<i32> {
    let text = fs::read_to_string(path)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{path} holds no number")))
}

fn write(path: &str, value: i32) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.to_string().as_bytes())
}
