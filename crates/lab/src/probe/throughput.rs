//! One TCP stream from one host to another.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tapline_config::ZonedAddr;
use tapline_control::namespace::Namespace;

use super::socket::socket_address;
use super::{Limits, ProbeError};
use crate::outcome::Figures;

/// How long one attempt to connect takes at most.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Time between attempts that fail at once.
const PAUSE: Duration = Duration::from_millis(200);
/// A stream in which nothing moves for so long is broken.
const STALL: Duration = Duration::from_secs(5);
/// Bytes of one read or write.
const BLOCK: usize = 256 << 10;

/// Sends from one namespace to `target` in the other for the given time.
pub(crate) fn throughput(
    from: &Namespace,
    to: &Namespace,
    target: &ZonedAddr,
    time: Duration,
    limits: &Limits<'_>,
) -> Result<Figures, ProbeError> {
    // Any address of the host: the one that is asked for may come later.
    let any: IpAddr = match target.address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = to.run(|| TcpListener::bind((any, 0)))?.map_err(ProbeError::Socket)?;
    let port = listener.local_addr().map_err(ProbeError::Socket)?.port();
    let sender = from.run(|| connect(target, port, limits))??;
    // The kernel has accepted the connection already, so this does not wait.
    let (receiver, _) = listener.accept().map_err(ProbeError::Socket)?;
    let received = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(receiver));
        let sent = send(sender, time);
        let received = receiving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (sent, received) {
            (Err(source), Ok(received)) => Err(ProbeError::Broken { bytes: received.bytes, source }),
            (_, received) => received,
        }
    })?;
    let seconds = received.time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate to a few digits")]
    let gbit_per_second = if seconds > 0.0 { received.bytes as f64 * 8e-9 / seconds } else { 0.0 };
    Ok(Figures::Rate { bytes: received.bytes, seconds, gbit_per_second })
}

fn connect(target: &ZonedAddr, port: u16, limits: &Limits<'_>) -> Result<TcpStream, ProbeError> {
    loop {
        if let Some(reason) = (limits.futile)() {
            return Err(ProbeError::Futile(reason));
        }
        let left = limits.deadline.saturating_duration_since(Instant::now());
        let attempt = ATTEMPT.min(left).max(Duration::from_millis(1));
        match socket_address(target, port).and_then(|address| TcpStream::connect_timeout(&address, attempt)) {
            Ok(stream) => return Ok(stream),
            Err(error) if left <= PAUSE => {
                return Err(ProbeError::Unconnected { within: limits.within, last: Some(error) });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn send(mut stream: TcpStream, time: Duration) -> io::Result<()> {
    stream.set_write_timeout(Some(STALL))?;
    let block = vec![0; BLOCK];
    let end = Instant::now() + time;
    while Instant::now() < end {
        stream.write_all(&block)?;
    }
    stream.shutdown(Shutdown::Write)
}

struct Received {
    bytes: u64,
    /// Between the first and the last read.
    time: Duration,
}

fn receive(mut stream: TcpStream) -> Result<Received, ProbeError> {
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    let mut begin = None;
    let broken = |bytes, source| ProbeError::Broken { bytes, source };
    stream.set_read_timeout(Some(STALL)).map_err(|error| broken(0, error))?;
    loop {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(length) => bytes += length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(broken(bytes, source)),
        }
        begin.get_or_insert_with(Instant::now);
    }
    Ok(Received { bytes, time: begin.map(|begin| begin.elapsed()).unwrap_or_default() })
}
