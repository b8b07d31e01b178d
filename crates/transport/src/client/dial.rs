//! From a name to a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::sleep_until;

use super::eyeballs::{Race, Step};
use super::{AddressFamily, Attempt, ConnectError, Options};
use crate::tcp;

/// Connects to the first address that answers. `deadline` covers name and connection.
pub(super) async fn dial(
    options: &Options,
    deadline: Option<Instant>,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let Options { host, port, .. } = options;
    let timed_out = |attempts| ConnectError::TimedOut {
        host: host.clone(),
        port: *port,
        limit: options.connect_timeout.unwrap_or_default(),
        attempts,
    };
    let resolved = tokio::select! {
        resolved = resolve(options) => resolved?,
        () = at(deadline) => return Err(timed_out(Vec::new())),
    };
    if let Some(outside) = &options.outside {
        let servers: Vec<IpAddr> = resolved.targets.iter().map(SocketAddr::ip).collect();
        tokio::select! {
            () = outside.keep_outside(&servers) => {}
            () = at(deadline) => return Err(timed_out(Vec::new())),
        }
    }
    let mut failed = Vec::new();
    let mut race = Race::new(resolved.targets);
    let mut under_way = FuturesUnordered::new();
    let mut waiting: Vec<SocketAddr> = Vec::new();
    loop {
        let until = match race.step(Instant::now()) {
            Step::Start(address) => {
                let from = resolved.sources.iter().find(|from| from.is_ipv4() == address.is_ipv4()).copied();
                tracing::debug!("connecting to {} port {}", address.ip(), address.port());
                waiting.push(address);
                under_way.push(async move { (address, attempt(options, address, from).await) });
                continue;
            }
            Step::Wait(until) => until,
            Step::Lost => {
                return Err(ConnectError::Unreachable { host: host.clone(), port: *port, attempts: failed });
            }
        };
        tokio::select! {
            Some((address, result)) = under_way.next() => match result {
                Ok(stream) => {
                    tracing::debug!("connected to {} port {}", address.ip(), address.port());
                    return Ok((stream, address));
                }
                Err(error) => {
                    tracing::debug!("cannot connect to {}: {error}", address.ip());
                    waiting.retain(|other| *other != address);
                    failed.push(Attempt { address, error: Some(plain(&error)) });
                    race.failed();
                }
            },
            () = at(until) => {}
            () = at(deadline) => {
                failed.extend(waiting.into_iter().map(|address| Attempt { address, error: None }));
                return Err(timed_out(failed));
            }
        }
    }
}

struct Resolved {
    targets: Vec<SocketAddr>,
    /// Where to connect from, at most one of each family; empty leaves it to the kernel.
    sources: Vec<SocketAddr>,
}

async fn resolve(options: &Options) -> Result<Resolved, ConnectError> {
    let Options { host, port, address_family: family, .. } = options;
    let found: Vec<SocketAddr> = lookup_host((host.as_str(), *port))
        .await
        .map_err(|source| ConnectError::Resolve { host: host.clone(), source })?
        .collect();
    let mut targets = found;
    targets.retain(|address| family.has(address));
    if targets.is_empty() {
        return Err(ConnectError::NoAddress { host: host.clone(), family: *family });
    }
    let mut sources = Vec::new();
    if let Some(bind) = &options.bind_address {
        let refused = |reason: String| ConnectError::BindAddress { address: bind.clone(), reason };
        sources.extend(lookup_host((bind.as_str(), 0)).await.map_err(|error| refused(error.to_string()))?);
        targets.retain(|target| sources.iter().any(|source| source.is_ipv4() == target.is_ipv4()));
        if targets.is_empty() {
            return Err(refused(format!("{host} has no address of its family")));
        }
    }
    Ok(Resolved { targets, sources })
}

async fn attempt(options: &Options, address: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_keepalive(options.tcp_keep_alive)?;
    let named =
        |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {}", plain(&error)));
    if let Some(interface) = &options.bind_interface {
        SockRef::from(&socket)
            .bind_device(Some(interface.as_bytes()))
            .map_err(|error| named(&format!("BindInterface {interface}"), error))?;
    }
    if let Some(from) = from {
        socket.bind(from).map_err(|error| named("BindAddress", error))?;
    }
    let stream = socket.connect(address).await?;
    tcp::tune(&stream)?;
    SockRef::from(&stream).set_keepalive(options.tcp_keep_alive)?;
    Ok(stream)
}

impl AddressFamily {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Inet => address.is_ipv4(),
            Self::Inet6 => address.is_ipv6(),
        }
    }
}

/// The error without Rust's "(os error 111)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.chars().take(end).collect(),
        None => text,
    }
}

pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
