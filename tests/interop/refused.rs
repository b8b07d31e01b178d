//! What may not be, and what both programs say of it.

use tapline_tests::{Keys, Process, Ssh, are_met, connect, run, sshd};

use crate::link::{server_section_with, two_hosts};

// The debug messages of OpenSSH's server, which `ssh -v` prints.
const REJECTED: &str = "Server has rejected tunnel device forwarding";
const NO_DEVICE: &str = "Failed to open the tunnel device.";

/// What `ssh -v` says and how it ends when it asks our server for a tunnel. `options` are put before the key in
/// authorized_keys, and on the server there is an interface `tap9` that is a bridge.
fn ssh_asks(permit_tunnel: &str, options: &str, tunnel: &str, devices: &str) -> Process {
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    server.run("ip link add tap9 type bridge");
    let section = server_section_with(&server, &keys, &format!("{options} {}", keys.public("id")))
        .replace("permit-tunnel: yes", &format!("permit-tunnel: {permit_tunnel}"));
    let mut tapline = run(&server, &section);
    tapline.wait_for("Server listening");
    let mut ssh = Ssh::new(&client, &keys.path("id"))
        .option(&format!("Tunnel={tunnel}"))
        .option("ExitOnForwardFailure=yes")
        .start(&format!("-w {devices} root@192.0.2.1"));
    assert_eq!(ssh.ended().code(), Some(255), "{}", ssh.log());
    assert_eq!(server.interfaces(), ["lo", "eth0", "tap9"]);
    ssh
}

#[test]
fn our_server_refuses_in_openssh_words() {
    if !are_met(&["ssh"]) {
        return;
    }
    for (permit_tunnel, options, tunnel, devices, words) in [
        ("no", "", "ethernet", "any:any", REJECTED),
        ("ethernet", "", "point-to-point", "any:any", REJECTED),
        ("point-to-point", "", "ethernet", "any:any", REJECTED),
        ("yes", "restrict", "ethernet", "any:any", REJECTED),
        ("yes", "restrict,tunnel=\"0\"", "ethernet", "any:any", REJECTED),
        ("yes", "", "ethernet", "any:9", NO_DEVICE),
        ("yes", "tunnel=\"7\"", "ethernet", "any:8", NO_DEVICE),
    ] {
        let ssh = ssh_asks(permit_tunnel, options, tunnel, devices);
        assert!(ssh.has_said(words), "{permit_tunnel} {options} {tunnel} {devices}: {}", ssh.log());
        assert!(ssh.has_said("open failed: connect failed: open failed"), "{}", ssh.log());
    }
}

#[test]
fn our_client_ends_when_sshd_refuses_the_tunnel() {
    if !are_met(&["sshd"]) {
        return;
    }
    for (config, options, devices, words) in [
        ("PermitTunnel no", "", "any:any", REJECTED),
        ("PermitTunnel point-to-point", "", "any:any", REJECTED),
        ("PermitTunnel ethernet", "tunnel=\"7\" ", "any:8", NO_DEVICE),
        ("PermitTunnel yes", "", "any:9", NO_DEVICE),
    ] {
        let keys = Keys::new(&["host", "id"]);
        let (client, server) = two_hosts();
        server.run("ip link add tap9 type bridge");
        let _sshd = sshd(&server, &keys, &format!("{options}{}", keys.public("id")), config);
        let mut tapline = connect(
            &client,
            &keys.path("id"),
            &format!("-w {devices} --address 10.77.0.2/24 root@192.0.2.1"),
        );
        assert_eq!(tapline.ended().code(), Some(255), "{config}: {}", tapline.log());
        let log = tapline.log();
        let errors: Vec<_> = log.lines().filter(|line| line.starts_with("tapline: ")).collect();
        assert_eq!(errors.len(), 1, "{config}: {log}");
        assert!(errors[0].contains(words) && log.trim_end().ends_with(errors[0]), "{config}: {log}");
        assert_eq!(client.interfaces(), ["lo", "eth0"]);
    }
}
