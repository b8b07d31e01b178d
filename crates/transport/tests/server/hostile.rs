use std::time::Duration;

use russh_channels::ChannelOpenFailure;
use tapline_frame::{Mode, tunnel as stock};
use tapline_transport::server::{MaxStartups, Penalties, SessionEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Client};
use crate::harness::{CLIENT, Server, Site, in_namespace, line, within};

/// What the server says until it closes the connection.
async fn said(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    within("the server closes the connection", async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..length]);
        }
    })
    .await;
    said
}

async fn still_serves(site: &Site, server: &mut Server) {
    let ssh = site.ssh(server).tap("any:any");
    server.opened().await;
    ssh.kill().await;
    server.disconnected().await;
}

#[test]
fn peers_that_speak_no_ssh_are_dropped() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.per_source_penalties = None;
        let mut server = site.serve(options);
        let long_line = [b"SSH-2.0-".as_slice(), &[b'x'; 100_000]].concat();
        let binary_packet = [b"SSH-2.0-x\r\n".as_slice(), &[0xff; 64]].concat();
        for junk in
            [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 1000], b"SSH-1.5-old\r\n", &long_line, &binary_packet]
        {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            // The server may close before it has taken all.
            let _ = stream.write_all(junk).await;
            let answer = said(&mut stream).await;
            assert!(answer.is_empty() || answer.starts_with(b"SSH-2.0-Tapline_"));
        }
        still_serves(&site, &mut server).await;
    });
}

#[test]
fn a_peer_that_takes_its_time_is_dropped_when_it_is_over() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.login_grace_time = Duration::from_millis(300);
        options.per_source_penalties = None;
        let mut server = site.serve(options.clone());
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        let mut halfway = TcpStream::connect(server.address).await.unwrap();
        halfway.write_all(b"SSH-2.0-slow\r\n").await.unwrap();
        let trickle = async {
            while slow.write_all(b"S").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within("the server gives up on all three", async {
            tokio::join!(said(&mut silent), said(&mut halfway), trickle);
        })
        .await;
        server.no_event();

        options.login_grace_time = Duration::from_secs(120);
        server.handle.reload(options).unwrap();
        still_serves(&site, &mut server).await;
    });
}

#[test]
fn connections_beyond_max_startups_are_told_so() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.max_startups = MaxStartups { start: 2, rate: 100, full: 2 };
        options.per_source_penalties = None;
        let server = site.serve(options);
        let held = [
            TcpStream::connect(server.address).await.unwrap(),
            TcpStream::connect(server.address).await.unwrap(),
        ];
        let mut third = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(said(&mut third).await, b"Exceeded MaxStartups\r\n");
        drop(held);
        // Once the server has seen them go there is room again.
        within("room for another", async {
            loop {
                let mut stream = TcpStream::connect(server.address).await.unwrap();
                let mut greeting = [0; 4];
                stream.read_exact(&mut greeting).await.unwrap();
                if &greeting == b"SSH-" {
                    break;
                }
            }
        })
        .await;
    });
}

#[test]
fn a_source_that_keeps_failing_is_kept_out() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.per_source_penalties = Some(Penalties {
            auth_fail: Duration::from_secs(300),
            min: Duration::from_secs(500),
            ..Penalties::default()
        });
        let server = site.serve(options);
        let key = site.path("stranger");
        for _ in 0..2 {
            site.ssh(&server).key(&key).tap("any:any").refused_with("Permission denied (publickey)").await;
        }
        // The good key as well: it is the source that is kept out.
        let (code, said) = site.ssh(&server).tap("any:any").ended().await;
        assert_eq!(code, Some(255));
        assert!(said.contains("Not allowed at this time"), "{said}");
    });
}

#[test]
fn attempts_are_counted() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        options.max_auth_tries = 1;
        let server = site.serve(options);
        let first = site.path("stranger");
        let second = format!("IdentityFile={}", site.path("authority").display());
        let third = format!("IdentityFile={}", site.path("client").display());
        let ssh = site.ssh(&server).key(&first).option(&second).option(&third);
        ssh.tap("any:any").refused_with("Too many authentication").await;
    });
}

#[test]
fn a_flood_of_opens_is_answered_one_by_one() {
    in_namespace(|| async {
        const FLOOD: usize = 5000;
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        for number in 0..FLOOD {
            client.ask(["x@example.org", "tunnel@tapline.internal", "tun@openssh.com"][number % 3], &[0; 5]);
        }
        for _ in 0..FLOOD {
            let answer = client.answer().await;
            assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
        }
        server.authenticated().await;
        server.no_event();
    });
}

#[test]
fn tunnels_of_a_session_are_limited() {
    in_namespace(|| async {
        let site = Site::new();
        let server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        let payload = stock::Open { mode: Mode::Ethernet, unit: None }.encode();
        let mut confirmed = Vec::new();
        for _ in 0..16 {
            match client.open(stock::CHANNEL_TYPE, &payload).await {
                Answer::Confirmed(channel) => confirmed.push(channel),
                refused => panic!("{refused:?}"),
            }
        }
        let answer = client.open(stock::CHANNEL_TYPE, &payload).await;
        let Answer::Refused { reason, description } = answer else { panic!("{answer:?}") };
        assert_eq!(reason, ChannelOpenFailure::ResourceShortage);
        assert!(description.contains("16 tunnels"), "{description}");
        assert_eq!(server.devices.asked().len(), 16);
    });
}

#[test]
fn frames_for_a_tunnel_that_has_failed_end_nothing_else() {
    in_namespace(|| async {
        let site = Site::new();
        let mut server = site.serve(site.options(&line(CLIENT)));
        let mut client = Client::log_in(&server).await;
        let payload = stock::Open { mode: Mode::Ethernet, unit: None }.encode();
        let Answer::Confirmed(channel) = client.open(stock::CHANNEL_TYPE, &payload).await else { panic!() };
        server.opened().await;
        // The server closes the channel while frames for it are still on their way.
        client.write(channel, vec![[0xff; 60].to_vec(); 1000]);
        drop(server.devices.other_end());
        assert!(matches!(client.open(stock::CHANNEL_TYPE, &payload).await, Answer::Confirmed(_)));
        client.handle.disconnect(russh_channels::Disconnect::ByApplication, "", "").await.unwrap();
        let end = server.disconnected().await;
        assert!(matches!(end, SessionEnd::Client), "{end:?}");
    });
}
