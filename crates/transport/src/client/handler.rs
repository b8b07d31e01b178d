//! What the session's loop asks us.

use std::sync::{Arc, OnceLock};

use russh_channels::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh_channels::keys::PublicKeyOrCertificate;
use russh_channels::tunnel::WithTunnels;
use russh_channels::{Channel, ChannelId, ChannelOpenFailure, Names};
use tokio::sync::{oneshot, watch};

use super::HostKeyRefusal;
use super::host_key::HostKeyCheck;
use super::prompt::{Prompter, printable};
use super::session::Ended;
use crate::tunnel::Tunnels;

/// The longest banner that is shown, in characters.
const MAX_BANNER: usize = 4096;

#[derive(Debug)]
pub(super) struct ClientHandler {
    pub(super) tunnels: Tunnels,
    pub(super) check: HostKeyCheck,
    pub(super) prompter: Arc<dyn Prompter>,
    /// Told when the server has shown its key: from then on it is not the server that we wait for.
    pub(super) key_shown: Option<oneshot::Sender<()>>,
    pub(super) peer: Arc<OnceLock<Peer>>,
    pub(super) ended: watch::Sender<Option<Ended>>,
}

/// What the handshake found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its version string, without line end.
    pub version: String,
    pub key_exchange: String,
    pub cipher: String,
    /// The kind of its host key.
    pub host_key: String,
}

/// What ends a session from within its loop.
#[derive(Debug)]
pub(super) enum HandlerError {
    Ssh(russh_channels::Error),
    HostKey(HostKeyRefusal),
}

impl From<russh_channels::Error> for HandlerError {
    fn from(error: russh_channels::Error) -> Self {
        Self::Ssh(error)
    }
}

impl WithTunnels for ClientHandler {
    type Tunnels = Tunnels;

    fn tunnels(&mut self) -> &mut Tunnels {
        &mut self.tunnels
    }

    fn debug_message(&mut self, text: &str) {
        self.tunnels.debug_message(text);
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), Self::Error> {
        let banner: String =
            banner.chars().filter(|c| *c == '\n' || !c.is_control()).take(MAX_BANNER).collect();
        for line in banner.lines() {
            tracing::debug!("the server's banner: {line}");
        }
        let prompter = Arc::clone(&self.prompter);
        let shown = tokio::task::spawn_blocking(move || prompter.show(&banner)).await;
        if let Err(error) = shown {
            tracing::debug!(%error, "the banner cannot be shown");
        }
        Ok(())
    }

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let Some(key_shown) = self.key_shown.take() {
            // Nobody waits any more when the attempt was given up.
            let _ = key_shown.send(());
        }
        self.check.verify(shown, &self.prompter).await.map_err(HandlerError::HostKey)?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        tracing::debug!(
            "the server's version is {}; agreed: key exchange {}, host key {}, cipher {}, MAC to the server {}, from it {}",
            printable(&String::from_utf8_lossy(session.remote_sshid()), 255),
            names.kex.as_ref(),
            names.key,
            names.cipher.as_ref(),
            names.client_mac.as_ref(),
            names.server_mac.as_ref(),
        );
        self.peer.get_or_init(|| Peer {
            version: printable(&String::from_utf8_lossy(session.remote_sshid()), 255),
            key_exchange: names.kex.as_ref().to_owned(),
            cipher: names.cipher.as_ref().to_owned(),
            host_key: names.key.to_string(),
        });
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        channel: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tunnels.confirmed(channel);
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.tunnels.refused(channel, &reason, description);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.tunnels.closed(channel);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.tunnels.ended(channel);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let ended = Ended::from(&reason);
        tracing::debug!("the session is over: {ended}");
        self.ended.send_replace(Some(ended));
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // Servers have no channels to open on a client that asked for none: dropping the handle refuses.

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
