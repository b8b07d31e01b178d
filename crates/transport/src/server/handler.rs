//! What a session does when its client says something: log-in, and requests for channels.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use russh_channels::keys::Certificate;
use russh_channels::keys::ssh_key::public::KeyData;
use russh_channels::server::{Auth, Handler, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh_channels::tunnel::{ChannelOpen, OpenAnswer, WithTunnels};
use russh_channels::{ChannelId, Error};
use tapline_frame::Mode;
use tokio::sync::{mpsc, oneshot};

use super::authentication::{self, Credential, Denial, Login};
use super::gate::Conduct;
use super::log::{Subject, printable};
use super::origin::Source;
use super::policy::{self, Refusal, Wanted};
use super::reception::{Rules, Service};
use super::{DeviceRefused, DeviceRequest, OpenedTunnel, Peer, SessionId};
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
    /// Whom log lines are about: the source, then the key.
    subject: Subject,
    offers: usize,
    /// Once authenticated.
    admitted: Option<Arc<Standing>>,
    tunnels: Tunnels,
    open: OpenCount,
    notices: mpsc::UnboundedSender<Notice>,
}

/// On what a session has been let in, so that it can be judged again.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) peer: Arc<Peer>,
    credential: Credential,
    proof: Proof,
    /// As the client wrote it.
    user: String,
    /// By which it was judged.
    pub(super) rules: Arc<Rules>,
}

/// Of what the client has the private key.
#[derive(Debug)]
enum Proof {
    Key(Box<KeyData>),
    Certificate(Box<Certificate>),
}

/// What a session's thread has to know of what the handler saw.
#[derive(Debug)]
pub(super) enum Notice {
    /// An attempt to authenticate has failed, in this way.
    Attempt {
        conduct: Conduct,
        user: String,
    },
    Authenticated(Arc<Standing>),
    Opened(OpenedTunnel),
}

/// How many tunnels the session has; whoever hears of a tunnel's end takes one away.
pub(super) type OpenCount = Arc<AtomicUsize>;

impl Standing {
    /// Why the session may not go on by these rules, in words for its client. `tunnels` are those it has.
    pub(super) fn judge(
        &self,
        service: &Service,
        rules: &Rules,
        mut tunnels: impl Iterator<Item = Mode>,
    ) -> Option<String> {
        let offered = match &self.proof {
            Proof::Key(key) => Offered::Key(key),
            Proof::Certificate(certificate) => Offered::from(&**certificate),
        };
        let login = Login { offered, user: &self.user, peer: self.peer.address.ip(), now: SystemTime::now() };
        match service.authentication.authorize(&rules.options, &login) {
            Err(denial) => {
                tracing::info!(peer = self.peer.name, "its session ends: {denial}");
                Some("this key may no longer log in".to_owned())
            }
            Ok(now) if now.accept != self.credential.accept => {
                Some("this key is no longer that of the same accepted link".to_owned())
            }
            Ok(now) if now.tunnel != self.credential.tunnel => {
                Some("the key's tunnel option is another now".to_owned())
            }
            Ok(_) if tunnels.any(|mode| !rules.options.permit_tunnel.permits(mode)) => {
                Some("permit-tunnel no longer permits the tunnel".to_owned())
            }
            Ok(_) => None,
        }
    }
}

impl Proof {
    fn of(offered: Offered<'_>) -> Self {
        match offered {
            Offered::Key(key) => Self::Key(Box::new(key.clone())),
            Offered::Certificate(certificate) => Self::Certificate(Box::new(certificate.clone())),
        }
    }
}

impl SessionHandler {
    pub(super) fn new(
        service: Arc<Service>,
        session: SessionId,
        address: SocketAddr,
        tunnels: Tunnels,
        open: OpenCount,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let subject = service.about(address);
        Self { service, session, address, subject, offers: 0, admitted: None, tunnels, open, notices }
    }

    fn log_in(&mut self, user: &str, offered: Offered<'_>) -> Auth {
        let rules = self.service.rules();
        let known = self.service.authentication.authorize(&rules.options, &self.login(user, offered));
        match known {
            Ok(credential) => {
                let certificate = match offered {
                    Offered::Key(_) => String::new(),
                    Offered::Certificate(certificate) => describe(certificate),
                };
                self.subject = Subject::Key(credential.fingerprint.clone());
                self.info(format_args!(
                    "Accepted publickey for {} from {} port {} ssh2: {}{certificate}",
                    printable(user),
                    Source::host(self.address),
                    self.address.port(),
                    describe_key(offered.key()),
                ));
                let peer = Arc::new(Peer {
                    session: self.session,
                    name: credential.name.clone(),
                    user: printable(user),
                    address: self.address,
                    fingerprint: credential.fingerprint.clone(),
                    accept: credential.accept.clone(),
                });
                let (proof, user) = (Proof::of(offered), user.to_owned());
                self.admitted = Some(Arc::new(Standing { peer, credential, proof, user, rules }));
                Auth::Accept
            }
            Err(denial) => self.deny(user, offered.key(), &denial),
        }
    }

    fn info(&self, line: fmt::Arguments<'_>) {
        self.service.log.info(&self.subject, line);
    }

    fn login<'a>(&self, user: &'a str, offered: Offered<'a>) -> Login<'a> {
        Login { offered, user, peer: self.address.ip(), now: SystemTime::now() }
    }

    /// A method that is not offered.
    fn deny_method(&self, method: &str, user: &str) -> Auth {
        let user = printable(user);
        self.info(format_args!(
            "Failed {method} for {user} from {} port {} ssh2: only publickey is served",
            Source::host(self.address),
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
        self.info(format_args!(
            "Failed publickey for {who}{user} from {} port {} ssh2: {}: {denial}",
            Source::host(self.address),
            self.address.port(),
            describe_key(key),
        ));
        let _ = self.notices.send(Notice::Attempt { conduct, user });
        Auth::reject()
    }

    async fn open_tunnel(&mut self, open: &ChannelOpen<'_>) -> Result<OpenAnswer, Refusal> {
        let Some(standing) = self.admitted.clone() else { return Err(Refusal::NotAuthenticated) };
        let peer = &standing.peer;
        let wanted = policy::parse(open.kind, open.payload)?;
        let rules = self.service.rules();
        let (unit, unit_is_named) =
            policy::decide(rules.options.permit_tunnel, standing.credential.tunnel, &wanted)?;
        if self.open.load(Ordering::Relaxed) >= MAX_TUNNELS {
            return Err(Refusal::TooMany(MAX_TUNNELS));
        }
        let counters = Arc::new(Counters::default());
        let (reply, answer) = oneshot::channel();
        let request = DeviceRequest {
            peer: Arc::clone(peer),
            mode: wanted.mode,
            unit,
            unit_is_named,
            named_units: self.service.authentication.units(&rules.options),
            dialect: wanted.dialect,
            mtu: wanted.mtu,
            bundle: wanted.bundle,
            counters: Arc::clone(&counters),
            reply,
        };
        let device = provide(&self.service.requests, &wanted, request, answer).await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        let opened = OpenedTunnel {
            peer: Arc::clone(peer),
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
            .and_then(|()| self.service.authentication.authorize(&self.service.rules().options, &login));
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
        if let Some(standing) = &self.admitted {
            let _ = self.notices.send(Notice::Authenticated(Arc::clone(standing)));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.tunnels.ended(channel);
        Ok(())
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
                let name = self.admitted.as_ref().map_or("", |standing| standing.peer.name.as_str());
                self.info(format_args!(
                    "refused a channel to {name} from {} port {}: {refusal}",
                    Source::host(self.address),
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
