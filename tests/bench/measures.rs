//! What each measure does, and the figures it gives.

use std::time::Duration;

use serde_json::Value;

use crate::bulk::{Bulk, transfer};
use crate::datagrams::{LARGE, Pace, SMALL, trial};
use crate::delay::{Delay, ping};
use crate::pair::{End, Pair};
use crate::results::Figure;
use crate::search::Search;
use crate::statistics::jain;
use crate::usage::Meter;

/// Trials of the search for the rate without loss, and what "without loss" means.
const TRIALS: u32 = 8;
const TRIAL: Duration = Duration::from_secs(1);
const LOSS: f64 = 0.01;

/// Before anything is measured beside a transfer, it is to have found its rate.
const WARM_UP: Duration = Duration::from_secs(1);
const SLOW_WARM_UP: u32 = 4;
/// Seconds of pings over the slow underlay.
const SLOW: u32 = 10;

const GIB: f64 = 1_073_741_824.0;

/// Figures of one measure of one subject in one round.
pub(crate) type Figures = Vec<(Figure, f64)>;

/// A transfer with `words` as further arguments of iperf3, and what the tunnel's processes took for it; `name` is the
/// measure's.
pub(crate) fn throughput(pair: &Pair, name: &str, words: &str, seconds: u32) -> Figures {
    let meter = Meter::start(pair);
    let transfer = transfer(pair, seconds, words);
    let mut figures = vec![(Figure::more(name, "Gbit/s"), transfer.bits_per_second / 1e9)];
    if let Some(usage) = meter.map(|meter| meter.read()) {
        figures.extend([
            (Figure::less(&format!("{name} cpu"), "s/GiB"), usage.cpu / (transfer.bytes / GIB)),
            (Figure::less(&format!("{name} memory client"), "MiB"), usage.client_memory),
            (Figure::less(&format!("{name} memory server"), "MiB"), usage.server_memory),
        ]);
    }
    figures
}

/// Frames of 64 bytes.
pub(crate) fn small_frames(pair: &Pair) -> Figures {
    let saturated = trial(pair, SMALL, Pace::Saturating, TRIAL).received_rate;
    let lossless = lossless_rate(pair, saturated);
    vec![
        (Figure::more("udp64-lossless", "kframes/s"), lossless / 1e3),
        (Figure::more("udp64-saturated", "kframes/s"), saturated / 1e3),
    ]
}

/// Datagrams per second delivered at the highest rate that loses less than 1 %; 0 when none was found.
fn lossless_rate(pair: &Pair, guess: f64) -> f64 {
    let mut search = Search::new(guess, TRIALS);
    let mut best = 0.0_f64;
    while let Some(rate) = search.next_rate() {
        let trial = trial(pair, SMALL, Pace::Rate(rate), TRIAL);
        if trial.loss() < LOSS {
            best = best.max(trial.received_rate);
        }
        // A sender that falls short of the rate says nothing about that rate.
        if trial.loss() < LOSS && trial.sent_rate > rate * 0.98 {
            search.held();
        } else {
            search.failed();
        }
    }
    best
}

pub(crate) fn idle_delay(pair: &Pair) -> Figures {
    delay_figures("rtt", ping(pair, 200, 0.01))
}

pub(crate) fn loaded_delay(pair: &Pair) -> Figures {
    // Ended as soon as the pings are.
    let _bulk = Bulk::start(pair, 60, "");
    std::thread::sleep(WARM_UP);
    delay_figures("rtt-load", ping(pair, 200, 0.01))
}

/// Frames lost at half of what the link carries: of a TCP stream, and of UDP datagrams.
pub(crate) fn losses(pair: &Pair, seconds: u32) -> Figures {
    let half = transfer(pair, 2, "").bits_per_second / 2.0;
    let before = dropped(pair);
    transfer(pair, seconds, &format!("-b {half:.0}"));
    let tcp = dropped(pair) - before;

    let half = trial(pair, LARGE, Pace::Saturating, TRIAL).received_rate / 2.0;
    let before = dropped(pair);
    let trial = trial(pair, LARGE, Pace::Rate(half), Duration::from_secs(seconds.into()));
    let udp = dropped(pair) - before;
    vec![
        (Figure::less("lossless tcp drops", "frames"), tcp as f64),
        (Figure::less("lossless udp drops", "frames"), udp as f64),
        (Figure::less("lossless udp lost", "frames"), trial.lost() as f64),
        (Figure::more("lossless udp rate", "Gbit/s"), trial.received_rate * (LARGE * 8) as f64 / 1e9),
    ]
}

/// Over the slow underlay: round trips beside one transfer, what it gets, and how four share.
pub(crate) fn slow(pair: &Pair) -> Figures {
    let bulk = Bulk::start(pair, SLOW_WARM_UP + SLOW + 1, "");
    std::thread::sleep(Duration::from_secs(SLOW_WARM_UP.into()));
    let delay = ping(pair, SLOW * 50, 0.02);
    let goodput = bulk.finish().bits_per_second;
    let four = transfer(pair, SLOW, "-P 4");
    let mut figures = delay_figures("slow rtt", delay);
    figures.extend([
        (Figure::more("slow goodput", "Mbit/s"), goodput / 1e6),
        (Figure::more("slow jain of 4", ""), jain(&four.streams)),
    ]);
    figures
}

fn delay_figures(name: &str, Delay { median, p99 }: Delay) -> Figures {
    vec![
        (Figure::less(&format!("{name} median"), "ms"), median),
        (Figure::less(&format!("{name} p99"), "ms"), p99),
    ]
}

/// Frames that the kernel dropped at the two devices until now, in either direction.
fn dropped(pair: &Pair) -> u64 {
    pair.ends().map(device_drops).iter().sum()
}

fn device_drops(end: &End) -> u64 {
    let json = end.host.run(&format!("ip -j -s link show dev {}", end.device));
    let json: Value = serde_json::from_str(&json).unwrap();
    let stats = &json[0]["stats64"];
    ["rx", "tx"].iter().map(|direction| stats[direction]["dropped"].as_u64().unwrap()).sum()
}
