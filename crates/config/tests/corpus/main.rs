//! Replays the corpora of the fuzz targets.

mod yaml;

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
fn yaml_corpus() {
    replay("yaml", yaml::check);
}
