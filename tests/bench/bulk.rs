//! TCP transfers, by iperf3.

use std::time::Duration;

use serde_json::Value;
use tapline_tests::Process;

use crate::pair::Pair;

/// How long iperf3 may take beyond its transfer, for what still waits in a slow link.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transfer that goes on. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Bulk {
    client: Process,
    _server: Process,
    duration: Duration,
}

/// What a transfer has carried, as its receiver saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transfer {
    pub(crate) bits_per_second: f64,
    pub(crate) bytes: f64,
    /// Each stream's bits per second.
    pub(crate) streams: Vec<f64>,
    pub(crate) retransmits: f64,
}

impl Bulk {
    /// From the client to the server; `words` are further arguments of iperf3, split at spaces.
    pub(crate) fn start(pair: &Pair, seconds: u32, words: &str) -> Self {
        let address = pair.server.address;
        let mut server = pair.server.host.start_line(&format!("iperf3 -s -1 --forceflush -B {address}"));
        server.wait_for("Server listening");
        let client = pair.client.host.start_line(&format!("iperf3 -J -c {address} -t {seconds} {words}"));
        Self { client, _server: server, duration: Duration::from_secs(seconds.into()) }
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Transfer {
        let status = self.client.ended_within(self.duration + PATIENCE);
        let said = self.client.log();
        assert!(status.success(), "iperf3 ({status}): {said}");
        Transfer::parse(&said).unwrap_or_else(|| panic!("iperf3 says what is not understood: {said}"))
    }
}

/// A transfer from its start to its end.
pub(crate) fn transfer(pair: &Pair, seconds: u32, words: &str) -> Transfer {
    Bulk::start(pair, seconds, words).finish()
}

impl Transfer {
    fn parse(report: &str) -> Option<Self> {
        let report: Value = serde_json::from_str(report).ok()?;
        let end = report.get("end")?;
        let received = end.get("sum_received")?;
        let streams = end.get("streams")?.as_array()?;
        Some(Self {
            bits_per_second: received.get("bits_per_second")?.as_f64()?,
            bytes: received.get("bytes")?.as_f64()?,
            streams: streams
                .iter()
                .filter_map(|stream| stream["receiver"]["bits_per_second"].as_f64())
                .collect(),
            retransmits: end.get("sum_sent")?.get("retransmits")?.as_f64()?,
        })
    }
}
