//! The client against a server that is written here, message by message, up to its new keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use curve25519_dalek::{MontgomeryPoint, Scalar};
use russh_channels::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh_channels::keys::ssh_key::{self, EcdsaCurve, HashAlg, certificate};
use russh_channels::keys::{Algorithm, PrivateKey, PublicKeyOrCertificate};
use russh_channels::tunnel::WithTunnels;
use russh_channels::{Error, Preferred, client};
use sha2::{Digest, Sha256};
use signature::Signer;
use ssh_encoding::Encode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::time::timeout;

const VERSION: &str = "SSH-2.0-Raw";
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const ECDH_REPLY: u8 = 31;

/// Says whether the handshake came as far as the question whether the key is known.
struct Client;

impl WithTunnels for Client {
    type Tunnels = ();

    fn tunnels(&mut self) -> &mut () {
        Box::leak(Box::new(()))
    }
}

impl client::Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What a server says before its key exchange, and with which key and signature it answers.
struct Server {
    before: Vec<u8>,
    host_keys: &'static str,
    blob: Vec<u8>,
    sign: Sign,
}

impl Server {
    fn new(host_keys: &'static str, key: &PrivateKey, hash: Option<HashAlg>) -> Self {
        let blob = key.public_key().to_bytes().unwrap();
        let key = key.clone();
        let sign = move |data: &[u8]| signature_of(&key, hash, data);
        Self { before: format!("{VERSION}\r\n").into(), host_keys, blob, sign: Box::new(sign) }
    }

    fn saying(before: impl Into<Vec<u8>>) -> Self {
        Self { before: before.into(), ..Self::new("ssh-ed25519", &random(Algorithm::Ed25519), None) }
    }

    async fn serve(self, stream: DuplexStream, version: &str) -> Option<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(&self.before).await.ok()?;
        let mut client_version = String::new();
        stream.read_line(&mut client_version).await.ok()?;
        let mut kex_init = vec![KEXINIT];
        kex_init.extend([0; 16]);
        let cipher = "aes256-gcm@openssh.com";
        let (mac, none) = ("hmac-sha2-256", "none");
        let lists = ["curve25519-sha256", self.host_keys, cipher, cipher, mac, mac, none, none, "", ""];
        for list in lists {
            list.encode(&mut kex_init).unwrap();
        }
        kex_init.extend([0; 5]);
        write_packet(&mut stream, &kex_init).await?;
        let client_kex_init = read_packet(&mut stream).await?;
        let client_share = read_packet(&mut stream).await?;
        let client_share: [u8; 32] = client_share.get(5..)?.try_into().ok()?;

        let secret = Scalar::from_bytes_mod_order([7; 32]);
        let share = MontgomeryPoint::mul_base(&secret).to_bytes();
        let shared = (secret * MontgomeryPoint(client_share)).to_bytes();
        let mut hashed = Vec::new();
        for field in [
            client_version.trim_end().as_bytes(),
            version.as_bytes(),
            &client_kex_init,
            &kex_init,
            &self.blob,
            &client_share,
            &share,
        ] {
            field.encode(&mut hashed).unwrap();
        }
        ssh_encoding::Mpint::from_positive_bytes(&shared).encode(&mut hashed).unwrap();
        let hash = Sha256::digest(&hashed);
        let mut reply = vec![ECDH_REPLY];
        for field in [self.blob.as_slice(), &share, &(self.sign)(&hash)] {
            field.encode(&mut reply).unwrap();
        }
        write_packet(&mut stream, &reply).await?;
        write_packet(&mut stream, &[NEWKEYS]).await?;
        // Until the client has seen enough.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Some(())
    }
}

fn random(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), algorithm).unwrap()
}

fn rsa() -> PrivateKey {
    static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
        let pair = RsaKeypair::random(&mut rand::rng(), 2048).unwrap();
        PrivateKey::new(KeypairData::Rsa(pair), "").unwrap()
    });
    KEY.clone()
}

fn signature_of(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Vec<u8> {
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(data),
        pair => pair.try_sign(data),
    };
    let mut encoded = Vec::new();
    signature.unwrap().encode(&mut encoded).unwrap();
    encoded
}

async fn write_packet(stream: &mut BufReader<DuplexStream>, payload: &[u8]) -> Option<()> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = u32::try_from(1 + payload.len() + padding).unwrap();
    stream.write_u32(length).await.ok()?;
    stream.write_u8(u8::try_from(padding).unwrap()).await.ok()?;
    stream.write_all(payload).await.ok()?;
    stream.write_all(&vec![0; padding]).await.ok()
}

async fn read_packet(stream: &mut BufReader<DuplexStream>) -> Option<Vec<u8>> {
    let mut packet = vec![0; stream.read_u32().await.ok()? as usize];
    stream.read_exact(&mut packet).await.ok()?;
    let end = packet.len() - usize::from(packet[0]);
    Some(packet[1..end].to_vec())
}

/// `Ok` if the client takes the server for what it says it is.
async fn meet(server: Server, version: &str, host_keys: &[Algorithm]) -> Result<(), Error> {
    let (near, far) = tokio::io::duplex(1 << 20);
    let version = version.to_owned();
    tokio::spawn(async move { server.serve(far, &version).await });
    let preferred = Preferred { key: Cow::Owned(host_keys.to_vec()), ..Preferred::default() };
    let config = client::Config { preferred, ..client::Config::default() };
    let connecting = client::connect_stream(Arc::new(config), near, Client);
    timeout(Duration::from_secs(60), connecting).await.expect("neither accepted nor refused").map(drop)
}

const RSA_512: Algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
const RSA_256: Algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha256) };
const P256: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
const P384: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 };

#[tokio::test]
async fn t10_what_was_agreed_on_is_taken() {
    let (ed25519, p384) = (random(Algorithm::Ed25519), random(P384));
    for (agreed, name, key, hash) in [
        (RSA_512, "rsa-sha2-512", rsa(), Some(HashAlg::Sha512)),
        (RSA_256, "rsa-sha2-256", rsa(), Some(HashAlg::Sha256)),
        (Algorithm::Ed25519, "ssh-ed25519", ed25519, None),
        (P384, "ecdsa-sha2-nistp384", p384, None),
    ] {
        meet(Server::new(name, &key, hash), VERSION, &[agreed])
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test]
async fn t10_another_signature_than_agreed_on_is_refused() {
    for (agreed, name, hash, found) in [
        (RSA_512, "rsa-sha2-512", None, "ssh-rsa"),
        (RSA_512, "rsa-sha2-512", Some(HashAlg::Sha256), "rsa-sha2-256"),
        (RSA_256, "rsa-sha2-256", None, "ssh-rsa"),
        (RSA_256, "rsa-sha2-256", Some(HashAlg::Sha512), "rsa-sha2-512"),
    ] {
        let refused = meet(Server::new(name, &rsa(), hash), VERSION, &[agreed]).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("the server's signature is {found}, and {name} was agreed on; update its SSH server")
        );
    }
}

#[tokio::test]
async fn t10_another_key_than_agreed_on_is_refused() {
    let (ed25519, p256, p384) = (random(Algorithm::Ed25519), random(P256), random(P384));
    for (agreed, name, key, hash) in [
        (Algorithm::Ed25519, "ssh-ed25519", &p256, None),
        (Algorithm::Ed25519, "ssh-ed25519", &rsa(), Some(HashAlg::Sha512)),
        (P256, "ecdsa-sha2-nistp256", &p384, None),
        (P384, "ecdsa-sha2-nistp384", &p256, None),
        (RSA_512, "rsa-sha2-512", &ed25519, None),
        (RSA_512, "rsa-sha2-512", &p256, None),
    ] {
        let refused = meet(Server::new(name, key, hash), VERSION, &[agreed]).await.unwrap_err();
        assert!(matches!(refused, Error::NotAsAgreed { what: "host key", .. }), "{name}: {refused}");
    }
}

#[tokio::test]
async fn t10_a_certificate_that_was_not_agreed_on_is_refused() {
    let (host, authority) = (random(Algorithm::Ed25519), random(Algorithm::Ed25519));
    let mut builder = certificate::Builder::new(vec![0; 16], host.public_key(), 0, u64::MAX - 1).unwrap();
    builder.cert_type(certificate::CertType::Host).unwrap().all_principals_valid().unwrap();
    let certificate: ssh_key::Certificate = builder.sign(&authority).unwrap();
    let blob = certificate.to_bytes().unwrap();
    let server = Server { blob, ..Server::new("ssh-ed25519", &host, None) };
    assert!(meet(server, VERSION, &[Algorithm::Ed25519]).await.is_err());
}

async fn greet(before: impl Into<Vec<u8>>, version: &str) -> Result<(), Error> {
    meet(Server::saying(before), version, &[Algorithm::Ed25519]).await
}

#[tokio::test]
async fn s10_what_stands_before_the_version_is_skipped_as_ssh_does() {
    for before in [
        String::new(),
        "Authorised use only\r\n".repeat(21),
        "\n".to_owned(),
        "\r\n\n\r\n".to_owned(),
        "line\n".repeat(1024),
        format!("{}\r\n", "x".repeat(300)),
        format!("{}\n", "x".repeat(8192)),
        format!("{}\r\n", "x".repeat(8192)),
        format!("{}\r\n", "x".repeat(8192)).repeat(100),
        "\u{fc}ml\u{e4}uts, and SSH-2.0-inside\n".to_owned(),
        "SSH\n".to_owned(),
    ] {
        let said = format!("{before}{VERSION}\r\n");
        greet(said, VERSION).await.unwrap_or_else(|e| panic!("{} bytes: {e}", before.len()));
    }
}

#[tokio::test]
async fn s10_versions_are_read_as_ssh_reads_them() {
    let long = format!("SSH-2.0-{}", "x".repeat(8000));
    for version in ["SSH-2.0-x", "SSH-1.99-x", "SSH-2.1-x", "SSH-2.0-Open SSH_9.2 Debian-2+deb12u6", &long] {
        for end in ["\r\n", "\n"] {
            greet(format!("{version}{end}"), version).await.unwrap_or_else(|e| panic!("{version:.40}: {e}"));
        }
    }
}

#[tokio::test]
async fn s10_what_ssh_refuses_is_refused_at_once() {
    for said in [
        format!("{}{VERSION}\r\n", "line\n".repeat(1025)),
        "x".repeat(8194),
        format!("{}\n", "x".repeat(8193)),
        format!("SSH-2.0-{}\r\n", "x".repeat(8192)),
        "SSH-1.5-x\r\n".to_owned(),
        "SSH-3.0-x\r\n".to_owned(),
        "SSH-2.0-\r\n".to_owned(),
        "SSH-2-x\r\n".to_owned(),
        "SSH-2.0x\r\n".to_owned(),
        "a\rb\n".to_owned(),
        "a\0b\n".to_owned(),
    ] {
        let refused = greet(said.clone(), VERSION).await.unwrap_err();
        assert!(matches!(refused, Error::Version), "{said:.40?}: {refused}");
    }
}
