//! The ceiling: what a tunnel over one TCP connection can reach on a machine, when it does nothing that it need not.
//!
//! A tap with all offloads, records of many frames sealed at once with AES-256-GCM, one thread with one loop, and no
//! SSH: no channels, no windows, no queue, no rekeying. `tests/bench` measures the program against it. It is no VPN:
//! the key is in this file.
//!
//! ```text
//! ceiling listen 192.0.2.1:7000 --tap tap0
//! ceiling connect 192.0.2.1:7000 --tap tap0
//! ```
//!
//! On the connection a message is `uint32 length | sealed records | tag`, the length without the tag.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::task::{Context, Poll};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tapline_device::{Device, FrameRef, FrameSink, KernelDevice, OpenRequest, Unit};
use tapline_frame::records::{self, Record};
use tapline_frame::{Mode, NetHeader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Known to everyone: what is measured is the time that sealing takes.
const KEY: [u8; 32] = [7; 32];
const TAG: usize = 16;
const LENGTH: usize = 4;
/// Once it has as many bytes, a message gets no further frame; and it gets no more than so many frames.
const MESSAGE: usize = 160 * 1024;
const MESSAGE_FRAMES: usize = 64;
/// The longest message: one more super-frame than [`MESSAGE`].
const MAX_MESSAGE: usize = MESSAGE + 128 * 1024;
/// What one read from the connection may bring.
const READ_AHEAD: usize = 1 << 20;

const USAGE: &str = "usage: ceiling listen|connect ADDRESS:PORT --tap NAME";

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [role @ ("listen" | "connect"), address, "--tap", name] = words.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match carry(role, address, name).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ceiling: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Until the connection ends.
async fn carry(role: &str, address: &str, name: &str) -> Result<(), Failure> {
    let request = OpenRequest { name: Some(name.to_owned()), ..OpenRequest::new(Mode::Ethernet, Unit::Any) };
    let mut tap = tapline_device::open(&request)?;
    let stream = connection(role, address.parse()?).await?;
    stream.set_nodelay(true)?;
    println!("carrying {name}");
    let directions = if role == "listen" { [0, 1] } else { [1, 0] };
    let mut pump = Pump::new(&stream, directions)?;
    poll_fn(|cx| pump.poll(&mut tap, cx)).await
}

async fn connection(role: &str, address: SocketAddr) -> io::Result<TcpStream> {
    if role == "connect" {
        return TcpSocket::new_v4()?.connect(address).await;
    }
    let listener = TcpListener::bind(address).await?;
    println!("listening on {address}");
    Ok(listener.accept().await?.0)
}

/// Both directions of one tunnel.
struct Pump<'a> {
    stream: &'a TcpStream,
    outgoing: Outgoing,
    incoming: Incoming,
}

impl<'a> Pump<'a> {
    /// `directions` tells the nonces of what is sent from those of what is received.
    fn new(stream: &'a TcpStream, [sending, receiving]: [u8; 2]) -> Result<Self, Failure> {
        Ok(Self {
            stream,
            outgoing: Outgoing { seal: Seal::new(sending)?, batch: Batch::default(), written: 0 },
            incoming: Incoming {
                seal: Seal::new(receiving)?,
                buffer: vec![0; READ_AHEAD].into_boxed_slice(),
                taken: 0,
                filled: 0,
            },
        })
    }

    /// Goes on while anything moves.
    fn poll(&mut self, tap: &mut KernelDevice, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let sent = self.outgoing.poll(tap, self.stream, cx)?;
            match self.incoming.poll(tap, self.stream, cx)? {
                Poll::Ready(Received::End) => return Poll::Ready(Ok(())),
                Poll::Pending if sent.is_pending() => return Poll::Pending,
                _ => {}
            }
        }
    }
}

/// From the tap to the connection.
struct Outgoing {
    seal: Seal,
    batch: Batch,
    /// Bytes of the batch's message that the connection has.
    written: usize,
}

impl Outgoing {
    /// One write, of a new message if the last one has gone. The tap waits as long as the connection does.
    fn poll(
        &mut self,
        tap: &mut KernelDevice,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, Failure> {
        while self.written == self.batch.message.len() {
            if tap.poll_readable(cx)?.is_pending() {
                return Ok(Poll::Pending);
            }
            self.batch.start();
            self.written = 0;
            if tap.read_batch(&mut self.batch)? == 0 || self.batch.is_empty() {
                self.batch.message.clear();
                continue;
            }
            self.seal.seal(&mut self.batch.message)?;
        }
        while stream.poll_write_ready(cx)?.is_ready() {
            match stream.try_write(self.batch.message.get(self.written..).unwrap_or_default()) {
                Ok(count) => {
                    self.written += count;
                    return Ok(Poll::Ready(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Poll::Pending)
    }
}

/// A message that is being filled.
#[derive(Debug, Default)]
struct Batch {
    message: Vec<u8>,
    frames: usize,
}

impl Batch {
    fn start(&mut self) {
        self.message.clear();
        self.message.extend_from_slice(&[0; LENGTH]);
        self.frames = 0;
    }

    fn is_empty(&self) -> bool {
        self.message.len() == LENGTH
    }
}

impl FrameSink for Batch {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        // What is unfit for the peer is dropped.
        let _ = records::encode_frame(Mode::Ethernet, header, frame, &mut self.message);
        self.frames += 1;
        self.message.len() < MESSAGE && self.frames < MESSAGE_FRAMES
    }
}

/// From the connection to the tap.
struct Incoming {
    seal: Seal,
    buffer: Box<[u8]>,
    /// Bytes of whole messages that the tap has, and bytes that the connection has brought.
    taken: usize,
    filled: usize,
}

/// What a read from the connection has brought.
enum Received {
    Some,
    End,
}

impl Incoming {
    /// One read, and everything that it completes.
    fn poll(
        &mut self,
        tap: &mut KernelDevice,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Result<Poll<Received>, Failure> {
        while stream.poll_read_ready(cx)?.is_ready() {
            match stream.try_read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => return Ok(Poll::Ready(Received::End)),
                Ok(count) => {
                    self.filled += count;
                    self.take_messages(tap)?;
                    return Ok(Poll::Ready(Received::Some));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Poll::Pending)
    }

    fn take_messages(&mut self, tap: &mut KernelDevice) -> Result<(), Failure> {
        let mut rest = self.buffer.get_mut(self.taken..self.filled).unwrap_or_default();
        while let Some((length, sealed)) = rest.split_first_chunk_mut() {
            let len = usize::try_from(u32::from_be_bytes(*length))?;
            if len > MAX_MESSAGE {
                return Err("the peer speaks something else".into());
            }
            let Some((sealed, behind)) = sealed.split_at_mut_checked(len + TAG) else { break };
            self.taken += LENGTH + len + TAG;
            write_frames(tap, self.seal.open(*length, sealed)?)?;
            rest = behind;
        }
        // The rest of a message is moved to the front only when the space behind is short.
        if self.taken == self.filled || self.buffer.len() - self.filled < MAX_MESSAGE {
            self.buffer.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
        }
        Ok(())
    }
}

fn write_frames(tap: &mut KernelDevice, message: &[u8]) -> Result<(), Failure> {
    let mut frames = Vec::with_capacity(MESSAGE_FRAMES);
    for record in records::decode(Mode::Ethernet, message) {
        if let Record::Frame { header, bytes } = record?
            && let Ok(header) = header.check(bytes, Mode::Ethernet, tap.offloads())
        {
            frames.push(FrameRef { header, bytes });
        }
    }
    tap.write_batch(&frames)?;
    Ok(())
}

/// Seals or opens the messages of one direction, in order.
struct Seal {
    key: LessSafeKey,
    direction: u8,
    messages: u64,
}

impl Seal {
    fn new(direction: u8) -> Result<Self, Failure> {
        let key = UnboundKey::new(&AES_256_GCM, &KEY).map_err(|_| "no AES-256-GCM")?;
        Ok(Self { key: LessSafeKey::new(key), direction, messages: 0 })
    }

    /// Fills in the length of a message, seals what stands behind it and appends the tag.
    fn seal(&mut self, message: &mut Vec<u8>) -> Result<(), Failure> {
        let nonce = self.nonce();
        let (length, records) = message.split_first_chunk_mut().ok_or("a message without a length")?;
        *length = u32::try_from(records.len())?.to_be_bytes();
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(*length), records);
        message.extend_from_slice(tag.map_err(|_| "cannot seal")?.as_ref());
        Ok(())
    }

    fn open<'a>(&mut self, length: [u8; LENGTH], sealed: &'a mut [u8]) -> Result<&'a [u8], Failure> {
        let nonce = self.nonce();
        let opened = self.key.open_in_place(nonce, Aad::from(length), sealed);
        Ok(opened.map_err(|_| "the peer has another key")?)
    }

    fn nonce(&mut self) -> Nonce {
        let [a, b, c, d, e, f, g, h] = self.messages.to_be_bytes();
        self.messages += 1;
        Nonce::assume_unique_for_key([self.direction, 0, 0, 0, a, b, c, d, e, f, g, h])
    }
}
