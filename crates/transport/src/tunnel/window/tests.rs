use proptest::prelude::*;

use super::*;

#[test]
fn grants_when_half_is_used() {
    let mut window = ReceiveWindow::new(1000);
    assert_eq!(window.received(500), 0);
    assert_eq!(window.received(1), 501);
    assert_eq!(window.received(499), 0);
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
        lengths in prop::collection::vec(1usize..32_768, 1..500),
    ) {
        let mut ours = ReceiveWindow::new(target);
        let mut theirs = target;
        for len in lengths {
            let len = u32::try_from(len).unwrap();
            prop_assert!(theirs >= len);
            theirs -= len;
            theirs += ours.received(len as usize);
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
