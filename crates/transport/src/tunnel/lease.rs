use std::ops::{Deref, DerefMut};

use tapline_device::Device;
use tokio::sync::mpsc;

/// A device on loan to a session. However the session ends, the device goes home detached from the session's
/// runtime and without carrier, so that interface, addresses and bridge port outlive the connection and nobody takes
/// it for one that carries anything.
#[derive(Debug)]
pub struct Lease {
    /// `None` only while dropping.
    device: Option<Box<dyn Device>>,
    home: Option<mpsc::UnboundedSender<Box<dyn Device>>>,
    bundled: bool,
}

impl Lease {
    /// Without a home the device is dropped with the session, and the kernel removes what was created for it.
    pub fn new(device: Box<dyn Device>, home: Option<mpsc::UnboundedSender<Box<dyn Device>>>) -> Self {
        Self { device: Some(device), home, bundled: false }
    }

    /// One queue of an interface whose other queues go to the other channels of the bundle that the peer has named.
    pub fn bundled(mut self) -> Self {
        self.bundled = true;
        self
    }

    pub fn is_bundled(&self) -> bool {
        self.bundled
    }
}

impl Deref for Lease {
    type Target = dyn Device;

    #[expect(clippy::expect_used, reason = "the device is taken in drop alone")]
    fn deref(&self) -> &Self::Target {
        self.device.as_deref().expect("a lease holds its device until it is dropped")
    }
}

impl DerefMut for Lease {
    #[expect(clippy::expect_used, reason = "the device is taken in drop alone")]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.device.as_deref_mut().expect("a lease holds its device until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(mut device), Some(home)) = (self.device.take(), &self.home) {
            if let Err(error) = device.set_carrier(false) {
                tracing::debug!(device = device.name(), %error, "cannot switch the carrier off");
            }
            device.detach();
            // A closed home means that nobody wants the device any more; it goes with the message.
            let _ = home.send(device);
        }
    }
}
