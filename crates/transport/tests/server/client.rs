//! A client of the same library, for what no ssh does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh_channels::client::{self, Handle, Session};
use russh_channels::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh_channels::tunnel::{self, TunnelWriter, WithTunnels};
use russh_channels::{ChannelId, ChannelOpenFailure, Error};
use tapline_frame::{Mode, Offloads, records};
use tapline_transport::Tuning;
use tapline_transport::tunnel::{Event, Path, TunnelHandle, Tunnels};
use tokio::sync::mpsc;

use crate::harness::{CLIENT, Server, private_key, within};

pub(crate) struct Client {
    pub(crate) handle: Handle<ClientHandler>,
    /// Opens real tunnels.
    pub(crate) tunnels: TunnelHandle,
    /// What they tell.
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    /// Opens channels of any type, with any payload.
    wishes: mpsc::UnboundedSender<Wish>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

/// What follows the common fields when a plain tap is asked for on the native channel.
pub(crate) fn native_open(mtu: u32) -> Vec<u8> {
    let mut payload = Vec::new();
    records::Open {
        mode: Mode::Ethernet,
        unit: None,
        features: Offloads::NONE,
        bundle: None,
        mtu: Some(mtu),
    }
    .encode(&mut payload);
    payload
}

enum Wish {
    Open {
        kind: String,
        payload: Vec<u8>,
    },
    /// One CHANNEL_DATA each.
    Write {
        channel: ChannelId,
        strings: Vec<Vec<u8>>,
    },
}

/// What became of a channel that was opened without a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Confirmed(ChannelId),
    Refused { reason: ChannelOpenFailure, description: String },
}

impl Client {
    pub(crate) async fn log_in(server: &Server) -> Self {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (ends, events) = mpsc::unbounded_channel();
        let (tunnels, tunnel_handle) = Tunnels::new(Path::unknown(), &Tuning::default(), ends);
        let (wishes_sender, wishes) = mpsc::unbounded_channel();
        let (answers_sender, answers) = mpsc::unbounded_channel();
        let channels = Channels { tunnels, wishes, waiting: VecDeque::new(), ours: Vec::new() };
        let handler = ClientHandler { channels, answers: answers_sender };
        let config = Arc::new(client::Config::default());
        let mut handle = client::connect_stream(config, stream, handler).await.unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(private_key(CLIENT)), None);
        let result = handle.authenticate_publickey("tapline", key).await.unwrap();
        assert!(result.success());
        Self { handle, tunnels: tunnel_handle, events, wishes: wishes_sender, answers }
    }

    pub(crate) fn ask(&self, kind: &str, payload: &[u8]) {
        self.wishes.send(Wish::Open { kind: kind.to_owned(), payload: payload.to_vec() }).unwrap();
    }

    pub(crate) fn write(&self, channel: ChannelId, strings: Vec<Vec<u8>>) {
        self.wishes.send(Wish::Write { channel, strings }).unwrap();
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        within("the server answers", self.answers.recv()).await.expect("the session lives")
    }

    pub(crate) async fn open(&mut self, kind: &str, payload: &[u8]) -> Answer {
        self.ask(kind, payload);
        self.answer().await
    }
}

pub(crate) struct ClientHandler {
    channels: Channels,
    answers: mpsc::UnboundedSender<Answer>,
}

/// Real tunnels, and channels of any type.
pub(crate) struct Channels {
    tunnels: Tunnels,
    wishes: mpsc::UnboundedReceiver<Wish>,
    waiting: VecDeque<Wish>,
    ours: Vec<ChannelId>,
}

impl client::Handler for ClientHandler {
    type Error = Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }

    async fn channel_open_confirmation(
        &mut self,
        channel: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), Error> {
        if self.channels.ours.contains(&channel) {
            let _ = self.answers.send(Answer::Confirmed(channel));
        } else {
            self.channels.tunnels.confirmed(channel);
        }
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Error> {
        if self.channels.ours.contains(&channel) {
            let _ = self.answers.send(Answer::Refused { reason, description: description.to_owned() });
        } else {
            self.channels.tunnels.refused(channel, &reason, description);
        }
        Ok(())
    }
}

impl tunnel::Tunnels for Channels {
    fn receive(&mut self, channel: ChannelId, data: &[u8]) -> bool {
        if self.ours.contains(&channel) {
            return true;
        }
        self.tunnels.receive(channel, data)
    }

    fn carries(&self, channel: ChannelId) -> bool {
        self.tunnels.carries(channel)
    }

    fn received_batch(&mut self) {
        self.tunnels.received_batch();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(wish)) = self.wishes.poll_recv(cx) {
            self.waiting.push_back(wish);
        }
        let tunnels = self.tunnels.poll(cx);
        if self.waiting.is_empty() { tunnels } else { Poll::Ready(()) }
    }

    fn send(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), Error> {
        for wish in self.waiting.drain(..) {
            match wish {
                Wish::Open { kind, payload } => self.ours.push(out.open(&kind, 2 << 20, 32_768, &payload)?),
                Wish::Write { channel, strings } => {
                    for string in strings {
                        out.datagram(channel, 0, |packet| packet.extend_from_slice(&string))?;
                    }
                }
            }
        }
        self.tunnels.send(out)
    }
}

impl WithTunnels for ClientHandler {
    type Tunnels = Channels;

    fn tunnels(&mut self) -> &mut Channels {
        &mut self.channels
    }

    fn debug_message(&mut self, text: &str) {
        self.channels.tunnels.debug_message(text);
    }
}
