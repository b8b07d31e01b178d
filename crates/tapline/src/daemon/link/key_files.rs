//! The files that decide whether a log-in succeeds, to see when somebody has changed them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tapline_transport::client::{Options, Proxy};

/// What tells one state of the files from another, without reading them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyFiles(Vec<Option<Stamp>>);

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl KeyFiles {
    /// As they are now: keys, certificates and known hosts, those of jump hosts too.
    pub(super) fn of(options: &Options) -> Self {
        let mut stamps = Vec::new();
        collect(options, &mut stamps);
        Self(stamps)
    }
}

fn collect(options: &Options, stamps: &mut Vec<Option<Stamp>>) {
    let files = options.identity_files.iter().chain(&options.certificate_files);
    let known_hosts = options.user_known_hosts_files.iter().chain(&options.global_known_hosts_files);
    for file in files.chain(known_hosts) {
        stamps.push(stamp(file));
        let mut certificate = file.as_os_str().to_owned();
        certificate.push("-cert.pub");
        stamps.push(stamp(Path::new(&certificate)));
    }
    if let Proxy::Jump(hops) = &options.proxy {
        hops.iter().for_each(|hop| collect(hop, stamps));
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    let changed = (found.ctime(), found.ctime_nsec());
    Some(Stamp { inode: found.ino(), size: found.size(), changed })
}
