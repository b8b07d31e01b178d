use crate::harness::{Scene, in_namespaces, log_in};

#[test]
fn keys_of_every_kind() {
    for kind in ["ed25519", "ecdsa -b 256", "ecdsa -b 521", "rsa -b 2048"] {
        in_namespaces(move || async move {
            let scene = Scene::with_key(kind, "", "");
            let session = log_in(&scene.options()).await.unwrap();
            assert!(session.peer_version().starts_with("SSH-2.0-OpenSSH"), "{}", session.peer_version());
            println!("{:?}", session);
            session.disconnect().await;
        });
    }
}
