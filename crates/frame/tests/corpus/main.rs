//! Replays the corpus of the fuzz targets.

mod net_header;
mod records;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod tunnel_payload;

use replay::replay;

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
