use std::env;
use std::path::Path;

/// Whether a test can run here: as root, with these programs. Where `CI` is set a test that cannot run has failed;
/// elsewhere it says so and returns.
///
/// `ip` and `ping` are always needed.
pub fn are_met(programs: &[&str]) -> bool {
    let missing: Vec<_> = ["ip", "ping"].iter().chain(programs).filter(|name| !is_installed(name)).collect();
    let reason = if !nix::unistd::geteuid().is_root() {
        "needs root for network namespaces".to_owned()
    } else if !Path::new("/dev/net/tun").exists() {
        "needs /dev/net/tun; load the kernel module tun".to_owned()
    } else if !missing.is_empty() {
        format!("needs {missing:?}; tests/run.sh installs them")
    } else {
        return true;
    };
    assert!(env::var_os("CI").is_none(), "{reason}");
    // Past the capture of the test runner, so that nobody takes this for a test that passed.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    false
}

fn is_installed(program: &str) -> bool {
    search_path().split(':').any(|directory| Path::new(directory).join(program).exists())
}

/// `PATH` with the directories of root's programs, which the PATH of others lacks on Debian.
pub(crate) fn search_path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default())
}
