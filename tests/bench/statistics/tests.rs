use super::*;

#[test]
fn median_of_odd_and_even_numbers_of_values() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}

#[test]
fn quantile_is_a_value_that_was_seen() {
    let values: Vec<f64> = (1..=200).map(f64::from).collect();
    assert_eq!(quantile(&values, 0.99), 198.0);
    assert_eq!(quantile(&values, 1.0), 200.0);
    assert_eq!(quantile(&[7.0], 0.0), 7.0);
    assert!(quantile(&[], 0.5).is_nan());
}

#[test]
fn least_and_greatest() {
    assert_eq!((least(&[2.0, 1.0]), greatest(&[2.0, 1.0])), (1.0, 2.0));
}

#[test]
fn jain_of_equals_and_of_one_who_has_all() {
    assert_eq!(jain(&[5.0; 4]), 1.0);
    assert_eq!(jain(&[8.0, 0.0, 0.0, 0.0]), 0.25);
}
