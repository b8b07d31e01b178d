//! What a `connect` that was killed has left behind: its directory with the record of what it had changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tapline_control::{Controller, Journal, JournalError};
use tracing::{info, warn};

use crate::cli::DEFAULT_STATE_DIR;

const PREFIX: &str = "connect-";

/// The directory of a `connect` that was told of none: one for each process, as several run at a time.
pub(crate) fn own_directory() -> PathBuf {
    Path::new(DEFAULT_STATE_DIR).join(format!("{PREFIX}{}", std::process::id()))
}

/// Takes back what `connect`s that are dead had changed in this network namespace, and removes their directories.
pub(super) async fn clean_up(own: &Path) {
    let Ok(entries) = fs::read_dir(DEFAULT_STATE_DIR) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let directory = entry.path();
        if !name.to_string_lossy().starts_with(PREFIX) || directory == own || !is_ours(&directory) {
            continue;
        }
        if let Err(error) = bury(&directory).await {
            warn!("what an earlier `tapline connect` has left in {}: {error}", directory.display());
        }
    }
}

/// Removes the directory of this process, in which nothing is left to be recorded.
pub(super) fn forget(state_dir: &Path) {
    if state_dir == own_directory() {
        let _ = fs::remove_dir_all(state_dir);
    }
}

async fn bury(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let file = directory.join("network.json");
    let journal = match Journal::open_here(&file) {
        Ok(Some(journal)) => journal,
        // It lives, or it is about another network namespace, where somebody else may find it.
        Ok(None) | Err(JournalError::Busy { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !journal.owned().is_empty() {
        let mut controller = Controller::new(journal)?;
        for change in controller.remove_all().await? {
            info!("network: {change}, left by a `tapline connect` that was killed");
        }
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// Root's own directory, or whoever's this process is.
fn is_ours(directory: &Path) -> bool {
    let found = fs::symlink_metadata(directory);
    found.is_ok_and(|found| found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw())
}
