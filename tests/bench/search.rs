//! The search for the highest rate that a link carries.

/// Where a search stops, as the ratio between the least rate that failed and the highest that held.
const FINE_ENOUGH: f64 = 1.03;
/// How far the next trial goes while one of the two bounds is unknown.
const STRIDE: f64 = 1.5;

/// Bisection between a rate that held and one that did not, first of which neither is known.
#[derive(Debug)]
pub(crate) struct Search {
    next: f64,
    held: Option<f64>,
    failed: Option<f64>,
    trials_left: u32,
}

impl Search {
    /// `guess` is the first rate to be tried.
    pub(crate) fn new(guess: f64, trials: u32) -> Self {
        Self { next: guess, held: None, failed: None, trials_left: trials }
    }

    /// The rate to try now, `None` at the end of the search.
    pub(crate) fn next_rate(&self) -> Option<f64> {
        let is_fine = match (self.held, self.failed) {
            (Some(held), Some(failed)) => failed / held < FINE_ENOUGH,
            _ => false,
        };
        (self.trials_left > 0 && !is_fine).then_some(self.next)
    }

    /// The rate tried last held.
    pub(crate) fn held(&mut self) {
        self.held = Some(self.next);
        self.go_on();
    }

    /// The rate tried last failed.
    pub(crate) fn failed(&mut self) {
        self.failed = Some(self.next);
        self.go_on();
    }

    fn go_on(&mut self) {
        self.trials_left = self.trials_left.saturating_sub(1);
        self.next = match (self.held, self.failed) {
            (Some(held), Some(failed)) => (held * failed).sqrt(),
            (Some(held), None) => held * STRIDE,
            (None, Some(failed)) => failed / STRIDE,
            (None, None) => self.next,
        };
    }
}

#[cfg(test)]
mod tests;
