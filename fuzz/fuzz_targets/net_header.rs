#![no_main]

#[path = "../../crates/frame/tests/corpus/net_header.rs"]
mod net_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| net_header::check(data));
