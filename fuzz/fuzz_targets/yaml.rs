#![no_main]

#[path = "../../crates/config/tests/corpus/yaml.rs"]
mod yaml;

libfuzzer_sys::fuzz_target!(|data: &[u8]| yaml::check(data));
