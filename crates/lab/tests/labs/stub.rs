//! Stands in for `tapline run`. The names of links in its configuration say what it does.

use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use tapline_config::Config;

pub(crate) fn run(file: &Path, state: &Path) -> ExitCode {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    term.thread_block().unwrap();
    let config = Config::load(file).unwrap();
    assert!(state.is_dir());
    assert!(std::env::var_os("SSH_AUTH_SOCK").is_none());
    eprintln!("INFO stub of {} links", config.links.len());
    if config.links.contains_key("die") {
        eprintln!("ERROR the stub was told to die");
        return ExitCode::FAILURE;
    }
    term.wait().unwrap();
    if config.links.contains_key("fail") { ExitCode::from(3) } else { ExitCode::SUCCESS }
}
