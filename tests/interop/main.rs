//! Tapline beside Debian's OpenSSH.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod smoke {
    use tapline_tests::*;

    #[test]
    fn native_ping() {
        if !are_met(&["sshd"]) {
            return;
        }
        let keys = Keys::new(&["host", "id"]);
        let (left, right) = (Namespace::new("left"), Namespace::new("right"));
        veth((&left, "eth0", "192.0.2.2/24"), (&right, "eth0", "192.0.2.1/24"));
        let mut server = run(
            &right,
            &format!(
                "server:\n  listen: [\"192.0.2.1:22\"]\n  host-keys: [{}]\n  permit-tunnel: ethernet\n  accept:\n    left:\n      public-key: {}\n      addresses: [10.77.0.1/24, \"fd77::1/64\"]\n",
                keys.path("host").display(),
                keys.public("id")
            ),
        );
        server.wait_for("Server listening");
        let mut client = connect(&left, &keys.path("id"), "--address 10.77.0.2/24 root@192.0.2.1");
        client.wait_for(" up ");
        server.wait_for(" up ");
        eventually("ping", || left.succeeds("ping -c1 -W1 10.77.0.1"));
        println!("{}\n{}", client.log(), server.log());
        client.terminate();
        assert_eq!(left.interfaces(), ["lo", "eth0"]);
    }
}
