use super::*;

fn passphrase(number: usize) -> Question {
    Question::Passphrase(format!("/keys/{number}").into())
}

#[test]
fn u8_secrets_are_kept_until_they_are_refused() {
    let secrets = Secrets::default();
    assert_eq!(secrets.get(&passphrase(1)), None);
    secrets.keep(passphrase(1), Zeroizing::new("swordfish".to_owned()));
    assert_eq!(secrets.get(&passphrase(1)).unwrap().as_str(), "swordfish");
    assert_eq!(secrets.get(&passphrase(2)), None);
    secrets.forget(&passphrase(1));
    assert_eq!(secrets.get(&passphrase(1)), None);
}

#[test]
fn u8_secrets_are_bounded_and_not_shown() {
    let secrets = Secrets::default();
    for number in 0..100 {
        secrets.keep(passphrase(number), Zeroizing::new("swordfish".to_owned()));
    }
    assert_eq!(format!("{secrets:?}"), "Secrets(64)");
    secrets.keep(passphrase(0), Zeroizing::new("other".to_owned()));
    assert_eq!(secrets.get(&passphrase(0)).unwrap().as_str(), "other");
}
