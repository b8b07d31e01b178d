use super::receiver::Seen;
use super::*;

#[test]
fn a_datagram_says_its_trial_and_number() {
    let mut bytes = Vec::new();
    Datagram { trial: 7, payload: SMALL }.write(1 << 40, &mut bytes);
    assert_eq!(bytes.len(), SMALL);
    assert_eq!(Datagram::read(7, &bytes), Some(1 << 40));
    assert_eq!(Datagram::read(8, &bytes), None, "of another trial");
    assert_eq!(Datagram::read(7, &bytes[..11]), None, "too short");
}

#[test]
fn a_number_is_new_once() {
    let mut seen = Seen::default();
    for sequence in [0, 63, 64, 1000] {
        assert!(seen.is_new(sequence));
        assert!(!seen.is_new(sequence));
    }
}

#[test]
fn loss_is_the_share_of_what_was_sent() {
    let trial = Trial { sent: 1000, received: 990, sent_rate: 1000.0, received_rate: 990.0 };
    assert_eq!((trial.lost(), trial.loss()), (10, 0.01));
}
