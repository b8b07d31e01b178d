//! Replays the corpora of the fuzz targets.

#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod yaml;

use replay::replay;

#[test]
fn yaml_corpus() {
    replay("yaml", yaml::check);
}
