//! Tunnels against stock sshd.

use std::sync::Arc;

use tapline_device::memory;
use tapline_frame::Mode;
use tapline_transport::client::Session;
use tapline_transport::tunnel::{Dialect, Established, Lease, NativePolicy, OpenTunnelError, TunnelRequest};

use crate::harness::{Scene, in_namespaces, log_in};

async fn open(session: &Session, native: NativePolicy) -> Result<Established, OpenTunnelError> {
    let (device, _other_end) = memory::pair(Mode::Ethernet);
    let device = Lease::new(Box::new(device), None);
    let request = TunnelRequest { device, remote_unit: None, native, bundle: None, counters: Arc::default() };
    session.tunnels().open(request).await
}

#[test]
fn a_refusal_comes_with_the_servers_reason() {
    in_namespaces(|| async {
        let scene = Scene::new("PermitTunnel no");
        let session = log_in(&scene.options()).await.unwrap();
        for native in [NativePolicy::Auto, NativePolicy::No] {
            let message = open(&session, native).await.unwrap_err().to_string();
            assert!(message.contains("Server has rejected tunnel device forwarding"), "{message}");
            assert!(message.contains("set PermitTunnel"), "{message}");
        }
        let error = open(&session, NativePolicy::Only).await.unwrap_err();
        assert!(matches!(error, OpenTunnelError::NotNative), "{error}");
        session.disconnect().await;
    });
}

#[test]
fn a_stock_server_gets_a_stock_channel() {
    in_namespaces(|| async {
        let scene = Scene::new("PermitTunnel ethernet");
        let session = log_in(&scene.options()).await.unwrap();
        let established = open(&session, NativePolicy::Auto).await.unwrap();
        assert_eq!(established.dialect, Dialect::Stock);
    });
}
