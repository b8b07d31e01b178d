//! A raw ICMP or ICMPv6 socket of the calling thread's network namespace (`raw(7)`).

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvfrom, sendto, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use tapline_config::ZonedAddr;

use super::echo::Echo;

/// A socket for echo requests to one address.
#[derive(Debug)]
pub(crate) struct EchoSocket {
    fd: OwnedFd,
    target: SockaddrStorage,
    is_v6: bool,
}

impl EchoSocket {
    /// Fails while the interface of the address does not exist.
    pub(crate) fn open(target: &ZonedAddr) -> io::Result<Self> {
        let is_v6 = target.address.is_ipv6();
        let (family, protocol) = match is_v6 {
            true => (AddressFamily::Inet6, SockProtocol::IcmpV6),
            false => (AddressFamily::Inet, SockProtocol::Icmp),
        };
        let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        if let Some(interface) = &target.interface {
            setsockopt(&fd, sockopt::BindToDevice, &interface.as_str().into())?;
        }
        Ok(Self { fd, target: socket_address(target, 0)?.into(), is_v6 })
    }

    pub(crate) fn send(&self, echo: Echo) -> io::Result<()> {
        let message = if self.is_v6 { echo.v6_request() } else { echo.v4_request() };
        sendto(self.fd.as_raw_fd(), &message, &self.target, MsgFlags::empty())?;
        Ok(())
    }

    /// The next reply and who sent it, `None` when none comes in time or something else comes.
    pub(crate) fn receive(&self, wait: Duration) -> io::Result<Option<(IpAddr, Echo)>> {
        // Zero would wait for ever.
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX).max(1);
        setsockopt(&self.fd, sockopt::ReceiveTimeout, &TimeVal::microseconds(wait))?;
        let mut buffer = [0; 2048];
        let (length, source) = match recvfrom::<SockaddrStorage>(self.fd.as_raw_fd(), &mut buffer) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let packet = buffer.get(..length).unwrap_or_default();
        let echo = if self.is_v6 { Echo::from_v6_reply(packet) } else { Echo::from_v4_reply(packet) };
        Ok(source.as_ref().and_then(address).zip(echo))
    }
}

/// The address as a socket of the calling thread's network namespace takes it.
pub(crate) fn socket_address(target: &ZonedAddr, port: u16) -> io::Result<SocketAddr> {
    Ok(match (target.address, &target.interface) {
        (IpAddr::V6(address), Some(interface)) => {
            SocketAddrV6::new(address, port, 0, if_nametoindex(interface.as_str())?).into()
        }
        (address, _) => (address, port).into(),
    })
}

fn address(source: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = source.as_sockaddr_in().map(|source| source.ip().into());
    v4.or_else(|| source.as_sockaddr_in6().map(|source| source.ip().into()))
}
