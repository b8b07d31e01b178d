//! Whole labs. None needs a daemon of Tapline: this program is the daemon too, a stub that obeys its configuration.
//!
//! ```text
//! labs                      runs the tests, one at a time: some of them count processes
//! labs caller FILE          a program that runs a lab, for tests that kill it
//! labs run -c FILE ...      the stub
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bystander;
mod checks;
mod leftovers;
mod stub;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use tapline_lab::{Event, LabError, Outcome, Report, RunOptions, TextReport};

fn main() -> ExitCode {
    if let Some(code) = tapline_lab::entry() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["run", "-c", file, "--state-dir", state] => stub::run(Path::new(file), Path::new(state)),
        ["caller", file] => caller(Path::new(file)),
        words => tests(words),
    }
}

/// `words` are those of the command line.
fn tests(words: &[&str]) -> ExitCode {
    // libtest-mimic takes one name at most, where cargo's own harness takes any number.
    let names = if words.iter().any(|word| word.starts_with('-')) { &[] } else { words };
    let mut arguments = if names.is_empty() { Arguments::from_args() } else { Arguments::default() };
    arguments.test_threads = Some(1);
    if !arguments.list
        && let Err(reason) = run("{hosts: {a: {}}}")
    {
        // Continuous integration must not be green for want of a privilege.
        if std::env::var_os("CI").is_some() {
            eprintln!("no lab can be run: {reason}");
            return ExitCode::FAILURE;
        }
        eprintln!("SKIPPED, no lab can be run: {reason}");
        return ExitCode::SUCCESS;
    }
    let mut trials: Vec<_> = checks::trials().into_iter().chain(leftovers::trials()).collect();
    trials.retain(|trial| names.is_empty() || names.iter().any(|name| trial.name().contains(name)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn caller(file: &Path) -> ExitCode {
    match tapline_lab::run(file, &RunOptions::default(), &mut TextReport::new(std::io::stdout(), false)) {
        Ok(outcome) if outcome.passed() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn trial(name: &str, test: fn()) -> Trial {
    let work = move || -> Result<(), Failed> {
        test();
        Ok(())
    };
    Trial::test(name, work)
}

/// A lab file in a directory of its own.
struct LabFile {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl LabFile {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lab.yaml");
        std::fs::write(&path, text).unwrap();
        Self { _directory: directory, path }
    }
}

fn run(text: &str) -> Result<Outcome, LabError> {
    run_with(text, &RunOptions::default())
}

fn run_with(text: &str, options: &RunOptions) -> Result<Outcome, LabError> {
    tapline_lab::run(&LabFile::new(text).path, options, &mut Silent)
}

struct Silent;

impl Report for Silent {
    fn event(&mut self, _: &Event) {}
}
