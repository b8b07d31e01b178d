#![no_main]

#[path = "../../crates/frame/tests/corpus/records.rs"]
mod records;

libfuzzer_sys::fuzz_target!(|data: &[u8]| records::check(data));
