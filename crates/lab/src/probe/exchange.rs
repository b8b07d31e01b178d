//! Sends echo requests and hands on the answers.

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tapline_config::ZonedAddr;

use super::echo::Echo;
use super::rounds::{Pace, Rounds, Step};
use super::socket::EchoSocket;
use super::{Limits, ProbeError};

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) source: IpAddr,
    pub(crate) sequence: u16,
    pub(crate) round_trip: Duration,
}

/// How an exchange that nobody broke off ended.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// The last thing that went wrong on the way.
    pub(crate) last: Option<io::Error>,
}

/// Sends requests to `target` from the calling thread's network namespace until `answered` breaks off (`Ok(None)`)
/// or the time is over.
pub(crate) fn exchange(
    target: &ZonedAddr,
    limits: &Limits<'_>,
    pace: Pace,
    mut answered: impl FnMut(Answer) -> ControlFlow<()>,
) -> Result<Option<Unfinished>, ProbeError> {
    let identifier =
        getrandom::u32().map_err(|error| ProbeError::Socket(io::Error::other(error)))?.to_be_bytes();
    let identifier = u16::from_be_bytes([identifier[0], identifier[1]]);
    let mut rounds = Rounds::new(Instant::now(), limits.deadline, pace);
    let mut socket: Option<EchoSocket> = None;
    let mut last = None;
    loop {
        match rounds.step(Instant::now()) {
            Step::Over => return Ok(Some(Unfinished { last })),
            Step::Send(sequence) => {
                if let Some(reason) = (limits.futile)() {
                    return Err(ProbeError::Futile(reason));
                }
                let open = || EchoSocket::open(target);
                let sent = socket.take().map_or_else(open, Ok).and_then(|open| {
                    open.send(Echo { identifier, sequence })?;
                    Ok(open)
                });
                // A socket whose interface was replaced works no more, so the next round opens another.
                match sent {
                    Ok(open) => socket = Some(open),
                    Err(error) => last = Some(error),
                }
            }
            Step::Wait(wait) => {
                let Some(open) = &socket else {
                    std::thread::sleep(wait);
                    continue;
                };
                match open.receive(wait) {
                    Ok(Some((source, echo))) if echo.identifier == identifier => {
                        let now = Instant::now();
                        let Some(round_trip) = rounds.round_trip(now, echo.sequence) else { continue };
                        if answered(Answer { source, sequence: echo.sequence, round_trip }).is_break() {
                            return Ok(None);
                        }
                        rounds.answered(now, echo.sequence);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        last = Some(error);
                        socket = None;
                    }
                }
            }
        }
    }
}
