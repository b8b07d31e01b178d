#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::io::Write;
use std::net::TcpListener;
use std::task::Poll;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::unconstrained;

use super::poll_read;

/// The runtime learns of the second message only when this task waits, which it does not.
#[tokio::test]
async fn what_comes_after_a_short_read_is_read_without_a_turn_of_the_runtime() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut writer, _) = listener.accept().unwrap();

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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut writer, _) = listener.accept().unwrap();

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
