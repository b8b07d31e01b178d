use std::sync::Arc;

use russh_channels::tunnel::TunnelWriter;
use russh_channels::{ChannelId, ChannelOpenFailure};
use tapline_frame::records::{self, BundleMember};
use tapline_frame::{Mode, Offloads, tunnel as stock};
use tokio::sync::oneshot;

use super::port::{Dialect, Port};
use super::{Counters, Lease};

/// A tunnel to ask the peer for.
#[derive(Debug)]
pub struct TunnelRequest {
    pub device: Lease,
    /// The peer's device; `None` is "any".
    pub remote_unit: Option<u32>,
    pub native: NativePolicy,
    /// The bundle that the tunnel is to be of. Peers that know none pass over it; see [`super::Event::Greeted`].
    pub bundle: Option<BundleMember>,
    pub counters: Arc<Counters>,
}

/// Whether Tapline's own channel is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NativePolicy {
    /// First, and `tun@openssh.com` when the peer does not know it.
    #[default]
    Auto,
    /// Only `tun@openssh.com`.
    No,
    /// Only Tapline's own.
    Only,
}

/// A tunnel that the peer accepted.
#[derive(Debug)]
pub struct Established {
    pub channel: ChannelId,
    pub dialect: Dialect,
    /// The local interface.
    pub device: String,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum OpenTunnelError {
    #[error("the peer refuses the tunnel ({reason}){}; {hint}", said(.description))]
    Refused {
        /// In the words of RFC 4254 section 5.1.
        reason: String,
        /// The peer's words; may be empty.
        description: String,
        hint: &'static str,
    },
    #[error(
        "the peer does not know Tapline's own channel ({}); use `native: auto` for stock OpenSSH",
        records::CHANNEL_TYPE
    )]
    NotNative,
    #[error("the SSH session ended before the tunnel was open")]
    SessionEnded,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Opening {
    request: TunnelRequest,
    mode: Mode,
    dialect: Dialect,
    channel: Option<ChannelId>,
    peer_is_tapline: bool,
    reply: oneshot::Sender<Result<Established, OpenTunnelError>>,
}

impl Opening {
    pub(super) fn new(
        request: TunnelRequest,
        reply: oneshot::Sender<Result<Established, OpenTunnelError>>,
    ) -> Self {
        let dialect = match request.native {
            NativePolicy::Auto | NativePolicy::Only => Dialect::Native,
            NativePolicy::No => Dialect::Stock,
        };
        Self { mode: request.device.mode(), dialect, channel: None, peer_is_tapline: false, request, reply }
    }

    pub(super) fn channel(&self) -> Option<ChannelId> {
        self.channel
    }

    pub(super) fn ask(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), russh_channels::Error> {
        self.peer_is_tapline = out.peer_version().starts_with(b"SSH-2.0-Tapline_");
        let unit = self.request.remote_unit;
        let payload = match self.dialect {
            Dialect::Stock => stock::Open { mode: self.mode, unit }.encode().to_vec(),
            Dialect::Native => {
                let mut payload = Vec::new();
                let features = self.request.device.offloads();
                let bundle = self.request.bundle;
                records::Open { mode: self.mode, unit, features, bundle, mtu: None }.encode(&mut payload);
                payload
            }
        };
        self.channel = Some(out.open(
            self.dialect.channel_type(),
            self.dialect.window(),
            self.dialect.max_packet(),
            &payload,
        )?);
        Ok(())
    }

    /// The port of the new tunnel, unless nobody waits for it any more.
    pub(super) fn confirmed(self, channel: ChannelId, window_limit: u32) -> Option<Port> {
        let established =
            Established { channel, dialect: self.dialect, device: self.request.device.name().to_owned() };
        // Until a native peer's HELLO says more, it gets ordinary frames.
        let port = Port::new(
            channel,
            self.dialect,
            Offloads::NONE,
            window_limit,
            self.request.device,
            self.request.counters,
        );
        self.reply.send(Ok(established)).ok()?;
        Some(port)
    }

    /// What to ask for next, if anything.
    pub(super) fn refused(
        mut self,
        reason: &ChannelOpenFailure,
        description: &str,
        debug: Option<String>,
    ) -> Option<Self> {
        // OpenSSH refuses a type that it does not know with the same words and reason as a device that it cannot open.
        let unknown = *reason == ChannelOpenFailure::UnknownChannelType || !self.peer_is_tapline;
        if self.dialect == Dialect::Native && unknown {
            if self.request.native == NativePolicy::Auto {
                self.dialect = Dialect::Stock;
                self.channel = None;
                return Some(self);
            }
            let _ = self.reply.send(Err(OpenTunnelError::NotNative));
            return None;
        }
        let _ = self.reply.send(Err(refusal(reason, description, debug)));
        None
    }
}

/// OpenSSH's failure only says "open failed"; its debug message knows why.
fn refusal(reason: &ChannelOpenFailure, description: &str, debug: Option<String>) -> OpenTunnelError {
    let description =
        debug.unwrap_or_else(|| description.chars().filter(|c| !c.is_control()).take(200).collect());
    let reason_and_hint = match reason {
        ChannelOpenFailure::AdministrativelyProhibited => (
            "administratively prohibited".to_owned(),
            "what the key may do is set there: PermitTunnel, and the options of its line in authorized_keys",
        ),
        ChannelOpenFailure::ConnectFailed => ("connect failed".to_owned(), "see the peer's log"),
        ChannelOpenFailure::UnknownChannelType => (
            "unknown channel type".to_owned(),
            "its SSH server knows no tunnels; run OpenSSH's or Tapline there",
        ),
        ChannelOpenFailure::ResourceShortage => {
            ("resource shortage".to_owned(), "it has no room for more now; see the limits in the peer's log")
        }
        ChannelOpenFailure::Other { code, .. } => (format!("reason {code}"), "see the peer's log"),
    };
    let (reason, general) = reason_and_hint;
    let hint = hint(&description).unwrap_or(general);
    OpenTunnelError::Refused { reason, description, hint }
}

fn said(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(": {description}") }
}

fn hint(description: &str) -> Option<&'static str> {
    if description.contains("rejected tunnel") {
        Some(
            "set PermitTunnel in the peer's sshd_config, and see that its key is neither `restrict`ed nor bound to another tunnel number",
        )
    } else if description.contains("open the tunnel device") {
        Some("log in as root there, or let root make a persistent device: ip tuntap add mode tap user NAME")
    } else if description.contains("Unsupported tunnel device mode") {
        Some("the peer knows the other mode alone; set Tunnel to that")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
