// For the tests of the crates whose inputs are fuzzed: the committed corpus, without a fuzzer.

use std::fs;
use std::path::Path;

/// Gives each input of a fuzz target to `check`, which panics where the target would.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8])) {
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
