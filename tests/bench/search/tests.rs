use super::*;

/// The highest rate found for a link that holds up to `limit`, and the number of trials.
fn find(guess: f64, limit: f64, trials: u32) -> (f64, u32) {
    let mut search = Search::new(guess, trials);
    let (mut best, mut count) = (0.0_f64, 0);
    while let Some(rate) = search.next_rate() {
        count += 1;
        if rate <= limit {
            best = best.max(rate);
            search.held();
        } else {
            search.failed();
        }
    }
    (best, count)
}

#[test]
fn finds_the_limit_from_below_and_from_above() {
    for guess in [60.0, 90.0, 100.0, 140.0, 300.0] {
        let (found, trials) = find(guess, 100.0, 12);
        assert!((96.0..=100.0).contains(&found), "{found} after {trials} trials from {guess}");
    }
}

#[test]
fn ends_with_its_trials() {
    assert_eq!(find(1.0, f64::INFINITY, 8).1, 8);
    assert_eq!(find(1.0, 0.0, 8), (0.0, 8));
}
