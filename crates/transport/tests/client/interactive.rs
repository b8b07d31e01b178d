//! Keyboard-interactive, which sshd has only with PAM: the server here is russh's.

use std::borrow::Cow;
use std::sync::Arc;

use russh_channels::keys::PrivateKey;
use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh_channels::server::{Auth, Config, Handler, Response, VerifiedPublicKey, run_stream};
use russh_channels::tunnel::WithTunnels;
use russh_channels::{Error, MethodKind, MethodSet};
use tapline_transport::client::{ConnectError, Options};
use tokio::net::TcpListener;

use crate::harness::{Keys, Scripted, in_namespaces, log_in, log_in_with, options};

/// Wants a public key, whatever it is, and then two answers in two rounds.
struct Questions {
    key_is_known: bool,
    no_tunnels: (),
}

impl WithTunnels for Questions {
    type Tunnels = ();

    fn tunnels(&mut self) -> &mut () {
        &mut self.no_tunnels
    }
}

impl Handler for Questions {
    type Error = Error;

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        self.key_is_known = true;
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::from([MethodKind::KeyboardInteractive].as_slice())),
            partial_success: true,
        })
    }

    async fn auth_keyboard_interactive(
        &mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'_>>,
    ) -> Result<Auth, Error> {
        assert!(self.key_is_known);
        let answers: Option<Vec<_>> = response.map(Iterator::collect);
        let ask = |name, instructions, prompts| Auth::Partial {
            name: Cow::Borrowed(name),
            instructions: Cow::Borrowed(instructions),
            prompts: Cow::Owned(prompts),
        };
        Ok(match answers.as_deref() {
            None => ask(
                "Token",
                "Two answers,\x1b[2J please",
                vec![("Colour:".into(), true), ("Code: ".into(), false)],
            ),
            Some([colour, code]) if &colour[..] == b"blue" && &code[..] == b"1234" => ask("", "", Vec::new()),
            Some([]) => Auth::Accept,
            Some(_) => Auth::reject(),
        })
    }
}

async fn server(keys: &Keys) -> Options {
    let host_key =
        PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[1; 32])), "host").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    keys.write(
        "known_hosts",
        &format!("[127.0.0.1]:{port} {}\n", host_key.public_key().to_openssh().unwrap()),
    );
    keys.generate("id", "ed25519", "");
    let config = Arc::new(Config {
        keys: vec![host_key],
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: std::time::Duration::ZERO,
        ..Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) =
                    run_stream(config, stream, Questions { key_is_known: false, no_tunnels: () }).await
                {
                    let _ = session.await;
                }
            });
        }
    });
    Options { port, ..options(keys) }
}

#[test]
fn questions_in_rounds_after_a_key() {
    in_namespaces(|| async {
        let keys = Keys::new();
        let options = server(&keys).await;
        let person = Scripted::new(["red", "1234", "blue", "1234"]);
        log_in_with(&options, &person).await.unwrap();
        let asked = ["(root@127.0.0.1) Colour: ", "(root@127.0.0.1) Code: "];
        assert_eq!(person.asked(), [asked, asked].concat());
        let shown = ["Token", "Two answers,[2J please"];
        assert_eq!(person.shown(), [&shown[..], &["Permission denied, please try again."], &shown].concat());
        // One-time codes are not typed again by anybody but a person.
        let person = Scripted::new(["blue", "1234"]);
        log_in_with(&options, &person).await.unwrap();
        assert_eq!(person.asked(), asked);
    });
}

#[test]
fn questions_that_nobody_answers() {
    in_namespaces(|| async {
        let keys = Keys::new();
        let options = server(&keys).await;
        for error in [
            log_in(&options).await.unwrap_err(),
            log_in_with(&options, &Scripted::new(["blue"])).await.unwrap_err(),
        ] {
            assert!(matches!(error, ConnectError::PermissionDenied { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains("accepted some and wants more"), "{message}");
            assert!(message.contains("the server accepts keyboard-interactive"), "{message}");
        }
    });
}
