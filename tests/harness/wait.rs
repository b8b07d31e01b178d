use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(45);

const POLL: Duration = Duration::from_millis(20);

/// Waits until `condition` holds, for [`PATIENCE`] at most; `what` says in a failure what did not come.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    wait_until(what, PATIENCE, condition);
}

/// Waits until `condition` holds.
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < deadline, "still not after {timeout:?}: {what}");
        thread::sleep(POLL);
    }
}
