//! A tunnel that OpenSSH ends, on a connection that goes on.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use tapline_tests::{Keys, Namespace, are_met, connect, eventually, sshd};

use crate::link::two_hosts;

/// Sends an IPv4 packet that is its header alone, which OpenSSH takes for the end of what its device has to say.
fn send_header_only(host: &Namespace) {
    host.enter(|| {
        let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).unwrap();
        // The kernel fills in the checksum.
        let packet = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2];
        sendto(raw.as_raw_fd(), &packet, &SockaddrIn::new(10, 77, 0, 2, 0), MsgFlags::empty()).unwrap();
    });
}

#[test]
fn n11_a_tunnel_that_ends_is_opened_again_on_its_connection() {
    if !are_met(&["sshd", "ping"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let sshd = sshd(&server, &keys, &keys.public("id"), "PermitTunnel point-to-point");
    let words = "-o Tunnel=point-to-point -w 5:5 --address 10.77.0.2/30 root@192.0.2.1";
    let mut link = connect(&client, &keys.path("id"), words);
    // The device there is OpenSSH's, and a new one each time.
    let carries = || {
        server.succeeds("ip address replace 10.77.0.1/30 dev tun5")
            && server.succeeds("ip link set tun5 up")
            && client.succeeds("ping -c 1 -W 1 10.77.0.1")
    };
    eventually("the tunnel carries packets", carries);
    for _ in 0..5 {
        send_header_only(&server);
        eventually("the device there is gone", || !server.succeeds("ip route get 10.77.0.2 from 10.77.0.1"));
        eventually("the next tunnel carries packets", carries);
    }
    link.wait_for("it is opened again on the same SSH connection");
    assert_eq!(sshd.count("Accepted publickey"), 1, "{}", sshd.log());
    assert!(link.terminate().success());
}
