use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tapline_device::Device;
use tokio::time::{Instant, Sleep, sleep};

/// A kernel that is not asked looks at a carrier once a second.
const LONGEST: Duration = Duration::from_millis(1500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The carrier of a device whose tunnel is there. It comes on when the kernel has seen that it was off: only then does the
/// kernel forget the neighbours behind it, who may be others now.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    next_look: Pin<Box<Sleep>>,
}

impl Carrier {
    /// Switches it on, now or in one of the next calls of [`Carrier::poll`].
    pub(super) fn turn_on(&mut self, device: &mut dyn Device) {
        if device.carrier_is_noted() {
            switch_on(device);
        } else {
            self.waiting = Some(Waiting { since: Instant::now(), next_look: Box::pin(sleep(BETWEEN_LOOKS)) });
        }
    }

    pub(super) fn poll(&mut self, device: &mut dyn Device, cx: &mut Context<'_>) {
        while let Some(waiting) = &mut self.waiting
            && let Poll::Ready(()) = waiting.next_look.as_mut().poll(cx)
        {
            if device.carrier_is_noted() || waiting.since.elapsed() >= LONGEST {
                self.waiting = None;
                switch_on(device);
            } else {
                waiting.next_look.as_mut().reset(Instant::now() + BETWEEN_LOOKS);
            }
        }
    }
}

fn switch_on(device: &mut dyn Device) {
    if let Err(error) = device.set_carrier(true) {
        tracing::debug!(%error, device = device.name(), "cannot switch the carrier on");
    }
}

#[cfg(test)]
mod tests;
