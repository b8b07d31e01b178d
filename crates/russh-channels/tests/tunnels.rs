//! A client and a server of this crate over an in-memory stream, each with one tunnel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use russh_channels::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh_channels::server::Auth;
use russh_channels::tunnel::{ChannelOpen, HEADROOM, OpenAnswer, Room, TunnelWriter, Tunnels, WithTunnels};
use russh_channels::{
    ChannelId, ChannelOpenFailure, Error, Limits, Names, Preferred, cipher, client, server,
};
use tokio::time::timeout;

const KIND: &str = "test@example.org";
const WINDOW: u32 = 200_000;
const MAX_PACKET: u32 = 100_000;

/// What a test gives to one side and sees of it.
#[derive(Default)]
struct Side {
    outgoing: VecDeque<Vec<u8>>,
    received: Vec<Vec<u8>>,
    batches: usize,
    rooms: Vec<Room>,
    refusal: Option<(ChannelOpenFailure, String)>,
    debug: Option<String>,
    /// The cipher of each key exchange.
    ciphers: Vec<cipher::Name>,
    waker: Option<Waker>,
    /// Buffers that came back after their datagrams had gone.
    spent: usize,
    /// Sends without end, each message of this length.
    flood: Option<usize>,
    /// There is something new to send; what waits for room is tried again on every turn anyway.
    fresh: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Side>>);

impl Shared {
    fn send(&self, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        self.0.lock().unwrap().outgoing.extend(datagrams);
        self.kick();
    }

    fn flood(&self, length: usize) {
        self.0.lock().unwrap().flood = Some(length);
        self.kick();
    }

    fn kick(&self) {
        let mut side = self.0.lock().unwrap();
        side.fresh = true;
        if let Some(waker) = side.waker.take() {
            waker.wake();
        }
    }

    async fn until<T>(&self, condition: impl Fn(&Side) -> Option<T>) -> T {
        timeout(Duration::from_secs(60), async {
            loop {
                if let Some(found) = condition(&self.0.lock().unwrap()) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the condition never came")
    }
}

/// The tunnels of both handlers.
struct Tunnel {
    side: Shared,
    channel: Option<ChannelId>,
    open: Option<&'static str>,
    surcharge: u32,
    used: u32,
}

impl Tunnel {
    fn new(side: &Shared) -> Self {
        Self { side: side.clone(), channel: None, open: None, surcharge: 0, used: 0 }
    }
}

impl Tunnels for Tunnel {
    fn receive(&mut self, channel: ChannelId, data: &[u8]) -> bool {
        if Some(channel) != self.channel {
            return false;
        }
        self.side.0.lock().unwrap().received.push(data.to_vec());
        self.used += u32::try_from(data.len()).unwrap();
        true
    }

    fn carries(&self, channel: ChannelId) -> bool {
        self.channel == Some(channel)
    }

    fn received_batch(&mut self) {
        self.side.0.lock().unwrap().batches += 1;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut side = self.side.0.lock().unwrap();
        side.waker = Some(cx.waker().clone());
        if self.open.is_some() || side.fresh { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, out: &mut TunnelWriter<'_>) -> Result<(), Error> {
        if let Some(kind) = self.open.take() {
            self.channel = Some(out.open(kind, WINDOW, MAX_PACKET, b"payload")?);
            return Ok(());
        }
        let Some(channel) = self.channel else { return Ok(()) };
        if self.used >= WINDOW / 2 {
            out.grant(channel, std::mem::take(&mut self.used))?;
        }
        let mut side = self.side.0.lock().unwrap();
        side.fresh = false;
        side.rooms.extend(out.room(channel));
        if let Some(length) = side.flood {
            while out.unsent() < 300_000
                && out.datagram(channel, self.surcharge, |data| data.resize(data.len() + length, 7))?
            {
            }
        }
        while out.spent().is_some() {
            side.spent += 1;
        }
        while let Some(datagram) = side.outgoing.front() {
            // Some are copied, some go out of a buffer of their own.
            let sent = if datagram[0] % 3 == 0 {
                out.datagram(channel, self.surcharge, |data| data.extend_from_slice(datagram))?
            } else {
                let buffer = [&[0; HEADROOM], datagram.as_slice()].concat();
                out.datagram_within(channel, self.surcharge, buffer, HEADROOM)?.is_none()
            };
            if !sent {
                break;
            }
            side.outgoing.pop_front();
        }
        Ok(())
    }
}

struct Client {
    tunnel: Tunnel,
}

impl WithTunnels for Client {
    type Tunnels = Tunnel;

    fn tunnels(&mut self) -> &mut Tunnel {
        &mut self.tunnel
    }

    fn debug_message(&mut self, text: &str) {
        self.tunnel.side.0.lock().unwrap().debug = Some(text.to_owned());
    }
}

impl client::Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &Names,
        _: &mut client::Session,
    ) -> Result<(), Error> {
        self.tunnel.side.0.lock().unwrap().ciphers.push(names.cipher);
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut client::Session,
    ) -> Result<(), Error> {
        self.tunnel.side.0.lock().unwrap().refusal = Some((reason, description.to_owned()));
        Ok(())
    }
}

struct Server {
    tunnel: Tunnel,
}

impl WithTunnels for Server {
    type Tunnels = Tunnel;

    fn tunnels(&mut self) -> &mut Tunnel {
        &mut self.tunnel
    }

    async fn answer_open(&mut self, open: &ChannelOpen<'_>) -> OpenAnswer {
        match open.kind {
            Some(KIND) if open.payload == b"payload" => {
                self.tunnel.channel = Some(open.channel);
                OpenAnswer::Accept { window: WINDOW, max_packet: MAX_PACKET, our_cipher: true }
            }
            Some(_) => OpenAnswer::Refuse {
                reason: 2,
                description: "not this one".to_owned(),
                debug: Some("because".to_owned()),
            },
            None => OpenAnswer::Russh,
        }
    }
}

impl server::Handler for Server {
    type Error = Error;

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        Ok(Auth::Accept)
    }
}

struct Pair {
    client: Shared,
    server: Shared,
    handle: client::Handle<Client>,
}

async fn connect(kind: &'static str, limits: Limits, pipe: usize, surcharge: u32) -> Pair {
    let ciphers = Preferred::default().cipher;
    connect_with(kind, limits, pipe, surcharge, [ciphers.clone(), ciphers]).await
}

/// `ciphers` of the client and of the server.
async fn connect_with(
    kind: &'static str,
    limits: Limits,
    pipe: usize,
    surcharge: u32,
    ciphers: [Cow<'static, [cipher::Name]>; 2],
) -> Pair {
    let [client_prefers, server_prefers] = ciphers.map(|cipher| Preferred { cipher, ..Preferred::default() });
    let (client_side, server_side) = (Shared::default(), Shared::default());
    let (near, far) = tokio::io::duplex(pipe);
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let server_config = server::Config {
        keys: vec![key.clone()],
        limits: limits.clone(),
        preferred: server_prefers,
        ..Default::default()
    };
    let accepting = Server { tunnel: Tunnel::new(&server_side) };
    tokio::spawn(async move { server::run_stream(Arc::new(server_config), far, accepting).await?.await });

    let config = client::Config { limits, preferred: client_prefers, ..Default::default() };
    let mut tunnel = Tunnel { surcharge, ..Tunnel::new(&client_side) };
    tunnel.open = None;
    let opening = Client { tunnel: Tunnel { open: Some(kind), ..tunnel } };
    let mut handle = client::connect_stream(Arc::new(config), near, opening).await.unwrap();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    assert!(handle.authenticate_publickey("user", key).await.unwrap().success());
    Pair { client: client_side, server: server_side, handle }
}

fn datagrams(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![u8::try_from(n % 251).unwrap(); 1 + n * 7919 % 60_000]).collect()
}

#[tokio::test]
async fn datagrams_arrive_whole_and_in_order_both_ways() {
    let pair = connect(KIND, Limits::default(), 64 * 1024, 0).await;
    let sent = datagrams(500);
    pair.client.send(sent.clone());
    pair.server.send(sent.clone());
    for side in [&pair.server, &pair.client] {
        side.until(|side| (side.received.len() == sent.len()).then_some(())).await;
        assert!(side.0.lock().unwrap().received == sent);
    }
    drop(pair.handle);
}

/// With russh's own loop both sides end up waiting for the other to read.
#[tokio::test]
async fn full_rate_in_both_directions_never_stalls() {
    let pair = connect(KIND, Limits::default(), 4096, 0).await;
    pair.client.flood(30_000);
    pair.server.flood(30_000);
    for side in [&pair.client, &pair.server] {
        side.until(|side| (side.received.len() > 2000).then_some(())).await;
    }
    drop(pair.handle);
}

#[tokio::test]
async fn keys_are_exchanged_anew_under_way() {
    let limits = Limits { rekey_write_limit: 1 << 20, rekey_read_limit: 1 << 20, ..Limits::default() };
    let pair = connect(KIND, limits, 64 * 1024, 0).await;
    let sent = datagrams(1000);
    pair.client.send(sent.clone());
    pair.server.send(sent.clone());
    for side in [&pair.server, &pair.client] {
        side.until(|side| (side.received.len() == sent.len()).then_some(())).await;
        assert!(side.0.lock().unwrap().received == sent);
    }
    drop(pair.handle);
}

/// Tiny datagrams, which no limit in bytes would notice. Returns how often each side had new keys.
async fn exchanges_with(packets: u32, cipher: cipher::Name, count: usize, from_server: bool) -> usize {
    let limits = Limits { rekey_packet_limit: packets, ..Limits::default() };
    let lists = [[cipher]; 2].map(|list| Cow::Owned(list.to_vec()));
    let pair = connect_with(KIND, limits, 4096, 0, lists).await;
    let sent: Vec<_> = (0..count).map(|n| vec![u8::try_from(n % 251).unwrap()]).collect();
    // A server has a channel once the client's has been opened.
    pair.client.send([vec![0]]);
    pair.server.until(|side| (side.received.len() == 1).then_some(())).await;
    let (from, to) = if from_server { (&pair.server, &pair.client) } else { (&pair.client, &pair.server) };
    let before = to.0.lock().unwrap().received.len();
    // A session looks at the limit between one batch and the next.
    for (n, batch) in (1..).zip(sent.chunks(20)) {
        from.send(batch.to_vec());
        to.until(|side| (side.received.len() >= before + n * 20).then_some(())).await;
    }
    assert!(to.0.lock().unwrap().received.ends_with(&sent));
    let exchanges = pair.client.0.lock().unwrap().ciphers.len();
    drop(pair.handle);
    exchanges - 1
}

#[tokio::test]
async fn t14_keys_change_after_so_many_packets_whatever_their_size() {
    use cipher::{AES_128_GCM, AES_256_CTR, AES_256_GCM, CHACHA20_POLY1305};
    for cipher in [CHACHA20_POLY1305, AES_256_GCM, AES_128_GCM, AES_256_CTR] {
        for from_server in [false, true] {
            let exchanges = exchanges_with(100, cipher, 400, from_server).await;
            assert!((2..=8).contains(&exchanges), "{cipher:?}: {exchanges}");
        }
    }
    assert_eq!(exchanges_with(1000, AES_256_GCM, 400, false).await, 0);
}

#[test]
fn t14_no_limit_is_beyond_what_a_sequence_number_counts() {
    let of = |packets| Limits { rekey_packet_limit: packets, ..Limits::default() }.packets();
    assert_eq!(Limits::default().packets(), 1 << 31);
    assert_eq!(Limits::new(1 << 30, 1 << 30, Duration::MAX).packets(), 1 << 31);
    assert_eq!(of(u32::MAX), 1 << 31);
    assert_eq!(of(1 << 31), 1 << 31);
    assert_eq!(of(1000), 1000);
    assert_eq!(of(0), 1);
}

/// Both configurations ask for signs of life, and the client takes `pause` before each of its steps.
async fn slow_log_in(server: Duration, client: Option<Duration>, pause: Duration) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let server_config = server::Config {
        keys: vec![key.clone()],
        keepalive_interval: Some(server),
        keepalive_max: 3,
        inactivity_timeout: None,
        ..Default::default()
    };
    let accepting = Server { tunnel: Tunnel::new(&Shared::default()) };
    tokio::spawn(async move { server::run_stream(Arc::new(server_config), far, accepting).await?.await });
    let config = client::Config { keepalive_interval: client, keepalive_max: 3, ..Default::default() };
    let opening = Client { tunnel: Tunnel::new(&Shared::default()) };
    let mut handle = client::connect_stream(Arc::new(config), near, opening).await.unwrap();
    tokio::time::sleep(pause).await;
    assert!(!handle.authenticate_none("user").await.unwrap().success());
    tokio::time::sleep(pause).await;
    assert!(!handle.authenticate_password("user", "guessed").await.unwrap().success());
    tokio::time::sleep(pause).await;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    assert!(handle.authenticate_publickey("user", key).await.unwrap().success());
    // From now on both are asked, and answer.
    tokio::time::sleep(pause).await;
    assert!(!handle.is_closed());
}

/// A client takes anything of the connection protocol before its log-in for a breach, as OpenSSH's does.
#[tokio::test]
async fn n1_nobody_is_asked_for_a_sign_of_life_before_log_in() {
    let ms = Duration::from_millis;
    // Once, more often than are counted, and the same from both sides and from the client's alone.
    slow_log_in(ms(60), None, ms(80)).await;
    slow_log_in(ms(10), None, ms(100)).await;
    slow_log_in(ms(1), None, ms(50)).await;
    slow_log_in(ms(10), Some(ms(10)), ms(100)).await;
    slow_log_in(ms(1000), Some(ms(5)), ms(100)).await;
}

/// Opens a tunnel, has something carried, and says which cipher was agreed on each time.
async fn ciphers_agreed(
    client: &[cipher::Name],
    server: &[cipher::Name],
    exchanges: usize,
) -> Vec<cipher::Name> {
    let lists = [client, server].map(|list| Cow::Owned(list.to_vec()));
    let pair = connect_with(KIND, Limits::default(), 64 * 1024, 0, lists).await;
    let sent = datagrams(100);
    pair.client.send(sent.clone());
    pair.server.until(|side| (side.received.len() == sent.len()).then_some(())).await;
    pair.server.send(sent.clone());
    pair.client.until(|side| (side.received.len() == sent.len()).then_some(())).await;
    assert!(pair.client.0.lock().unwrap().received == sent);
    pair.client.until(|side| (side.ciphers.len() >= exchanges).then(|| side.ciphers.clone())).await
}

#[tokio::test]
async fn the_server_has_its_cipher_where_the_client_knows_it() {
    use cipher::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
    let openssh = [CHACHA20_POLY1305, AES_128_GCM, AES_256_GCM];
    let ours = [AES_256_GCM, AES_128_GCM, CHACHA20_POLY1305];
    assert_eq!(ciphers_agreed(&openssh, &ours, 2).await, [CHACHA20_POLY1305, AES_256_GCM]);
    // What comes behind the favourite in the client's list is no rival.
    let narrower = [CHACHA20_POLY1305, AES_128_GCM];
    assert_eq!(ciphers_agreed(&narrower, &ours, 2).await, [CHACHA20_POLY1305, AES_128_GCM]);
}

#[tokio::test]
async fn a_client_that_wants_one_cipher_keeps_it() {
    use cipher::{AES_256_GCM, CHACHA20_POLY1305};
    let ours = [AES_256_GCM, CHACHA20_POLY1305];
    assert_eq!(ciphers_agreed(&[CHACHA20_POLY1305], &ours, 1).await, [CHACHA20_POLY1305]);
    assert_eq!(ciphers_agreed(&ours, &ours, 1).await, [AES_256_GCM]);
}

#[tokio::test]
async fn many_small_packets_come_in_few_batches() {
    let pair = connect(KIND, Limits::default(), 1 << 20, 0).await;
    pair.client.send((0..1000).map(|_| vec![0; 100]));
    pair.server.until(|side| (side.received.len() == 1000).then_some(())).await;
    let batches = pair.server.0.lock().unwrap().batches;
    assert!(batches < 100, "{batches} batches");
    drop(pair.handle);
}

#[tokio::test]
async fn the_surcharge_is_debited_and_nothing_is_split() {
    let pair = connect(KIND, Limits::default(), 64 * 1024, 4).await;
    // The receiver grants nothing below half of the window, so that the debits can be seen.
    pair.client.send([vec![1; 10_000], vec![2; 10_000]]);
    pair.server.until(|side| (side.received.len() == 2).then_some(())).await;
    pair.client.send([vec![3; 200_000]]);
    let room =
        pair.client.until(|side| side.rooms.last().copied().filter(|room| room.window != WINDOW)).await;
    assert_eq!(room, Room { window: WINDOW - 2 * 10_004, max_packet: MAX_PACKET });
    // Longer than the peer's maximum packet: never sent, not even in part.
    assert_eq!(pair.server.0.lock().unwrap().received.len(), 2);
    drop(pair.handle);
}

#[tokio::test]
async fn a_buffer_that_was_sent_comes_back() {
    let pair = connect(KIND, Limits::default(), 4096, 0).await;
    pair.client.send([vec![1; 50_000]]);
    pair.server.until(|side| (side.received.len() == 1).then_some(())).await;
    pair.client.kick();
    pair.client.until(|side| (side.spent == 1).then_some(())).await;
    drop(pair.handle);
}

#[tokio::test]
async fn a_buffer_for_which_there_is_no_room_stays() {
    let pair = connect(KIND, Limits::default(), 64 * 1024, 0).await;
    let too_long = vec![1; MAX_PACKET as usize + 1];
    pair.client.send([too_long.clone(), vec![3; 10]]);
    pair.client.until(|side| (!side.fresh && !side.rooms.is_empty()).then_some(())).await;
    assert_eq!(pair.client.0.lock().unwrap().outgoing.front(), Some(&too_long));
    assert!(pair.server.0.lock().unwrap().received.is_empty());
    drop(pair.handle);
}

#[tokio::test]
async fn a_refusal_comes_with_its_reasons() {
    let pair = connect("other@example.org", Limits::default(), 64 * 1024, 0).await;
    let (reason, description) = pair.client.until(|side| side.refusal.clone()).await;
    assert_eq!(reason, ChannelOpenFailure::ConnectFailed);
    assert_eq!(description, "not this one");
    assert_eq!(pair.client.0.lock().unwrap().debug.as_deref(), Some("because"));
    drop(pair.handle);
}
