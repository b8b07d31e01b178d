//! Round trips, by ping.

use std::process::Command;

use crate::pair::Pair;
use crate::statistics::{median, quantile};

/// Round trips in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// Pings the server `count` times, every `interval` seconds. Lost ones are left out.
pub(crate) fn ping(pair: &Pair, count: u32, interval: f64) -> Delay {
    let mut command = Command::new("ping");
    command.args(["-n", "-W", "2", "-c", &count.to_string(), "-i", &interval.to_string()]);
    let output = pair.client.host.output(command.arg(pair.server.address));
    let said = String::from_utf8_lossy(&output.stdout);
    let times = times(&said);
    assert!(times.len() * 2 > count as usize, "more than half of {count} pings are lost: {said}");
    Delay { median: median(&times), p99: quantile(&times, 0.99) }
}

fn times(said: &str) -> Vec<f64> {
    let time = |line: &str| line.split_once("time=")?.1.split(' ').next()?.parse().ok();
    said.lines().filter_map(time).collect()
}

#[cfg(test)]
mod tests;
