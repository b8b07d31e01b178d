//! What the system lets this process have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::debug;

/// As many open files as the process may give itself: each session of the server needs some.
pub(super) fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        debug!(%error, "cannot raise the limit of open files");
    }
}
