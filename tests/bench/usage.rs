//! What the processes of a tunnel take: processor time and memory, from `/proc`.

use std::fs;

use crate::pair::Pair;

/// `USER_HZ`, in which Linux counts processor time for programs on every architecture Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;
/// Written to `clear_refs`: the peak of resident memory starts anew (proc(5)).
const RESET_PEAK: &str = "5";

/// Counts from its making on.
#[derive(Debug)]
pub(crate) struct Meter {
    client: Vec<u32>,
    server: Vec<u32>,
    ticks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    /// User and system time of all processes of both ends, in seconds.
    pub(crate) cpu: f64,
    /// Peak resident memory of the largest process of each end, in MiB.
    pub(crate) client_memory: f64,
    pub(crate) server_memory: f64,
}

impl Meter {
    /// `None` for a pair without processes.
    pub(crate) fn start(pair: &Pair) -> Option<Self> {
        let [client, server] = pair.ends().map(|end| end.process().map(family));
        let (client, server) = (client?, server?);
        for pid in client.iter().chain(&server) {
            // As a user who may not, the peak is that of the whole life.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), RESET_PEAK);
        }
        let ticks = ticks(&client) + ticks(&server);
        Some(Self { client, server, ticks })
    }

    pub(crate) fn read(&self) -> Usage {
        let ticks = ticks(&self.client) + ticks(&self.server) - self.ticks;
        Usage {
            cpu: ticks as f64 / TICKS_PER_SECOND,
            client_memory: peak(&self.client),
            server_memory: peak(&self.server),
        }
    }
}

/// A process and what descends from it.
fn family(ancestor: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let all: Vec<(u32, Stat)> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| pid));
        next += 1;
    }
    family
}

fn ticks(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.ticks).sum()
}

fn peak(pids: &[u32]) -> f64 {
    let peaks = pids.iter().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse::<u32>().ok()
    });
    f64::from(peaks.max().unwrap_or_default()) / 1024.0
}

fn stat(pid: u32) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time.
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The second field is a name in brackets that may hold brackets and spaces.
        let (_, fields) = line.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        // Fields 4, 14 and 15 of proc(5); the third comes first here.
        let parent = fields.nth(1)?.parse().ok()?;
        let user: u64 = fields.nth(9)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self { parent, ticks: user + system })
    }
}

#[cfg(test)]
mod tests;
