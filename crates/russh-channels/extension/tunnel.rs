//! Tunnel channels, driven by the session's own loop.
//!
//! russh hands the data of its channels through queues to other tasks. A tunnel carries hundreds of thousands of frames
//! per second, and there the hops cost more than the cryptography. So a session's handler also has [`Tunnels`]:
//! the loop gives them the decrypted data of their channels in place, asks them for datagrams whenever the session may
//! send, and waits for their devices together with the socket.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ssh_encoding::{Decode, Encode, Reader};
use tokio::io::AsyncWrite;

use crate::cipher::OpeningKey;
use crate::parsing::{ChannelType, OpenChannelMessage};
use crate::session::{CommonSession, Encrypted, EncryptedState};
use crate::sshbuffer::{PacketWriter, SSHBuffer};
use crate::{ChannelId, ChannelParams, Error, Limits, cipher_choice, compression, msg, server};

/// While more encrypted bytes than this wait for the socket, a session reads nothing, so that a peer
/// which asks and never reads the answers cannot grow our memory.
pub const MAX_UNSENT: usize = 4 << 20;

/// Type, channel and length of a CHANNEL_DATA.
const DATA_HEADER: usize = 1 + 4 + 4;
/// Bytes that a packet has before the data of a CHANNEL_DATA.
pub const HEADROOM: usize = 4 + 1 + DATA_HEADER;
/// Bytes that it has at most behind the data: padding and tag.
pub const TAILROOM: usize = 32 + 64;

/// What a session's handler has besides russh's own callbacks.
pub trait WithTunnels: Send {
    type Tunnels: Tunnels;

    fn tunnels(&mut self) -> &mut Self::Tunnels;

    /// A peer asks for a channel (server only). Called for every type, russh's own included.
    fn answer_open(&mut self, _open: &ChannelOpen<'_>) -> impl Future<Output = OpenAnswer> + Send {
        async { OpenAnswer::Russh }
    }

    /// The peer sent SSH_MSG_DEBUG (RFC 4253 section 11.3; client only).
    fn debug_message(&mut self, _text: &str) {}
}

/// The tunnel channels of a session. `()` has none.
pub trait Tunnels: Send {
    /// Data of a confirmed channel, decrypted in place. `false`: the channel is no tunnel.
    /// Otherwise the peer is owed the window that it used; see [`TunnelWriter::grant`].
    fn receive(&mut self, channel: ChannelId, data: &[u8]) -> bool;

    /// Whether the channel is a tunnel. Then the peer's CHANNEL_WINDOW_ADJUST concerns nobody else: [`Tunnels::send`]
    /// follows it.
    fn carries(&self, channel: ChannelId) -> bool;

    /// All that one read of the socket brought has been received.
    fn received_batch(&mut self);

    /// Ready when [`Tunnels::send`] has something to do. Polled on every turn of the loop; must not be ready
    /// for work that `send` cannot finish, or the loop spins.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Writes what there is to send. Called on every turn of the loop while the session is authenticated and
    /// not exchanging keys.
    fn send(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), Error>;
}

impl Tunnels for () {
    fn receive(&mut self, _channel: ChannelId, _data: &[u8]) -> bool {
        false
    }

    fn carries(&self, _channel: ChannelId) -> bool {
        false
    }

    fn received_batch(&mut self) {}

    fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn send(&mut self, _out: &mut TunnelWriter<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// A peer's CHANNEL_OPEN (RFC 4254 section 5.1).
#[derive(Debug)]
pub struct ChannelOpen<'a> {
    /// Our number for the channel, should it be accepted.
    pub channel: ChannelId,
    /// The type's name where russh does not know it, else `None`.
    pub kind: Option<&'a str>,
    /// What follows the common fields.
    pub payload: &'a [u8],
    /// The peer's version string, without line end.
    pub peer_version: &'a [u8],
}

/// What becomes of a [`ChannelOpen`].
#[derive(Debug)]
pub enum OpenAnswer {
    /// As russh would do.
    Russh,
    /// CHANNEL_OPEN_CONFIRMATION; `window` and `max_packet` are bytes that the peer may send. With `our_cipher` keys are
    /// exchanged anew if both know a cipher that stands before the one in use in our list.
    Accept { window: u32, max_packet: u32, our_cipher: bool },
    /// CHANNEL_OPEN_FAILURE, preceded by an SSH_MSG_DEBUG where there is one.
    Refuse { reason: u32, description: String, debug: Option<String> },
}

/// The sending side of an authenticated session that is not exchanging keys.
#[derive(Debug)]
pub struct TunnelWriter<'a> {
    enc: &'a mut Encrypted,
    writer: &'a mut PacketWriter,
    remote_version: &'a [u8],
}

impl TunnelWriter<'_> {
    /// Encrypted bytes that the socket has not yet taken.
    pub fn unsent(&self) -> usize {
        self.writer.unsent()
    }

    /// The peer's version string, without line end.
    pub fn peer_version(&self) -> &[u8] {
        self.remote_version
    }

    /// Asks the peer for a channel. The handler's `channel_open_confirmation` or `channel_open_failure` follows.
    pub fn open(&mut self, kind: &str, window: u32, max_packet: u32, payload: &[u8]) -> Result<ChannelId, Error> {
        let channel = self.enc.new_channel(window, max_packet);
        let write = &mut self.enc.write;
        push_packet!(write, {
            msg::CHANNEL_OPEN.encode(write)?;
            kind.encode(write)?;
            channel.encode(write)?;
            window.encode(write)?;
            max_packet.encode(write)?;
            write.extend_from_slice(payload);
        });
        Ok(channel)
    }

    /// The largest datagram that may be sent now: what is left of the window, and the peer's maximum packet.
    /// `None` for a channel that is not open.
    pub fn room(&self, channel: ChannelId) -> Option<Room> {
        let channel = self.enc.channels.get(&channel).filter(|channel| channel.confirmed)?;
        Some(Room { window: channel.recipient_window_size, max_packet: channel.recipient_maximum_packet_size })
    }

    /// Sends what `fill` appends to the buffer as one CHANNEL_DATA, whole or not at all, and debits its length
    /// and `surcharge` from the window. `fill` must only append. Returns whether there was room.
    pub fn datagram(
        &mut self,
        channel: ChannelId,
        surcharge: u32,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, Error> {
        let Some(params) = self.enc.channels.get_mut(&channel).filter(|channel| channel.confirmed) else {
            return Ok(false);
        };
        let mut paid = false;
        let written = self.writer.write_packet(|packet| {
            packet.push(msg::CHANNEL_DATA);
            packet.extend_from_slice(&params.recipient_channel.to_be_bytes());
            let length_at = packet.len();
            packet.extend_from_slice(&[0; 4]);
            let start = packet.len();
            fill(packet);
            let length = pay(params, packet.len() - start, surcharge).ok_or(Error::Inconsistent)?;
            #[allow(clippy::indexing_slicing)] // pushed above
            packet[length_at..start].copy_from_slice(&length.to_be_bytes());
            paid = true;
            Ok(())
        });
        // `write_packet` takes back what a failing closure appended.
        if paid { written.map(|()| true) } else { Ok(false) }
    }

    /// As [`TunnelWriter::datagram`], of what stands in `buffer` from `start` to its end, encrypted there instead of
    /// copied. In front of it there must be [`HEADROOM`] bytes of room, and behind it there should be [`TAILROOM`] of
    /// capacity. The buffer comes back through [`TunnelWriter::spent`]; at once if there is no room.
    pub fn datagram_within(
        &mut self,
        channel: ChannelId,
        surcharge: u32,
        mut buffer: Vec<u8>,
        start: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.writer.compresses() {
            let data = buffer.get(start..).ok_or(Error::Inconsistent)?;
            let sent = self.datagram(channel, surcharge, |message| message.extend_from_slice(data))?;
            return Ok((!sent).then_some(buffer));
        }
        let Some(params) = self.enc.channels.get_mut(&channel).filter(|channel| channel.confirmed) else {
            return Ok(Some(buffer));
        };
        let length = buffer.len().checked_sub(start).ok_or(Error::Inconsistent)?;
        let header_at = start.checked_sub(DATA_HEADER).ok_or(Error::Inconsistent)?;
        let Some(length) = pay(params, length, surcharge) else { return Ok(Some(buffer)) };
        let [c0, c1, c2, c3] = params.recipient_channel.to_be_bytes();
        let [l0, l1, l2, l3] = length.to_be_bytes();
        let header = [msg::CHANNEL_DATA, c0, c1, c2, c3, l0, l1, l2, l3];
        buffer.get_mut(header_at..start).ok_or(Error::Inconsistent)?.copy_from_slice(&header);
        self.writer.write_packet_within(buffer, header_at)?;
        Ok(None)
    }

    /// A buffer that was given to [`TunnelWriter::datagram_within`] and is free again.
    pub fn spent(&mut self) -> Option<Vec<u8>> {
        self.writer.spent()
    }

    /// Sends CHANNEL_WINDOW_ADJUST: the peer may send `bytes` more. Nothing for a channel that is not open.
    pub fn grant(&mut self, channel: ChannelId, bytes: u32) -> Result<(), Error> {
        let Some(params) = self.enc.channels.get(&channel).filter(|channel| channel.confirmed) else {
            return Ok(());
        };
        let recipient = params.recipient_channel;
        self.writer.write_packet(|packet| {
            packet.push(msg::CHANNEL_WINDOW_ADJUST);
            packet.extend_from_slice(&recipient.to_be_bytes());
            packet.extend_from_slice(&bytes.to_be_bytes());
            Ok(())
        })
    }

    /// Asks the peer for a sign of life: a CHANNEL_REQUEST (RFC 4254 section 5.4) that everybody answers, be it with
    /// CHANNEL_FAILURE. Nothing for a channel that is not open.
    pub fn ask(&mut self, channel: ChannelId) -> Result<(), Error> {
        const REQUEST: &[u8] = b"keepalive@openssh.com";
        let Some(params) = self.enc.channels.get(&channel).filter(|channel| channel.confirmed) else {
            return Ok(());
        };
        let recipient = params.recipient_channel;
        self.writer.write_packet(|packet| {
            packet.push(msg::CHANNEL_REQUEST);
            packet.extend_from_slice(&recipient.to_be_bytes());
            packet.extend_from_slice(&(REQUEST.len() as u32).to_be_bytes());
            packet.extend_from_slice(REQUEST);
            packet.push(1);
            Ok(())
        })
    }

    /// Sends CHANNEL_CLOSE and forgets the channel.
    pub fn close(&mut self, channel: ChannelId) -> Result<(), Error> {
        self.enc.close(channel)
    }
}

/// See [`TunnelWriter::room`]; bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub window: u32,
    pub max_packet: u32,
}

/// Debits a datagram and its surcharge from the window that the peer gave. `None`: there is no room for it, or nothing in
/// it.
fn pay(channel: &mut ChannelParams, length: usize, surcharge: u32) -> Option<u32> {
    let length = u32::try_from(length).ok()?;
    let left = channel.recipient_window_size.checked_sub(length.saturating_add(surcharge))?;
    if length == 0 || length > channel.recipient_maximum_packet_size {
        return None;
    }
    channel.recipient_window_size = left;
    Some(length)
}

pub(crate) fn rest_of(r: &mut impl Reader) -> Result<Vec<u8>, Error> {
    let mut rest = vec![0; r.remaining_len()];
    r.read(&mut rest)?;
    Ok(rest)
}

pub(crate) async fn answer_open<H: WithTunnels>(
    common: &mut CommonSession<Arc<server::Config>>,
    handler: &mut H,
    open: &OpenChannelMessage,
) -> Result<bool, Error> {
    let Some(enc) = common.encrypted.as_mut() else { return Ok(false) };
    let (kind, payload) = match &open.typ {
        ChannelType::Unknown { typ, payload } => (Some(typ.as_str()), payload.as_slice()),
        _ => (None, [].as_slice()),
    };
    let channel = enc.new_channel_id();
    let request = ChannelOpen { channel, kind, payload, peer_version: &common.remote_sshid };
    match handler.answer_open(&request).await {
        OpenAnswer::Russh => return Ok(false),
        OpenAnswer::Accept { window, max_packet, our_cipher } => {
            let params = ChannelParams {
                recipient_channel: open.recipient_channel,
                sender_channel: channel,
                recipient_window_size: open.recipient_window_size,
                sender_window_size: window,
                recipient_maximum_packet_size: open.recipient_maximum_packet_size,
                sender_maximum_packet_size: max_packet,
                confirmed: true,
                wants_reply: false,
                pending_data: std::collections::VecDeque::new(),
                pending_eof: false,
                pending_close: false,
            };
            enc.channels.insert(channel, params);
            push_packet!(enc.write, {
                msg::CHANNEL_OPEN_CONFIRMATION.encode(&mut enc.write)?;
                open.recipient_channel.encode(&mut enc.write)?;
                channel.encode(&mut enc.write)?;
                window.encode(&mut enc.write)?;
                max_packet.encode(&mut enc.write)?;
            });
            if our_cipher {
                cipher_choice::prefer_ours(common)?;
            }
        }
        OpenAnswer::Refuse { reason, description, debug } => {
            if let Some(debug) = debug {
                push_packet!(enc.write, {
                    msg::DEBUG.encode(&mut enc.write)?;
                    0u8.encode(&mut enc.write)?;
                    debug.as_str().encode(&mut enc.write)?;
                    "".encode(&mut enc.write)?;
                });
            }
            push_packet!(enc.write, {
                msg::CHANNEL_OPEN_FAILURE.encode(&mut enc.write)?;
                open.recipient_channel.encode(&mut enc.write)?;
                reason.encode(&mut enc.write)?;
                description.as_str().encode(&mut enc.write)?;
                "".encode(&mut enc.write)?;
            });
        }
    }
    Ok(true)
}

pub(crate) fn hear_debug<H: WithTunnels>(handler: &mut H, packet: &[u8]) {
    if let Some((&msg::DEBUG, mut rest)) = packet.split_first()
        && u8::decode(&mut rest).is_ok()
        && let Ok(text) = String::decode(&mut rest)
    {
        handler.debug_message(&text);
    }
}

/// Gives CHANNEL_DATA to the tunnels and counts the window that the peer gives them, starting with the packet in `buffer`
/// and going on with those that were read with it. `false`: the packet that is now in `buffer` is russh's to handle. Hands
/// the cipher back.
pub(crate) fn deliver<C: RekeyLimits, H: WithTunnels>(
    common: &mut CommonSession<Arc<C>>,
    handler: &mut H,
    buffer: &mut SSHBuffer,
    mut cipher: Box<dyn OpeningKey + Send>,
    peer_rekeys: bool,
    rekey_allowed: bool,
) -> (Result<bool, Error>, Box<dyn OpeningKey + Send>) {
    let tunnels = handler.tunnels();
    let mut any = false;
    let result = loop {
        let payload = buffer.payload_in_place();
        if peer_rekeys || !(receive(common, tunnels, payload) || adjust(common, tunnels, payload)) {
            buffer.copy_payload();
            break Ok(false);
        }
        any = true;
        match buffer.open_next(&mut *cipher) {
            Ok(true) => {}
            Ok(false) => break Ok(true),
            Err(error) => break Err(error),
        }
    };
    if any {
        tunnels.received_batch();
        common.received_data = true;
        if rekey_allowed
            && buffer.is_used_up(common.config.limits().rekey_read_limit, common.config.limits())
            && let Some(enc) = common.encrypted.as_mut()
        {
            enc.rekey_wanted = true;
        }
    }
    (result, cipher)
}

/// Whether the packet was data of a tunnel.
fn receive<C>(common: &CommonSession<C>, tunnels: &mut impl Tunnels, payload: &[u8]) -> bool {
    let Some(enc) = &common.encrypted else { return false };
    let &[msg::CHANNEL_DATA, c0, c1, c2, c3, l0, l1, l2, l3, ref data @ ..] = payload else { return false };
    let channel = ChannelId(u32::from_be_bytes([c0, c1, c2, c3]));
    if u32::from_be_bytes([l0, l1, l2, l3]) as usize != data.len()
        || !matches!(enc.decompress, compression::Decompress::None)
    {
        return false;
    }
    enc.channels.get(&channel).is_some_and(|channel| channel.confirmed) && tunnels.receive(channel, data)
}

/// Whether the packet gave window to a tunnel (RFC 4254 section 5.2).
fn adjust<C>(common: &mut CommonSession<C>, tunnels: &impl Tunnels, payload: &[u8]) -> bool {
    let Some(enc) = &mut common.encrypted else { return false };
    let &[msg::CHANNEL_WINDOW_ADJUST, c0, c1, c2, c3, b0, b1, b2, b3] = payload else { return false };
    let channel = ChannelId(u32::from_be_bytes([c0, c1, c2, c3]));
    if !tunnels.carries(channel) || !matches!(enc.decompress, compression::Decompress::None) {
        return false;
    }
    let Some(params) = enc.channels.get_mut(&channel).filter(|channel| channel.confirmed) else { return false };
    let bytes = u32::from_be_bytes([b0, b1, b2, b3]);
    params.recipient_window_size = params.recipient_window_size.saturating_add(bytes);
    true
}

/// Whether the connection protocol (RFC 4254) has begun.
pub(crate) fn is_logged_in<C>(common: &CommonSession<C>) -> bool {
    common.encrypted.as_ref().is_some_and(|enc| {
        matches!(enc.state, EncryptedState::Authenticated | EncryptedState::InitCompression)
    })
}

/// Whether channel data may go out: not before authentication, and not while keys are exchanged.
pub(crate) fn may_send<C>(common: &CommonSession<C>, kex_active: bool) -> bool {
    is_logged_in(common) && !kex_active && !common.disconnected
}

/// Polls the tunnels, which counts as work of the task: a device that always has frames must not keep the session from
/// yielding to its runtime, for only then the runtime learns that the socket has become ready.
pub(crate) fn poll_tunnels<H: WithTunnels>(handler: &mut H, cx: &mut Context<'_>) -> Poll<()> {
    std::task::ready!(std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx));
    handler.tunnels().poll(cx)
}

/// Lets the tunnels send. Returns whether it queued messages that the session has to flush.
pub(crate) fn drive<C, H: WithTunnels>(
    common: &mut CommonSession<C>,
    handler: &mut H,
    kex_active: bool,
) -> Result<bool, Error> {
    if !may_send(common, kex_active) {
        return Ok(false);
    }
    let Some(enc) = common.encrypted.as_mut().filter(|enc| enc.write.is_empty()) else { return Ok(false) };
    common.packet_writer.compact();
    handler.tunnels().send(&mut TunnelWriter {
        enc,
        writer: &mut common.packet_writer,
        remote_version: &common.remote_sshid,
    })?;
    Ok(!enc.write.is_empty())
}

/// The limits that both roles' configurations hold.
pub(crate) trait RekeyLimits {
    fn limits(&self) -> &Limits;
}

impl RekeyLimits for crate::client::Config {
    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl RekeyLimits for crate::server::Config {
    fn limits(&self) -> &Limits {
        &self.limits
    }
}

pub(crate) async fn write_now<W: AsyncWrite + Unpin>(writer: &mut PacketWriter, stream: &mut W) -> Result<(), Error> {
    std::future::poll_fn(|cx| match writer.poll_flush(stream, cx) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await
    .map_err(Error::from)
}

pub(crate) async fn flush_last_words<W: AsyncWrite + Unpin>(writer: &mut PacketWriter, stream: &mut W) {
    let _ = tokio::time::timeout(Duration::from_secs(2), writer.flush_into(stream)).await;
}
