#![no_main]

#[path = "../../crates/frame/tests/corpus/tunnel_payload.rs"]
mod tunnel_payload;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tunnel_payload::check(data));
