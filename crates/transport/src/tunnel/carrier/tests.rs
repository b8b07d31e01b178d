use std::future::poll_fn;

use tapline_device::memory;
use tapline_frame::Mode;

use super::*;

/// Polls as the session's loop does until `condition` holds, and returns how long that took.
async fn poll_until(
    carrier: &mut Carrier,
    device: &mut dyn Device,
    condition: impl Fn() -> bool,
) -> Duration {
    let since = Instant::now();
    poll_fn(|cx| {
        carrier.poll(device, cx);
        if condition() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    since.elapsed()
}

#[tokio::test(start_paused = true)]
async fn n5_a_gap_that_the_kernel_has_seen_ends_at_once() {
    let (mut device, kernel) = memory::pair(Mode::Ethernet);
    device.set_carrier(false).unwrap();
    let mut carrier = Carrier::default();
    carrier.turn_on(&mut device);
    assert!(kernel.carrier());
}

#[tokio::test(start_paused = true)]
async fn n5_a_gap_that_the_kernel_has_not_seen_lasts_until_it_has() {
    let (mut device, kernel) = memory::pair(Mode::Ethernet);
    device.set_carrier(false).unwrap();
    kernel.note_carrier_late(true);
    let mut carrier = Carrier::default();
    carrier.turn_on(&mut device);
    assert!(!kernel.carrier());
    let looked = tokio::time::timeout(
        Duration::from_millis(300),
        poll_until(&mut carrier, &mut device, || kernel.carrier()),
    );
    assert!(looked.await.is_err(), "still off");
    kernel.note_carrier_late(false);
    let took = poll_until(&mut carrier, &mut device, || kernel.carrier()).await;
    assert!(took <= 2 * BETWEEN_LOOKS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn n5_a_kernel_that_never_says_so_is_not_waited_for_for_ever() {
    let (mut device, kernel) = memory::pair(Mode::PointToPoint);
    device.set_carrier(false).unwrap();
    kernel.note_carrier_late(true);
    let mut carrier = Carrier::default();
    carrier.turn_on(&mut device);
    let took = poll_until(&mut carrier, &mut device, || kernel.carrier()).await;
    assert!(took >= LONGEST && took <= LONGEST + 2 * BETWEEN_LOOKS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn n5_a_carrier_that_was_never_off_has_nothing_to_wait_for() {
    let (mut device, kernel) = memory::pair(Mode::Ethernet);
    kernel.note_carrier_late(true);
    Carrier::default().turn_on(&mut device);
    assert!(kernel.carrier());
}
