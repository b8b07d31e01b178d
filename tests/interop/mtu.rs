//! Packets that are larger than OpenSSH's buffer for its device.

use tapline_tests::{Keys, are_met, connect, eventually, sshd};

use crate::link::two_hosts;

/// What a stock peer reads whole: 16 KiB with the Ethernet header.
const LARGEST: &str = "mtu 16370 ";

#[test]
fn n9_an_mtu_that_a_stock_peer_cannot_take_is_brought_down_to_what_it_can() {
    if !are_met(&["sshd", "ping"]) {
        return;
    }
    let keys = Keys::new(&["host", "id"]);
    let (client, server) = two_hosts();
    let _sshd = sshd(&server, &keys, &keys.public("id"), "PermitTunnel ethernet");
    for mtu in [16_371, 16_384, 20_000, 40_000, 65_000] {
        let words = format!("-w 5:5 --mtu {mtu} --address 10.77.0.2/24 root@192.0.2.1");
        let mut link = connect(&client, &keys.path("id"), &words);
        eventually("a device there", || server.has_interface("tap5"));
        server.run("ip link set tap5 mtu 16370 up");
        server.run("ip address replace 10.77.0.1/24 dev tap5");
        eventually("an MTU that fits", || client.run("ip link show tap5").contains(LARGEST));
        link.wait_for("16370");
        client.run("ping -c 3 -W 5 -i 0.2 -M do -s 16342 10.77.0.1");
        assert!(link.terminate().success());
        eventually("no device there", || !server.has_interface("tap5"));
    }
}
