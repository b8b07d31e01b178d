use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Whether someone has asked the run to end. It then ends after the current measure, with all guards run and with a
/// table of what has been measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes SIGINT, SIGTERM and SIGHUP from now on. Programs started later have them as usual.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        let mut hup = signal(SignalKind::hangup())?;
        drop(guard);
        let seen = interrupt.clone();
        thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = int.recv() => (),
                    _ = term.recv() => (),
                    _ = hup.recv() => (),
                }
            });
            eprintln!("interrupted; ending after this measure");
            seen.0.store(true, Ordering::Relaxed);
        });
        Ok(interrupt)
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
