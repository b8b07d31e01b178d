#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream as StdStream};
use std::task::Poll;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::unconstrained;

use super::{Path, poll_read};
use crate::Tuning;

/// Both ends.
fn connection() -> (StdStream, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// The runtime learns of the second message only when this task waits, which it does not.
#[tokio::test]
async fn what_comes_after_a_short_read_is_read_without_a_turn_of_the_runtime() {
    let (reader, mut writer) = connection();
    reader.set_nonblocking(true).unwrap();
    let reader = TcpStream::from_std(reader).unwrap();

    let mut space = [0; 100];
    let mut buffer = ReadBuf::new(&mut space);
    writer.write_all(b"first").unwrap();
    poll_fn(|cx| poll_read(&reader, cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer.filled(), b"first");

    writer.write_all(b"second").unwrap();
    let found = unconstrained(poll_fn(|cx| Poll::Ready(poll_read(&reader, cx, &mut buffer)))).await;
    assert!(found.is_ready());
    assert_eq!(buffer.filled(), b"firstsecond");
}

#[tokio::test]
async fn an_empty_socket_is_waited_for_until_it_has_something_or_ends() {
    let (reader, mut writer) = connection();
    reader.set_nonblocking(true).unwrap();
    let reader = TcpStream::from_std(reader).unwrap();

    let mut space = [0; 100];
    let mut buffer = ReadBuf::new(&mut space);
    let early = poll_fn(|cx| Poll::Ready(poll_read(&reader, cx, &mut buffer))).await;
    assert!(early.is_pending());
    writer.write_all(b"late").unwrap();
    drop(writer);
    poll_fn(|cx| poll_read(&reader, cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer.filled(), b"late");
    // The end of the stream is an empty read.
    poll_fn(|cx| poll_read(&reader, cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer.filled(), b"late");
}

/// Of a connection over IPv4, bytes that its peer has not acknowledged: the column `tx_queue` of proc_net_tcp(5).
fn unacknowledged(local: SocketAddr) -> usize {
    let port = format!(":{:04X}", local.port());
    let table = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let mut rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Of the listener's row and the connection's, the one that is established.
    let row = rows.find(|row| row[1].ends_with(&port) && row[3] == "01").unwrap();
    usize::from_str_radix(row[4].split(':').next().unwrap(), 16).unwrap()
}

/// Where both sides answer each other the kernel sends no acknowledgement by itself for 40 ms, in the hope of an answer that
/// takes it along.
#[test]
fn what_came_is_acknowledged_at_once_on_demand() {
    let (mut reader, mut writer) = connection();
    let local = writer.local_addr().unwrap();
    let mut path = Path::of(&reader, &Tuning::default());
    let mut byte = [0];
    let (mut held_back, mut released) = (0, 0);
    for _ in 0..50 {
        for _ in 0..5 {
            writer.write_all(&byte).unwrap();
            reader.read_exact(&mut byte).unwrap();
            reader.write_all(&byte).unwrap();
            writer.read_exact(&mut byte).unwrap();
        }
        writer.write_all(&byte).unwrap();
        reader.read_exact(&mut byte).unwrap();
        if unacknowledged(local) > 0 {
            held_back += 1;
            path.acknowledge();
            released += usize::from(unacknowledged(local) == 0);
        }
    }
    // A host that pauses at the wrong moment may spoil some.
    assert!(
        held_back > 25 && released > held_back / 2,
        "{held_back} were held back, {released} of them released"
    );
}
