use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tapline_transport::server::{BindError, ClientAlive, Listener, Options, ServeError, SessionEnd, serve};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::harness::{CLIENT, HOST, STRANGER, Site, in_namespace, line, private_key, within};

#[test]
fn both_address_families_listen_on_one_port() {
    in_namespace(|| async {
        let addresses = [(Ipv4Addr::UNSPECIFIED, 2222).into(), (Ipv6Addr::UNSPECIFIED, 2222).into()];
        let listener = Listener::bind(&addresses).unwrap();
        assert_eq!(listener.local_addresses(), addresses);
        assert!(matches!(Listener::bind(&addresses), Err(BindError::InUse(taken)) if taken == addresses[0]));
        let elsewhere: SocketAddr = (Ipv4Addr::new(192, 0, 2, 1), 2222).into();
        assert!(matches!(Listener::bind(&[elsewhere]), Err(BindError::NotLocal(_))));
        assert!(matches!(Listener::bind(&[]), Err(BindError::None)));

        let (requests, _) = mpsc::channel(1);
        let (events, _) = mpsc::unbounded_channel();
        let server = serve(listener, Options::new(vec![private_key(HOST)]), requests, events).unwrap();
        for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, 2222)), (Ipv6Addr::LOCALHOST, 2222).into()] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut greeting = [0; 16];
            within("a greeting", stream.read_exact(&mut greeting)).await.unwrap();
            assert_eq!(&greeting, b"SSH-2.0-Tapline_");
        }
        within("the server shuts down", server.shutdown()).await;
        // The addresses are free again.
        Listener::bind(&addresses).unwrap();
    });
}

#[test]
fn a_server_needs_a_host_key() {
    in_namespace(|| async {
        let listener = Listener::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).unwrap();
        let (requests, _) = mpsc::channel(1);
        let (events, _) = mpsc::unbounded_channel();
        let refused = serve(listener, Options::new(Vec::new()), requests, events);
        assert!(matches!(refused, Err(ServeError::NoHostKey)));
    });
}

#[test]
fn shutting_down_says_goodbye_to_every_client() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let first = site.ssh(&server).tap("any:any");
        server.opened().await;
        let second = site.ssh(&server).tap("any:any");
        server.opened().await;
        let idle = TcpStream::connect(server.address).await.unwrap();
        within("the server shuts down", server.handle.shutdown()).await;
        for ssh in [first, second] {
            ssh.refused_with("the server is shutting down").await;
        }
        drop(idle);
    });
}

#[test]
fn one_session_can_be_ended() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let kept = site.ssh(&server).tap("any:any");
        let _kept_tunnel = server.opened().await;
        let ended = site.ssh(&server).tap("any:any");
        let tunnel = server.opened().await;
        server.handle.disconnect(tunnel.peer.session, "the link leipzig was removed");
        ended.refused_with("the link leipzig was removed").await;
        match server.disconnected().await {
            SessionEnd::Ordered(reason) => assert_eq!(reason, "the link leipzig was removed"),
            other => panic!("{other:?}"),
        }
        server.no_event();
        kept.kill().await;
        server.disconnected().await;
    });
}

#[test]
fn a_client_that_does_not_take_its_goodbye_is_cut_off() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let ssh = site.ssh(&server).tap("any:any");
        let tunnel = server.opened().await;
        ssh.freeze().await;
        server.handle.disconnect(tunnel.peer.session, "enough");
        let end = server.disconnected().await;
        assert!(matches!(end, SessionEnd::Ordered(_)), "{end:?}");
    });
}

#[test]
fn a_client_that_answers_no_more_is_given_up() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.client_alive = Some(ClientAlive { interval: Duration::from_millis(200), count_max: 2 });
        let mut server = site.serve(options);
        let ssh = site.ssh(&server).tap("any:any");
        server.opened().await;
        ssh.freeze().await;
        let end = server.disconnected().await;
        assert!(matches!(end, SessionEnd::Unresponsive), "{end:?}");
    });
}

#[test]
fn new_options_hold_for_new_connections_and_old_ones() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let first = site.ssh(&server).tap("any:any");
        server.opened().await;
        site.write("others", &line(STRANGER));
        let mut options = Options::new(vec![private_key(HOST)]);
        options.authorized_keys_files = vec![site.path("others")];
        server.handle.reload(options).unwrap();
        assert!(matches!(server.handle.reload(Options::new(Vec::new())), Err(ServeError::NoHostKey)));
        site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
        // What went on by the old ones is judged by the new.
        first.refused_with("this key may no longer log in").await;
        server.disconnected().await;
    });
}
