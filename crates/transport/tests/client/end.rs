//! How sessions end, and that they say why.

use std::process::Command;
use std::time::Duration;

use tapline_transport::client::{Ended, Options, Proxy};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Scene, Sshd, in_namespaces, log_in, options, run};

#[test]
fn a_goodbye_is_heard() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let session = log_in(&scene.options()).await.unwrap();
        session.disconnect().await;
        scene.sshd.wait_for("Received disconnect from 127.0.0.1").await;
    });
}

#[test]
fn a_session_that_is_dropped_ends() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        drop(log_in(&scene.options()).await.unwrap());
        scene.sshd.wait_until_idle().await;
    });
}

#[test]
fn an_attempt_that_is_given_up_ends() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let attempt = tokio::spawn({
            let options = scene.options();
            async move { log_in(&options).await.map(drop) }
        });
        scene.sshd.wait_for("Connection from 127.0.0.1").await;
        attempt.abort();
        scene.sshd.wait_until_idle().await;
    });
}

#[test]
fn a_server_that_goes_away_is_told() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let session = log_in(&scene.options()).await.unwrap();
        scene.sshd.kill_sessions();
        let ended = session.closed().await;
        assert!(matches!(ended, Ended::Lost(_)), "{ended}");
        assert_eq!(session.closed().await, ended, "it may be asked again");
    });
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let options = Options {
            server_alive_interval: Some(Duration::from_millis(200)),
            server_alive_count_max: 1,
            ..scene.options()
        };
        let session = log_in(&options).await.unwrap();
        run(Command::new("ip").args(["link", "set", "lo", "down"]));
        let ended = timeout(PATIENCE, session.closed()).await.unwrap();
        assert_eq!(ended, Ended::Silent);
        // Its goodbye cannot be heard, and is not waited for long.
        session.disconnect().await;
    });
}

#[test]
fn a_jump_host_that_goes_away_is_named() {
    in_namespaces(|| async {
        let scene = Scene::new("");
        let key = scene.keys.text("host.pub");
        scene.keys.write("known_hosts", &format!("127.0.0.1 {key}127.0.0.2 {key}"));
        let _target = Sshd::start(&scene.keys, "127.0.0.2", "host", "");
        let through = Options {
            host: "127.0.0.2".to_owned(),
            proxy: Proxy::Jump(vec![scene.options()]),
            ..options(&scene.keys)
        };
        let session = log_in(&through).await.unwrap();
        scene.sshd.kill_sessions();
        let ended = session.closed().await;
        assert!(ended.to_string().starts_with("jump host 127.0.0.1: the connection was lost"), "{ended}");
    });
}
