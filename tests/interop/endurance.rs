//! Links that carry much, for long, through changes of keys.

use std::time::Duration;

use tapline_tests::{Process, are_met, eventually, wait_until};

use crate::link::{ETHERNET, End, Link, Roles, Shape};
use crate::traffic::{Counters, counters, iperf, ping};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What each direction carries at least, in bytes.
const CARRIED: u64 = 2 * GIB;
const REKEY_LIMIT: u64 = 64 * MIB;

/// How much resident memory may grow from the first 256 MiB to the end, in KiB.
const GROWTH: u64 = 8 * 1024;

#[test]
fn a_minute_of_tcp_and_2_gib_each_way_from_ssh() {
    much_through(Roles::StockClient);
}

#[test]
fn a_minute_of_tcp_and_2_gib_each_way_to_sshd() {
    much_through(Roles::StockServer);
}

/// TCP both ways at once for 60 seconds, and on until each direction has carried more than 2 GiB; one connection all
/// the time, new keys every 64 MiB at both ends' wish, and no more memory at the end than near the beginning.
fn much_through(roles: Roles) {
    if !are_met(&["sshd", "iperf3"]) {
        return;
    }
    let mut link = Link::up(roles, Shape { rekey_limit: "64M", ..ETHERNET });
    ping(&link.client.host, link.server.ipv4);
    let (mut client, _server) = iperf(&link.client, &link.server, "--bidir -t 60");
    wait_until("256 MiB each way", Duration::from_secs(70), || {
        let Counters { received, sent } = counters(&link.client);
        received.min(sent) > 256 * MIB || !client.is_running()
    });
    let early = link.tapline_and_stock().0.process.resident();
    finish(&mut client);

    // On a slow machine a minute is not enough for the amount.
    let (left, right) = (&link.client, &link.server);
    for (from, to) in [(left, right), (right, left)] {
        while let missing @ 1.. = CARRIED.saturating_sub(counters(to).received).div_ceil(MIB) {
            let (mut client, _server) = iperf(from, to, &format!("-n {missing}M"));
            finish(&mut client);
        }
    }

    let (tapline, stock) = link.tapline_and_stock();
    let late = tapline.process.resident();
    assert!(late < early + GROWTH, "{early} KiB of resident memory became {late} KiB");
    // Either direction counts for itself, so that there are at least as many keys as one of them needs.
    let keys = stock.process.count("SSH2_MSG_NEWKEYS received") as u64;
    assert!(keys >= CARRIED / REKEY_LIMIT, "new keys {keys} times");
    still_answers(left, right);
    link.assert_never_down();
}

fn finish(iperf: &mut Process) {
    let status = iperf.ended_within(Duration::from_secs(150));
    assert!(status.success(), "iperf3: {status}");
}

fn still_answers(left: &End, right: &End) {
    eventually("the link is idle again", || {
        left.host.succeeds(&format!("ping -c 3 -i 0.05 -W 1 {}", right.ipv6))
    });
    ping(&right.host, left.ipv4);
}
