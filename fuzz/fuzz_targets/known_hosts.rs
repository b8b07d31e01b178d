#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ssh_key::PublicKey;
use tapline_transport::trust::{
    Offered,
    known_hosts::{Host, KnownHosts},
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILZqEw7BZPPFMXrLNVLgfYh8nYkXLVnSDBMnMeLYNPL";

fuzz_target!(|bytes: &[u8]| {
    let mut known = KnownHosts::new();
    known.add(Path::new("known_hosts"), &String::from_utf8_lossy(bytes));
    let host = Host { name: "berlin.example.org", port: 2222, alias: None };
    if let Ok(key) = PublicKey::from_openssh(KEY) {
        known.check(&host, Offered::from(&key), 1_782_864_000);
    }
    known.known_algorithms(&host);
});
