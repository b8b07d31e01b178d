//! What a session does when its client says something: log-in, and requests for channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use russh_channels::keys::Certificate;
use russh_channels::keys::ssh_key::public::KeyData;
use russh_channels::server::{Auth, Handler, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh_channels::tunnel::{ChannelOpen, OpenAnswer, WithTunnels};
use russh_channels::{ChannelId, Error};
use tokio::sync::{mpsc, oneshot};

use super::authentication::{self, Credential, Denial, Login};
use super::gate::Conduct;
use super::log::printable;
use super::policy::{self, Refusal, Wanted};
use super::reception::Service;
use super::{DeviceRefused, DeviceRequest, OpenedTunnel, Peer, SessionId};
use crate::tcp::Path;
use crate::trust::{Offered, type_name};
use crate::tunnel::{self, Counters, Lease, Tunnels};

/// Tunnels that one session may have at a time.
const MAX_TUNNELS: usize = 16;

/// How long the program may take to provide a device.
const DEVICE_DEADLINE: Duration = Duration::from_secs(10);

/// Longer names are no names, in bytes.
const MAX_USER: usize = 256;

/// Keys that a client may ask about, which costs it nothing and us a look into the files. Rejected ones are limited
/// by russh.
const MAX_OFFERS: usize = 64;

/// The handler of one session. It is driven by the session's loop; what others should know it sends as [`Notice`]s.
#[derive(Debug)]
pub(super) struct SessionHandler {
    service: Arc<Service>,
    session: SessionId,
    address: SocketAddr,
    offers: usize,
    credential: Option<Credential>,
    /// Once authenticated.
    peer: Option<Arc<Peer>>,
    tunnels: Tunnels,
    open: OpenCount,
    notices: mpsc::UnboundedSender<Notice>,
}

/// What a session's thread has to know of what the handler saw.
#[derive(Debug)]
pub(super) enum Notice {
    /// An attempt to authenticate has failed, in this way.
    Attempt {
        conduct: Conduct,
        user: String,
    },
    Authenticated(Arc<Peer>),
    Opened(OpenedTunnel),
}

/// How many tunnels the session has; whoever hears of a tunnel's end takes one away.
pub(super) type OpenCount = Arc<AtomicUsize>;

impl SessionHandler {
    /// Tunnels that end are told to `ends`.
    pub(super) fn new(
        service: Arc<Service>,
        session: SessionId,
        address: SocketAddr,
        path: Path,
        open: OpenCount,
        notices: mpsc::UnboundedSender<Notice>,
        ends: mpsc::UnboundedSender<tunnel::Event>,
    ) -> Self {
        let (tunnels, _) = Tunnels::new(path, &service.options.tuning, ends);
        Self { service, session, address, offers: 0, credential: None, peer: None, tunnels, open, notices }
    }

    fn log_in(&mut self, user: &str, offered: Offered<'_>) -> Auth {
        let known = self.service.authentication.authorize(&self.service.options, &self.login(user, offered));
        match known {
            Ok(credential) => {
                let certificate = match offered {
                    Offered::Key(_) => String::new(),
                    Offered::Certificate(certificate) => describe(certificate),
                };
                tracing::info!(
                    "Accepted publickey for {} from {} port {} ssh2: {}{certificate}",
                    printable(user),
                    self.address.ip(),
                    self.address.port(),
                    describe_key(offered.key()),
                );
                self.peer = Some(Arc::new(Peer {
                    session: self.session,
                    name: credential.name.clone(),
                    user: printable(user),
                    address: self.address,
                    fingerprint: credential.fingerprint.clone(),
                    accept: credential.accept.clone(),
                }));
                self.credential = Some(credential);
                Auth::Accept
            }
            Err(denial) => self.deny(user, offered.key(), &denial),
        }
    }

    fn login<'a>(&self, user: &'a str, offered: Offered<'a>) -> Login<'a> {
        Login { offered, user, peer: self.address.ip(), now: SystemTime::now() }
    }

    /// A method that is not offered.
    fn deny_method(&self, method: &str, user: &str) -> Auth {
        let user = printable(user);
        self.service.strangers.info(format_args!(
            "Failed {method} for {user} from {} port {} ssh2: only publickey is served",
            self.address.ip(),
            self.address.port(),
        ));
        let _ = self.notices.send(Notice::Attempt { conduct: Conduct::AuthFailed, user });
        Auth::reject()
    }

    fn deny(&self, user: &str, key: &KeyData, denial: &Denial) -> Auth {
        let (who, conduct) = match denial {
            Denial::User => ("invalid user ", Conduct::InvalidUser),
            _ => ("", Conduct::AuthFailed),
        };
        let user = printable(user);
        self.service.strangers.info(format_args!(
            "Failed publickey for {who}{user} from {} port {} ssh2: {}: {denial}",
            self.address.ip(),
            self.address.port(),
            describe_key(key),
        ));
        let _ = self.notices.send(Notice::Attempt { conduct, user });
        Auth::reject()
    }

    async fn open_tunnel(&mut self, open: &ChannelOpen<'_>) -> Result<OpenAnswer, Refusal> {
        let (Some(peer), Some(credential)) = (self.peer.clone(), &self.credential) else {
            return Err(Refusal::NotAuthenticated);
        };
        let wanted = policy::parse(open.kind, open.payload)?;
        let unit = policy::decide(self.service.options.permit_tunnel, credential.tunnel, &wanted)?;
        if self.open.load(Ordering::Relaxed) >= MAX_TUNNELS {
            return Err(Refusal::TooMany(MAX_TUNNELS));
        }
        let counters = Arc::new(Counters::default());
        let (reply, answer) = oneshot::channel();
        let request = DeviceRequest {
            peer: Arc::clone(&peer),
            mode: wanted.mode,
            unit,
            dialect: wanted.dialect,
            mtu: wanted.mtu,
            bundle: wanted.bundle,
            counters: Arc::clone(&counters),
            reply,
        };
        let device = provide(&self.service.requests, &wanted, request, answer).await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        let opened = OpenedTunnel {
            peer,
            channel: open.channel,
            device: device.name().to_owned(),
            mode: wanted.mode,
            dialect: wanted.dialect,
            bundle: wanted.bundle.filter(|_| device.is_bundled()),
            counters: Arc::clone(&counters),
        };
        self.tunnels.accept(open.channel, wanted.dialect, wanted.takes, device, counters);
        let _ = self.notices.send(Notice::Opened(opened));
        Ok(OpenAnswer::Accept {
            window: wanted.dialect.window(),
            max_packet: wanted.dialect.max_packet(),
            // A Tapline asks for the cipher that suits its own CPU; OpenSSH asks for the same on every machine.
            our_cipher: wanted.dialect == tunnel::Dialect::Stock,
        })
    }
}

impl Handler for SessionHandler {
    type Error = Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        self.offers += 1;
        if self.offers > MAX_OFFERS || user.len() > MAX_USER {
            return Err(Error::Inconsistent);
        }
        let key = offer.public_key.key_data();
        let login = self.login(user, offer.certificate.map_or(Offered::Key(key), Offered::Certificate));
        let verdict = authentication::check_algorithm(offer.algorithm)
            .and_then(|()| self.service.authentication.authorize(&self.service.options, &login));
        Ok(match verdict {
            Ok(_) => Auth::Accept,
            Err(denial) => self.deny(user, key, &denial),
        })
    }

    async fn auth_password(&mut self, user: &str, _password: &str) -> Result<Auth, Self::Error> {
        Ok(self.deny_method("password", user))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        _response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.deny_method("keyboard-interactive", user))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.log_in(user, Offered::from(key.public_key)))
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(self.log_in(user, Offered::from(certificate)))
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(peer) = &self.peer {
            let _ = self.notices.send(Notice::Authenticated(Arc::clone(peer)));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.tunnels.closed(channel);
        // Half a tunnel is of no use.
        session.close(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.tunnels.closed(channel);
        Ok(())
    }
}

impl WithTunnels for SessionHandler {
    type Tunnels = Tunnels;

    fn tunnels(&mut self) -> &mut Tunnels {
        &mut self.tunnels
    }

    async fn answer_open(&mut self, open: &ChannelOpen<'_>) -> OpenAnswer {
        match self.open_tunnel(open).await {
            Ok(accepted) => accepted,
            Err(refusal) => {
                let name = self.peer.as_ref().map_or("", |peer| peer.name.as_str());
                self.service.strangers.info(format_args!(
                    "refused a channel to {name} from {} port {}: {refusal}",
                    self.address.ip(),
                    self.address.port(),
                ));
                refusal.answer()
            }
        }
    }
}

fn describe_key(key: &KeyData) -> String {
    format!("{} {}", type_name(key), authentication::fingerprint(key))
}

fn describe(certificate: &Certificate) -> String {
    format!(
        " ID {} (serial {}) CA {}",
        printable(certificate.key_id()),
        certificate.serial(),
        describe_key(certificate.signature_key())
    )
}

/// Asks the program for a device.
async fn provide(
    requests: &mpsc::Sender<DeviceRequest>,
    wanted: &Wanted,
    request: DeviceRequest,
    answer: oneshot::Receiver<Result<Lease, DeviceRefused>>,
) -> Result<Lease, Refusal> {
    let refused = |reason: &str| Refusal::NoDevice { dialect: wanted.dialect, reason: reason.to_owned() };
    let provided = async {
        requests.send(request).await.ok()?;
        answer.await.ok()
    };
    let device = tokio::time::timeout(DEVICE_DEADLINE, provided)
        .await
        .map_err(|_| refused("it took too long to provide one; try again"))?
        .ok_or_else(|| refused("the server is shutting down"))?
        .map_err(|error| refused(&error.to_string()))?;
    if device.mode() != wanted.mode {
        tracing::error!(device = device.name(), "the device provided is not of the mode asked for");
        return Err(refused("the device is of the other mode"));
    }
    Ok(device)
}
