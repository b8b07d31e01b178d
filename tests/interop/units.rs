//! Units of tunnel devices: `tunnel="7"` on a key, asked for and refused, with either program as the server.

use tapline_tests::{Keys, Namespace, Process, Ssh, are_met, connect, eventually, run, sshd};

use crate::link::{server_section_with, two_hosts};

/// What OpenSSH's server says when the key has another unit than the client asks for.
const NO_DEVICE: &str = "Failed to open the tunnel device.";

/// Our server, and in its list of keys one bound to unit 7.
fn tapline_with_bound_key(host: &Namespace, keys: &Keys) -> Process {
    let authorized = format!("tunnel=\"7\" {}", keys.public("id"));
    let mut server = run(host, &server_section_with(host, keys, &authorized));
    server.wait_for("Server listening");
    server
}

#[test]
fn our_server_honours_the_unit_of_a_key() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _tapline = tapline_with_bound_key(&server, &keys);
    for wish in ["any:any", "any:7"] {
        let ssh = Ssh::new(&client, &keys.path("id")).option("Tunnel=ethernet");
        let ssh = ssh.start(&format!("-w {wish} root@192.0.2.1"));
        eventually(&format!("tap7 on the server for {wish}"), || server.has_interface("tap7"));
        drop(ssh);
        eventually("tap7 goes with its session", || !server.has_interface("tap7"));
    }

    let ssh =
        Ssh::new(&client, &keys.path("id")).option("Tunnel=ethernet").option("ExitOnForwardFailure=yes");
    let mut ssh = ssh.start("-w any:8 root@192.0.2.1");
    assert_eq!(ssh.ended().code(), Some(255));
    assert!(ssh.has_said(NO_DEVICE), "{}", ssh.log());
    assert_eq!(server.interfaces(), ["lo", "eth0"]);
}

#[test]
fn our_client_gets_the_unit_of_its_key_from_sshd() {
    if !are_met(&["sshd"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _sshd = sshd(&server, &keys, &format!("tunnel=\"7\" {}", keys.public("id")), "PermitTunnel ethernet");
    for wish in ["any:any", "3:7"] {
        let mut tapline = connect(&client, &keys.path("id"), &format!("-w {wish} root@192.0.2.1"));
        tapline.wait_for(": up device=");
        assert!(server.has_interface("tap7"), "{:?}", server.interfaces());
        assert!(
            client.has_interface(if wish == "3:7" { "tap3" } else { "tap0" }),
            "{:?}",
            client.interfaces()
        );
        assert!(tapline.terminate().success());
        eventually("tap7 goes with its session", || !server.has_interface("tap7"));
    }

    let mut tapline = connect(&client, &keys.path("id"), "-w any:8 root@192.0.2.1");
    assert_eq!(tapline.ended().code(), Some(255));
    assert!(tapline.has_said(NO_DEVICE), "{}", tapline.log());
    assert_eq!(client.interfaces(), ["lo", "eth0"]);
}
