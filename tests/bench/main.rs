//! The data path's benchmark: how fast, how cheap, how late and how fair frames cross a link.
//!
//! ```text
//!   client                                             server
//!   tap0 10.77.0.2  =========== the tunnel =========  tap0 10.77.0.1
//!   eth0 192.0.2.2  -------------- veth ------------  eth0 192.0.2.1
//! ```
//!
//! `README.md` beside this file says how to read the figures. Whatever cannot go on panics: within a measure that costs
//! the measure, before the first one it ends the run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bulk;
mod congestion;
mod datagrams;
mod delay;
mod interrupt;
mod measures;
mod options;
mod pair;
mod results;
mod search;
mod start;
mod statistics;
mod table;
mod usage;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use serde_json::{Value, json};

use congestion::Congestion;
use interrupt::Interrupt;
use measures::Figures;
use options::{Measure, Options, Subject};
use pair::{Pair, Underlay, Workshop};
use results::Results;
use start::Starting;

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    if !tapline_tests::are_met(&["sshd", "ssh", "ssh-keygen", "iperf3", "tc"]) {
        return ExitCode::from(FAILED);
    }
    let congestion = match Congestion::new(&options.congestion) {
        Ok(congestion) => congestion,
        Err(error) => {
            eprintln!("{error}; `sysctl net.ipv4.tcp_available_congestion_control` lists what there is");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match run(&options, congestion) {
        Ok(results) if results.failures().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(options: &Options, congestion: Congestion) -> io::Result<Results> {
    let interrupt = Interrupt::listen()?;
    let bench = Bench::new(options, congestion);
    let mut results = Results::default();
    'rounds: for round in 1..=options.rounds {
        for measure in options.measures() {
            for subject in options.subjects().into_iter().filter(|subject| measure.suits(*subject)) {
                if interrupt.is_raised() {
                    results.add_failure(format!("round {round}: interrupted before {measure} {subject}"));
                    break 'rounds;
                }
                bench.measure(round, measure, subject, &mut results);
            }
        }
    }
    drop(bench);
    print!("{}", table::render(&results));
    let json = options.json()?;
    fs::write(&json, format!("{:#}\n", report(options, &results)))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", json.display())))?;
    eprintln!("\nevery round is in {}", json.display());
    Ok(results)
}

/// Everything that stands while measures are taken.
struct Bench<'a> {
    options: &'a Options,
    workshop: Workshop,
    free: Vec<Pair>,
    slow: Vec<Pair>,
    starting: Vec<Starting>,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options, congestion: Congestion) -> Self {
        let workshop = Workshop::new(congestion);
        let measures = options.measures();
        // The subjects of which one of these measures is taken.
        let subjects = |is_meant: fn(&Measure) -> bool| -> Vec<Subject> {
            let meant: Vec<_> = measures.iter().filter(|measure| is_meant(measure)).collect();
            let of_interest = |subject: &Subject| meant.iter().any(|measure| measure.suits(*subject));
            options.subjects().into_iter().filter(of_interest).collect()
        };
        let pairs = |subjects: Vec<Subject>, underlay: Underlay| -> Vec<Pair> {
            subjects.into_iter().map(|subject| workshop.pair(subject, underlay)).collect()
        };
        eprintln!("setting up");
        let free = subjects(|measure| !matches!(measure, Measure::Slow | Measure::Start));
        let free = pairs(free, Underlay::Free);
        let slow = pairs(subjects(|measure| *measure == Measure::Slow), Underlay::Slow);
        let starting = subjects(|measure| *measure == Measure::Start);
        let starting = starting.into_iter().map(|subject| Starting::new(&workshop, subject)).collect();
        Self { options, workshop, free, slow, starting }
    }

    /// Takes one measure of one subject. A failure is noted, and the run goes on.
    fn measure(&self, round: u32, measure: Measure, subject: Subject, results: &mut Results) {
        let what = format!("round {round}/{} {measure} {subject}", self.options.rounds);
        // Guards end what a measure has started, so that nothing of it is left to the next.
        match catch_unwind(AssertUnwindSafe(|| self.figures(measure, subject))) {
            Ok(figures) => {
                let said: Vec<_> =
                    figures.iter().map(|(figure, value)| format!("{} {value:.3}", figure.name)).collect();
                eprintln!("{what}: {}", said.join(", "));
                for (figure, value) in figures {
                    results.add(subject, figure, value);
                }
            }
            Err(_) => results.add_failure(what),
        }
    }

    fn figures(&self, measure: Measure, subject: Subject) -> Figures {
        let seconds = self.options.seconds;
        let free = || find(&self.free, subject);
        match measure {
            Measure::Tcp => measures::throughput(free(), "tcp", "", seconds),
            Measure::TcpReverse => measures::throughput(free(), "tcp-reverse", "-R", seconds),
            Measure::Tcp4 => measures::throughput(free(), "tcp4", "-P 4", seconds),
            Measure::Udp64 => measures::small_frames(free()),
            Measure::Rtt => measures::idle_delay(free()),
            Measure::RttLoad => measures::loaded_delay(free()),
            Measure::Lossless => measures::losses(free(), seconds),
            Measure::Slow => measures::slow(find(&self.slow, subject)),
            Measure::Start => {
                let starting = self.starting.iter().find(|starting| starting.subject == subject);
                starting.expect("set up for this measure").measure(&self.workshop)
            }
        }
    }
}

fn find(pairs: &[Pair], subject: Subject) -> &Pair {
    pairs.iter().find(|pair| pair.subject == subject).expect("set up for this measure")
}

fn report(options: &Options, results: &Results) -> Value {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = thread::available_parallelism().map_or(0, usize::from);
    json!({
        "machine": { "kernel": kernel.trim(), "processors": processors },
        "congestion": options.congestion,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "results": results.to_json(),
    })
}
