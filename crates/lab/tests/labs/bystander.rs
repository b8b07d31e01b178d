//! What a lab must not change: processes, mounts, names of namespaces, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// What is there apart from this process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Surroundings {
    mounts: String,
    interfaces: BTreeSet<PathBuf>,
    namespaces: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Surroundings {
    pub(crate) fn now() -> Self {
        Self {
            mounts: fs::read_to_string("/proc/self/mounts").unwrap(),
            interfaces: entries("/sys/class/net"),
            namespaces: entries("/run/netns"),
            files: ["/dev/shm", "/mnt", "/tmp", "/run"]
                .into_iter()
                .flat_map(entries)
                .filter(|path| path.to_string_lossy().contains("tapline"))
                .collect(),
        }
    }
}

fn entries(directory: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The other processes of this program, as their arguments.
pub(crate) fn processes() -> Vec<Vec<String>> {
    let own = fs::read_link("/proc/self/exe").unwrap();
    let others = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.ok()?.path();
        let pid = process.file_name()?.to_str()?.parse::<u32>().ok()?;
        let same = fs::read_link(process.join("exe")).ok()? == own && pid != std::process::id();
        let arguments = fs::read_to_string(process.join("cmdline")).ok()?;
        same.then(|| arguments.split_terminator('\0').map(str::to_owned).collect())
    });
    others.collect()
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}; there are {:?}", processes());
        thread::yield_now();
    }
}
