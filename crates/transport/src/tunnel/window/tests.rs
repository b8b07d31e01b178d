use proptest::prelude::*;

use super::*;

const fn fixed(bytes: u32) -> Bounds {
    Bounds { least: bytes, most: bytes, gain: 0, ahead: Duration::ZERO }
}

#[test]
fn grants_when_half_is_used() {
    let mut window = ReceiveWindow::new(fixed(1000));
    window.received(500);
    assert_eq!(window.credit(false), None);
    window.received(1);
    assert_eq!(window.credit(false), Some(501));
    window.received(499);
    assert_eq!(window.credit(false), None);
}

#[test]
fn with_data_it_grants_when_a_quarter_is_used() {
    let mut window = ReceiveWindow::new(fixed(1000));
    window.received(250);
    assert_eq!(window.credit(true), None);
    window.received(1);
    assert_eq!(window.credit(true), Some(251));
    assert_eq!(window.credit(true), None);
}

#[test]
fn grants_nothing_while_it_shrinks() {
    let bounds = Bounds { least: 1000, most: 1_000_000, gain: 100, ahead: Duration::ZERO };
    let mut window = ReceiveWindow::new(bounds);
    let (mut now, round_trip) = (Instant::now(), Duration::from_millis(100));
    window.observe(now, round_trip);
    window.received(100_000);
    now += round_trip;
    window.observe(now, round_trip);
    window.received(1);
    // 100 kB in a round trip, and 1 kB more than that.
    assert_eq!(window.credit(false), Some(101_000));
    for _ in 0..100 {
        now += round_trip;
        window.observe(now, round_trip);
    }
    window.received(90_000);
    assert_eq!(window.credit(true), None);
    window.received(11_000);
    assert!(window.credit(true).is_some());
}

#[test]
fn of_a_large_window_only_what_the_path_holds_is_used() {
    let granted = 2 << 20;
    let mut window = SendWindow::new(fixed(100_000));
    assert_eq!(window.room(granted), 100_000);
    window.sent(60_000);
    assert_eq!(window.room(granted - 60_000), 40_000);
    window.sent(40_000);
    assert_eq!(window.room(granted - 100_000), 0);
    // The peer gives some back.
    assert_eq!(window.room(granted - 30_000), 70_000);
    // A window smaller than that is the peer's own wish.
    let mut window = SendWindow::new(fixed(100_000));
    assert_eq!(window.room(5_000), 5_000);
}

#[test]
fn the_use_of_a_window_grows_with_what_comes_back() {
    let bounds = Bounds { least: 100_000, most: u32::MAX, gain: 150, ahead: Duration::ZERO };
    let mut window = SendWindow::new(bounds);
    let (mut now, round_trip) = (Instant::now(), Duration::from_millis(50));
    let mut granted = 2 << 20;
    for _ in 0..20 {
        window.observe(now, round_trip);
        let room = window.room(granted);
        window.sent(room);
        granted -= room;
        now += round_trip;
        // A round trip later all of it has been given back.
        granted += room;
    }
    assert_eq!(window.room(granted), granted);
}

#[test]
fn only_openssh_is_owed_the_surcharge() {
    assert_eq!(surcharge(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10"), 4);
    assert_eq!(surcharge(b"SSH-2.0-Tapline_0.1.0"), 0);
    assert_eq!(surcharge(b"SSH-2.0-dropbear_2022.83"), 0);
    assert_eq!(surcharge(b""), 0);
}

/// OpenSSH as a receiver: debits `len + 4` for each datagram, and gives that back.
struct OpenSshReceiver {
    window: u32,
    used: u32,
    max: u32,
}

impl OpenSshReceiver {
    fn datagram(&mut self, len: u32) -> u32 {
        assert!(len + 4 <= self.window + self.max / 10, "the receiver would disconnect");
        self.window = self.window.saturating_sub(len + 4);
        self.used += len + 4;
        if self.used < self.max / 2 {
            return 0;
        }
        self.window += self.used;
        std::mem::take(&mut self.used)
    }
}

proptest! {
    /// A peer that keeps to its window is never starved, and never gets more than the target outstanding.
    #[test]
    fn a_correct_sender_sees_a_window_within_the_target(
        target in 65_536u32..4_000_000,
        messages in prop::collection::vec((1usize..32_768, any::<bool>()), 1..500),
    ) {
        let mut ours = ReceiveWindow::new(fixed(target));
        let mut theirs = target;
        for (len, with_data) in messages {
            let len = u32::try_from(len).unwrap();
            prop_assert!(theirs >= len);
            theirs -= len;
            ours.received(len as usize);
            theirs += ours.credit(with_data).unwrap_or(0);
            prop_assert!(theirs <= target);
            prop_assert!(theirs >= target / 2);
        }
    }

    /// With the surcharge the window that we see as a sender never drifts from what OpenSSH believes to have granted.
    #[test]
    fn openssh_never_sees_its_window_exceeded(lengths in prop::collection::vec(14u32..16_384, 1..2000)) {
        let max = 2_097_152;
        let mut openssh = OpenSshReceiver { window: max, used: 0, max };
        let mut ours = max;
        for len in lengths {
            prop_assert!(ours >= len + 4, "the window must not starve");
            ours -= len + 4;
            ours += openssh.datagram(len);
            prop_assert!(ours <= max);
        }
    }
}
