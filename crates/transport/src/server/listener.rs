//! Sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// As OpenSSH's `SSH_LISTEN_BACKLOG`.
const BACKLOG: i32 = 128;

/// Bound and listening; connections wait until [`super::serve`] takes them.
#[derive(Debug)]
pub struct Listener {
    pub(super) sockets: Vec<Listening>,
}

/// One socket that listens.
#[derive(Debug)]
pub(super) struct Listening {
    /// As it was asked for, with port 0 where the kernel was to choose.
    pub(super) asked: SocketAddr,
    pub(super) bound: SocketAddr,
    pub(super) socket: TcpListener,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("no address to listen on; name at least one, such as 0.0.0.0:2222")]
    None,
    #[error("{0} is in use by another process; stop that one (`ss -lntp`) or choose another port")]
    InUse(SocketAddr),
    #[error("{0} is no address of this host; see `ip address`, or listen on 0.0.0.0 or [::]")]
    NotLocal(SocketAddr),
    #[error("listening on {0} needs CAP_NET_BIND_SERVICE; run as root, or choose a port from 1024 on")]
    Privileged(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Other { address: SocketAddr, source: io::Error },
}

impl Listener {
    /// Binds all addresses or none. IPv6 addresses take IPv6 alone, so `0.0.0.0:2222` and `[::]:2222` go together.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        if addresses.is_empty() {
            return Err(BindError::None);
        }
        match Self::bind_available(addresses) {
            (listener, missing) if missing.is_empty() => Ok(listener),
            (_, missing) => Err(missing.into_iter().next().unwrap_or(BindError::None)),
        }
    }

    /// Binds the addresses that can be had now, perhaps none, and tells why the others cannot.
    /// [`super::ListenAddresses::change_to`] tries them again.
    pub fn bind_available(addresses: &[SocketAddr]) -> (Self, Vec<BindError>) {
        let mut listener = Self { sockets: Vec::new() };
        let mut missing = Vec::new();
        for &address in addresses {
            match Listening::on(address) {
                Ok(socket) => listener.sockets.push(socket),
                Err(error) => missing.push(error),
            }
        }
        (listener, missing)
    }

    /// The addresses as bound, with the kernel's choice of a port for port 0.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.bound).collect()
    }
}

impl Listening {
    pub(super) fn on(address: SocketAddr) -> Result<Self, BindError> {
        let (socket, bound) = listen(address).map_err(|source| explain(address, source))?;
        Ok(Self { asked: address, bound, socket })
    }
}

/// Whether two sockets cannot listen on both, because one is the other or covers it.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wild = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && (wild || one.ip() == other.ip())
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from(socket);
    let bound = socket.local_addr()?;
    Ok((socket, bound))
}

fn explain(address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal(address),
        io::ErrorKind::PermissionDenied => BindError::Privileged(address),
        _ => BindError::Other { address, source },
    }
}
