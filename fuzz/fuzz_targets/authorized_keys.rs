#![no_main]

use std::{net::IpAddr, path::Path};

use libfuzzer_sys::fuzz_target;
use tapline_transport::trust::{
    Offered,
    authorized_keys::{AuthorizedKeys, Decision, Request},
};

fuzz_target!(|bytes: &[u8]| {
    let mut keys = AuthorizedKeys::new();
    keys.add(Path::new("authorized_keys"), &String::from_utf8_lossy(bytes));
    for entry in keys.entries() {
        let request = Request {
            offered: Offered::Key(&entry.key),
            user: "root",
            is_named: true,
            peer: IpAddr::from([192, 0, 2, 1]),
            now: 1_782_864_000,
        };
        if let Decision::Granted(grant) = keys.authorize(&request) {
            assert_eq!(grant.key, entry.key);
        }
    }
});
