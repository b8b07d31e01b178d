//! Replays the corpus of the fuzz targets.

mod net_header;
mod records;
mod tunnel_payload;

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&corpus).map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut files: Vec<_> = entries.map(Iterator::collect).unwrap_or_default();
    files.sort();
    assert!(files.len() >= 5, "{} holds the committed corpus", corpus.display());
    for file in files {
        println!("{}", file.display());
        let data = fs::read(&file);
        assert!(data.is_ok(), "{data:?}");
        check(&data.unwrap_or_default());
    }
}

#[test]
fn records_corpus() {
    replay("records", records::check);
}

#[test]
fn tunnel_payload_corpus() {
    replay("tunnel_payload", tunnel_payload::check);
}

#[test]
fn net_header_corpus() {
    replay("net_header", net_header::check);
}
