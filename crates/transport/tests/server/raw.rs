//! A peer that says on its channels whatever a test wants, lawful or not.
//!
//! Debian's ssh does the key exchange and the encryption as the master of a shared connection. In the proxy mode of its
//! multiplexing protocol (OpenSSH's PROTOCOL.mux) it passes the connection's messages on without looking into
//! them, apart from the numbers of channels.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::harness::{Running, Server, Site, until, within};

const CHANNEL_OPEN: u8 = 90;
const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
const CHANNEL_OPEN_FAILURE: u8 = 92;
const CHANNEL_WINDOW_ADJUST: u8 = 93;
const CHANNEL_DATA: u8 = 94;
const CHANNEL_CLOSE: u8 = 97;

const MUX_HELLO: u32 = 0x0000_0001;
const MUX_C_PROXY: u32 = 0x1000_000f;
const MUX_S_PROXY: u32 = 0x8000_000f;

pub(crate) struct RawPeer {
    socket: UnixStream,
    /// Our number for the next channel.
    next: u32,
    _master: Running,
}

/// A channel as its two sides number it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    ours: u32,
    theirs: u32,
}

/// What the server said on a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Data(Vec<u8>),
    Closed,
    SessionEnded,
}

impl RawPeer {
    pub(crate) async fn log_in(site: &Site, server: &Server) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = site.path(&format!("shared-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let master = site
            .ssh(server)
            .option("ControlMaster=yes")
            .option(&format!("ControlPath={}", path.display()))
            .option("SessionType=none")
            .remote(&[]);
        until("ssh shares its connection", || path.exists()).await;
        Self { socket: proxy(&path).await, next: 0, _master: master }
    }

    pub(crate) async fn open(&mut self, kind: &str, payload: &[u8]) -> Channel {
        let ours = self.next;
        self.next += 1;
        let mut message = vec![CHANNEL_OPEN];
        put_string(&mut message, kind.as_bytes());
        for number in [ours, 2 << 20, 256 << 10] {
            message.extend(number.to_be_bytes());
        }
        message.extend(payload);
        self.send(&message).await;
        loop {
            let message = self.message().await.expect("the session lives");
            match message[0] {
                CHANNEL_OPEN_CONFIRMATION if number(&message, 1) == ours => {
                    return Channel { ours, theirs: number(&message, 5) };
                }
                CHANNEL_OPEN_FAILURE => panic!("refused: {}", String::from_utf8_lossy(&message[9..])),
                _ => {}
            }
        }
    }

    /// One CHANNEL_DATA, of any length.
    pub(crate) async fn data(&mut self, channel: Channel, string: &[u8]) {
        let mut message = vec![CHANNEL_DATA];
        message.extend(channel.theirs.to_be_bytes());
        put_string(&mut message, string);
        self.send(&message).await;
    }

    /// A CHANNEL_DATA whose string says that it has `length` bytes.
    pub(crate) async fn data_that_lies(&mut self, channel: Channel, length: u32, bytes: &[u8]) {
        let mut message = vec![CHANNEL_DATA];
        message.extend(channel.theirs.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(bytes);
        self.send(&message).await;
    }

    /// What comes next on the channel, adjustments of its window aside.
    pub(crate) async fn said(&mut self, channel: Channel) -> Said {
        loop {
            let Some(message) = self.message().await else { return Said::SessionEnded };
            match message[0] {
                CHANNEL_DATA if number(&message, 1) == channel.ours => {
                    assert_eq!(number(&message, 5) as usize, message.len() - 9);
                    return Said::Data(message[9..].to_vec());
                }
                CHANNEL_CLOSE if number(&message, 1) == channel.ours => return Said::Closed,
                CHANNEL_WINDOW_ADJUST => {}
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &[u8]) {
        // A server that has had enough may be gone; `said` tells.
        let _ = self.socket.write_all(&packet(message)).await;
    }

    async fn message(&mut self) -> Option<Vec<u8>> {
        within("the server says something", async {
            let length = self.socket.read_u32().await.ok()?;
            let mut packet = vec![0; length as usize];
            self.socket.read_exact(&mut packet).await.ok()?;
            // The length of the padding, none.
            packet.remove(0);
            Some(packet)
        })
        .await
    }
}

async fn proxy(path: &Path) -> UnixStream {
    let mut socket = UnixStream::connect(path).await.unwrap();
    let mut hello = Vec::new();
    for number in [8, MUX_HELLO, 4, 8, MUX_C_PROXY, 0] {
        hello.extend(u32::to_be_bytes(number));
    }
    socket.write_all(&hello).await.unwrap();
    within("ssh agrees to be a proxy", async {
        loop {
            let length = socket.read_u32().await.unwrap();
            let mut message = vec![0; length as usize];
            socket.read_exact(&mut message).await.unwrap();
            match number(&message, 0) {
                MUX_HELLO => {}
                MUX_S_PROXY => break,
                other => panic!("{other:#x}"),
            }
        }
    })
    .await;
    socket
}

fn packet(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len() + 1).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(0);
    packet.extend(message);
    packet
}

fn put_string(message: &mut Vec<u8>, string: &[u8]) {
    message.extend(u32::try_from(string.len()).unwrap().to_be_bytes());
    message.extend(string);
}

fn number(message: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(message[at..at + 4].try_into().unwrap())
}
