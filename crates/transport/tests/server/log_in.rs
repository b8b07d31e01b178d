use russh_channels::keys::HashAlg;
use tapline_transport::server::{AcceptedKey, SessionEnd};

use crate::harness::{CLIENT, STRANGER, Site, in_namespace, line, logged, public_key};

#[test]
fn an_authorized_key_logs_in_and_is_known_by_its_comment() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&format!("{} leipzig\n", line(CLIENT))));
        let ssh = site.ssh(&server).tap("any:any");
        let peer = server.authenticated().await;
        assert_eq!((peer.name.as_str(), peer.user.as_str()), ("leipzig", "tapline"));
        assert_eq!(peer.accept, None);
        assert_eq!(peer.address.ip(), server.address.ip());
        server.tunnel().await;
        ssh.kill().await;
        assert!(matches!(server.disconnected().await, SessionEnd::Client));

        let client =
            format!("from 127.0.0.1 port {} ssh2: ED25519 {}", peer.address.port(), peer.fingerprint);
        logged(&["Accepted publickey for tapline", &client]).await;
        logged(&["tunnel closed", "leipzig", "memory0"]).await;
        logged(&["Disconnected from user tapline", &format!("port {}", peer.address.port())]).await;
    });
}

#[test]
fn an_accepted_key_is_known_by_its_link() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options("");
        options.accept = vec![AcceptedKey { name: "leipzig".into(), key: public_key(CLIENT), user: None }];
        let mut server = site.serve(options);
        let _ssh = site.ssh(&server).user("somebody").tap("any:any");
        let peer = server.authenticated().await;
        assert_eq!((peer.name.as_str(), peer.accept.as_deref()), ("leipzig", Some("leipzig")));
        assert_eq!(peer.user, "somebody");
    });
}

#[test]
fn other_keys_are_refused_and_nothing_is_asked_for() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let key = site.path("stranger");
        site.ssh(&server).key(&key).tap("any:any").refused_with("Permission denied (publickey)").await;
        server.no_event();
        assert!(server.devices.asked().is_empty());
        let fingerprint = public_key(STRANGER).fingerprint(HashAlg::Sha256).to_string();
        logged(&["Failed publickey for tapline from 127.0.0.1 port", &fingerprint]).await;
        logged(&["Connection closed by authenticating user tapline 127.0.0.1 port"]).await;
    });
}

#[test]
fn a_key_taken_from_the_file_is_refused_from_then_on() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let first = site.ssh(&server).tap("any:any");
        server.opened().await;
        site.write("authorized_keys", &line(STRANGER));
        site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
        first.kill().await;
    });
}

#[test]
fn options_of_a_key_can_refuse_it() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options("");
        options.per_source_penalties = None;
        let server = site.serve(options);
        for refused in [
            "from=\"192.0.2.0/24\"",
            "from=\"*,!127.0.0.1\"",
            "expiry-time=\"20200101Z\"",
            "no-such-option",
            "command=\"true\"",
            "cert-authority",
        ] {
            site.write("authorized_keys", &format!("{refused} {}", line(CLIENT)));
            site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
        }
        assert!(server.devices.asked().is_empty());
        let file = site.path("authorized_keys");
        logged(&["ERROR", &format!("{}:1: key refused: the option no-such-option", file.display())]).await;
    });
}

#[test]
fn options_of_a_key_can_let_it_in() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(""));
        for granted in
            ["from=\"127.0.0.0/8\"", "expiry-time=\"29991231Z\"", "no-pty,no-port-forwarding,from=\"127.*\""]
        {
            site.write("authorized_keys", &format!("{granted} {}", line(CLIENT)));
            let ssh = site.ssh(&server).tap("any:any");
            server.opened().await;
            ssh.kill().await;
            server.disconnected().await;
        }
    });
}

#[test]
fn users_that_are_not_permitted_are_refused() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.permit_users = Some(vec!["tapline".into()]);
        let mut server = site.serve(options);
        site.ssh(&server).user("root").tap("any:any").refused_with("Permission denied (publickey)").await;
        let _ssh = site.ssh(&server).tap("any:any");
        server.opened().await;
    });
}

#[test]
fn only_public_keys_are_taken() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let (code, said) = site
            .ssh(&server)
            .option("PubkeyAuthentication=no")
            .option("PreferredAuthentications=password,keyboard-interactive,publickey")
            .tap("any:any")
            .ended()
            .await;
        assert_eq!(code, Some(255));
        assert!(said.contains("Authentications that can continue: publickey\r\n"), "{said}");
    });
}

#[test]
fn what_is_negotiated_is_modern() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let ssh = site.ssh(&server).tap("any:any");
        server.opened().await;
        server.handle.disconnect(server.devices.asked()[0].peer.session, "enough");
        let (_, said) = ssh.ended().await;
        // Debian 12's OpenSSH has no ML-KEM yet.
        assert!(
            said.contains("kex: algorithm: curve25519-sha256")
                || said.contains("kex: algorithm: mlkem768x25519"),
            "{said}"
        );
        assert!(said.contains("kex: host key algorithm: ssh-ed25519"), "{said}");
        assert!(said.contains("-gcm@openssh.com") || said.contains("chacha20-poly1305"), "{said}");
        assert!(said.contains("remote software version Tapline_"), "{said}");
        assert!(said.contains("enough"), "{said}");

        let mut old = site.ssh(&server).option("KexAlgorithms=diffie-hellman-group14-sha256");
        old = old.option("ConnectTimeout=20");
        old.tap("any:any").refused_with("no matching key exchange method found").await;
        let ctr = site.ssh(&server).option("Ciphers=aes256-ctr");
        ctr.tap("any:any").refused_with("no matching cipher found").await;
    });
}
