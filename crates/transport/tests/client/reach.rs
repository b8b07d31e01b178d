//! Addresses, proxies, and peers that are no SSH servers.

use std::time::Duration;

use nix::mount::{MsFlags, mount};
use tapline_transport::client::{AddressFamily, ConnectError, JumpRefusal, Options, Proxy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::harness::{Keys, Scene, Sshd, in_namespaces, log_in, options};

/// Makes `two.example.org` both ::1 and 127.0.0.1, in this mount namespace.
fn two_addresses(keys: &Keys) {
    let hosts = keys.write("hosts", "::1 two.example.org\n127.0.0.1 two.example.org\n");
    mount(Some(&hosts), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let key = keys.text("host.pub");
    keys.write("known_hosts", &format!("two.example.org,localhost,127.0.0.1,::1 {key}"));
}

fn two(keys: &Keys) -> Options {
    Options { host: "two.example.org".to_owned(), ..options(keys) }
}

#[test]
fn every_address_is_tried() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        two_addresses(&scene.keys);
        let session = log_in(&two(&scene.keys)).await.unwrap();
        assert_eq!(session.peer_address(), Some("127.0.0.1:22".parse().unwrap()));

        let Scene { keys, sshd } = scene;
        drop(sshd);
        let error = log_in(&two(&keys)).await.unwrap_err();
        assert!(!error.is_permanent());
        let message = error.to_string();
        assert!(
            message.starts_with("cannot connect to two.example.org port 22: ")
                && message.contains("::1: Connection refused")
                && message.contains("127.0.0.1: Connection refused"),
            "{message}"
        );

        let _sshd = Sshd::start(&keys, "::1", "host", "");
        let session = log_in(&two(&keys)).await.unwrap();
        assert_eq!(session.peer_address(), Some("[::1]:22".parse().unwrap()));
        let v4_only = Options { address_family: AddressFamily::Inet, ..two(&keys) };
        assert!(matches!(log_in(&v4_only).await, Err(ConnectError::Unreachable { .. })));
    });
}

#[test]
fn literals_and_families() {
    in_namespaces(|| async {
        let keys = Keys::new();
        keys.generate("host", "ed25519", "");
        keys.generate("id", "ed25519", "");
        keys.write("authorized_keys", &keys.text("id.pub"));
        keys.write("known_hosts", &format!("::1 {}", keys.text("host.pub")));
        let _sshd = Sshd::start(&keys, "::1", "host", "");
        let v6 = Options { host: "::1".to_owned(), ..options(&keys) };
        log_in(&v6).await.unwrap();
        let error = log_in(&Options { address_family: AddressFamily::Inet, ..v6 }).await.unwrap_err();
        assert_eq!(error.to_string(), "::1 has no IPv4 address; set AddressFamily any");

        // A zone goes to the kernel, which knows no such neighbour.
        let zoned = Options { host: "fe80::1%lo".to_owned(), ..options(&keys) };
        let message = log_in(&zoned).await.unwrap_err().to_string();
        assert!(message.starts_with("cannot connect to fe80::1%lo port 22: fe80::1"), "{message}");
    });
}

#[test]
fn the_bind_address_is_where_connections_come_from() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let from = |address: &str| Options { bind_address: Some(address.to_owned()), ..scene.options() };
        log_in(&from("127.0.0.9")).await.unwrap();
        assert!(scene.sshd.log().contains("from 127.0.0.9"), "{}", scene.sshd.log());
        let message = log_in(&from("192.0.2.1")).await.unwrap_err().to_string();
        assert!(message.contains("BindAddress: Cannot assign requested address"), "{message}");
        let error = log_in(&from("::1")).await.unwrap_err();
        assert!(matches!(error, ConnectError::BindAddress { .. }), "{error}");
    });
}

#[test]
fn an_unknown_name() {
    in_namespaces(|| async {
        let keys = Keys::new();
        let error =
            log_in(&Options { host: "nowhere.invalid".to_owned(), ..options(&keys) }).await.unwrap_err();
        assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");
        assert!(!error.is_permanent());
    });
}

/// A peer that says `greeting` to everyone, and then waits or hangs up.
async fn peer(greeting: &'static str, hang_up: bool) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(greeting.as_bytes()).await.unwrap();
            if !hang_up {
                held.push(stream);
            }
        }
    });
    Options { host: "127.0.0.1".to_owned(), port, ..options(&Keys::new()) }
}

#[test]
fn peers_that_speak_no_ssh() {
    in_namespaces(|| async {
        let http = peer("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", true).await;
        let error = log_in(&http).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "127.0.0.1 port {} speaks no SSH, its answer begins with \"HTTP/1.1 400 Bad Request\"; check the port",
                http.port
            )
        );
        assert!(error.is_permanent());

        let endless: &'static str = "no line ends here ".repeat(100).leak();
        assert!(matches!(log_in(&peer(endless, false).await).await, Err(ConnectError::NotSsh { .. })));
        assert!(matches!(log_in(&peer("", true).await).await, Err(ConnectError::ClosedEarly { .. })));
        let old = log_in(&peer("SSH-1.5-ancient\r\n", true).await).await;
        assert!(matches!(old, Err(ConnectError::OldProtocol { .. })), "{old:?}");
        let full = log_in(&peer("Exceeded MaxStartups\r\n", true).await).await.unwrap_err();
        assert!(matches!(full, ConnectError::TurnedAway { .. }), "{full}");
        assert!(!full.is_permanent());
    });
}

#[test]
fn a_peer_that_says_nothing_is_not_waited_for_for_ever() {
    in_namespaces(|| async {
        for greeting in ["", "SSH-2.0-silent\r\n"] {
            let silent = peer(greeting, false).await;
            let options = Options { connect_timeout: Some(Duration::from_millis(100)), ..silent };
            let error = log_in(&options).await.unwrap_err();
            assert!(matches!(error, ConnectError::HandshakeTimeout { .. }), "{error}");
            assert!(error.to_string().contains("within 0.1 s"), "{error}");
        }
        // Who said something else is told apart even so.
        let other = peer("220 mail ESMTP", false).await;
        let options = Options { connect_timeout: Some(Duration::from_millis(100)), ..other };
        assert!(matches!(log_in(&options).await, Err(ConnectError::NotSsh { .. })));
    });
}

#[test]
fn no_common_algorithm_is_named() {
    in_namespaces(|| async {
        for (config, kind, theirs) in [
            ("KexAlgorithms diffie-hellman-group14-sha256", "key exchange", "diffie-hellman-group14-sha256"),
            ("Ciphers aes256-ctr", "cipher", "aes256-ctr"),
        ] {
            let scene = Scene::new(config);
            let error = log_in(&scene.options()).await.unwrap_err();
            let message = error.to_string();
            assert!(message.contains(&format!("no common {kind} algorithm with 127.0.0.1")), "{message}");
            assert!(message.contains(theirs), "{message}");
            assert!(error.is_permanent());
        }
    });
}

/// Three servers in a row, each with the same keys: 127.0.0.1, .2 and .3.
struct Row {
    keys: Keys,
    _servers: [Sshd; 3],
}

impl Row {
    fn new(config_of_second: &str) -> Self {
        let Scene { keys, sshd } = Scene::new("");
        let key = keys.text("host.pub");
        keys.write("known_hosts", &format!("127.0.0.1 {key}127.0.0.2 {key}127.0.0.3 {key}"));
        let second = Sshd::start(&keys, "127.0.0.2", "host", config_of_second);
        let third = Sshd::start(&keys, "127.0.0.3", "host", "");
        Self { keys, _servers: [sshd, second, third] }
    }

    fn options(&self, host: &str) -> Options {
        Options { host: host.to_owned(), ..options(&self.keys) }
    }

    fn through_two(&self) -> Options {
        let hops = vec![self.options("127.0.0.1"), self.options("127.0.0.2")];
        Options { proxy: Proxy::Jump(hops), ..self.options("127.0.0.3") }
    }
}

#[test]
fn through_two_jump_hosts() {
    in_namespaces(|| async {
        let row = Row::new("");
        let session = log_in(&row.through_two()).await.unwrap();
        assert_eq!(session.peer_address(), None);
        let [first, second, third] = &row._servers;
        assert!(first.log().contains("Accepted publickey"), "{}", first.log());
        assert!(second.log().contains("Connection from 127.0.0.1"), "{}", second.log());
        assert!(third.log().contains("Accepted publickey"), "{}", third.log());
        session.disconnect().await;

        // The jump host has a jump host of its own.
        let nested =
            Options { proxy: Proxy::Jump(vec![row.options("127.0.0.1")]), ..row.options("127.0.0.2") };
        let last = Options { proxy: Proxy::Jump(vec![nested]), ..row.options("127.0.0.3") };
        log_in(&last).await.unwrap();
    });
}

#[test]
fn a_jump_host_that_fails_is_named() {
    in_namespaces(|| async {
        let row = Row::new("AllowTcpForwarding no");
        let error = log_in(&row.through_two()).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::JumpRefused { reason: JumpRefusal::Prohibited, .. }),
            "{error}"
        );
        assert!(
            error.to_string().starts_with("jump host 127.0.0.2 does not connect to 127.0.0.3: "),
            "{error}"
        );
        assert!(error.is_permanent());

        let hop = Options { identity_files: Vec::new(), ..row.options("127.0.0.1") };
        let denied = Options { proxy: Proxy::Jump(vec![hop]), ..row.options("127.0.0.3") };
        let error = log_in(&denied).await.unwrap_err();
        assert!(error.to_string().starts_with("jump host 127.0.0.1: permission denied for root"), "{error}");
        assert!(error.is_permanent());

        let nobody = Options {
            proxy: Proxy::Jump(vec![row.options("127.0.0.1")]),
            port: 1,
            ..row.options("127.0.0.3")
        };
        let error = log_in(&nobody).await.unwrap_err();
        let refused = matches!(&error, ConnectError::JumpRefused { reason: JumpRefusal::ConnectFailed, .. });
        assert!(refused && !error.is_permanent(), "{error}");
    });
}

#[test]
fn a_proxy_command_is_the_connection_and_ends_with_it() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let pid_file = scene.keys.path("pid");
        let command = format!(
            "bash -c 'echo $$ >{}; exec 3<>/dev/tcp/127.0.0.1/22; cat <&3 & exec cat >&3'",
            pid_file.display()
        );
        let proxied = Options { proxy: Proxy::Command(command), ..scene.options() };
        let session = log_in(&proxied).await.unwrap();
        let process = format!("/proc/{}", scene.keys.text("pid").trim());
        assert!(std::fs::exists(&process).unwrap());
        session.disconnect().await;
        while std::fs::exists(&process).unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn u16_a_proxy_command_that_fails_is_named_with_its_status_and_words() {
    in_namespaces(|| async {
        let keys = Keys::new();
        for (command, status, words) in [
            ("sh -c 'echo no route to berlin >&2; exit 3'", "exit status: 3", ": no route to berlin"),
            ("sh -c 'echo first >&2; echo last >&2; exit 1'", "exit status: 1", ": last"),
            ("false", "exit status: 1", ""),
            ("true", "exit status: 0", ""),
            ("nonexistent-program", "exit status: 127", "not found"),
            ("sh -c 'kill -9 $$'", "signal: 9", ""),
            (
                "sh -c 'echo this is no SSH; echo but a complaint >&2; exit 2'",
                "exit status: 2",
                ": but a complaint",
            ),
        ] {
            let failing = Options { proxy: Proxy::Command(command.to_owned()), ..options(&keys) };
            let error = log_in(&failing).await.unwrap_err();
            assert!(matches!(error, ConnectError::ProxyCommandEnded { .. }), "{command}: {error}");
            let message = error.to_string();
            assert!(!error.is_permanent() && !message.contains('\n'), "{message}");
            assert!(message.contains(&format!("`{command}` ended ({status}")), "{message}");
            assert!(message.contains(words), "{message}");
            assert!(!message.contains("its log says why"), "{message}");
        }
    });
}

#[test]
fn s13_the_step_of_a_handshake_that_stalls_is_named() {
    in_namespaces(|| async {
        // Length 20, padding 4, SSH_MSG_KEXINIT.
        let kexinit = "SSH-2.0-stalls\r\n\0\0\0\x14\x04\x14eighteen bytes ...";
        for (greeting, words) in [
            ("", "took the connection and then sent no SSH version within 0.3 s; check that the port"),
            ("SSH-2.0-stalls\r\n", "sent its SSH version and then no key exchange"),
            ("Welcome\r\nSSH-2.0-stalls\r\n\0\0", "sent its SSH version and then no key exchange"),
            ("SSH-2.0-stalls\r\n\0\0\x04\x14\x04\x14", "sent its SSH version and then no key exchange"),
        ] {
            let stalling = peer(greeting, false).await;
            let options = Options { connect_timeout: Some(Duration::from_millis(300)), ..stalling };
            let message = log_in(&options).await.unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
            assert_eq!(message.contains("MTU"), !greeting.is_empty(), "{message}");
        }
        assert_eq!(kexinit.len(), 16 + 24);
    });
}
