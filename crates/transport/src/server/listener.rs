//! Sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// As OpenSSH's `SSH_LISTEN_BACKLOG`.
const BACKLOG: i32 = 128;

/// Bound and listening; connections wait until [`super::serve`] takes them.
#[derive(Debug)]
pub struct Listener {
    pub(super) sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
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
        let mut listener = Self { sockets: Vec::new(), addresses: Vec::new() };
        for &address in addresses {
            let (socket, bound) = listen(address).map_err(|source| explain(address, source))?;
            listener.sockets.push(socket);
            listener.addresses.push(bound);
        }
        Ok(listener)
    }

    /// The addresses as bound, with the kernel's choice of a port for port 0.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
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
