use proptest::prelude::*;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{PrivateKey, PublicKey};

use super::*;

fn public(seed: u8) -> PublicKey {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "").unwrap().public_key().clone()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn answer(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut answer = vec![IDENTITIES_ANSWER];
    answer.extend(u32::try_from(keys.len()).unwrap().to_be_bytes());
    for (blob, comment) in keys {
        answer.extend([text(blob), text(comment)].concat());
    }
    answer
}

#[test]
fn s8_one_odd_key_of_an_agent_leaves_the_others() {
    let good = public(1).to_bytes().unwrap();
    let future = [text(b"ssh-future@example.org"), text(b"whatever")].concat();
    let certificate = [text(b"ssh-future-cert-v01@openssh.com"), text(b"whatever")].concat();
    let truncated = &good[..good.len() - 3];
    let dsa = [text(b"ssh-dss"), text(&[1]), text(&[1]), text(&[1]), text(&[1])].concat();
    for (odd, why) in [
        (&future[..], "ssh-future@example.org is not known here"),
        (&certificate, "ssh-future-cert-v01@openssh.com is not known here"),
        (truncated, "ssh-ed25519 is not known here"),
        (&dsa, "ssh-dss is not known here"),
        (b"", "it is damaged"),
        (b"\xff\xff\xff\xff", "it is damaged"),
        (&text(b"ssh-ed25519\x1b[2J"), "ssh-ed25519[2J is not known here"),
    ] {
        let held = read_answer(&answer(&[(odd, b"odd"), (&good, b"good")])).unwrap();
        assert_eq!(held.skipped, [format!("agent key odd ({why})")]);
        let comments: Vec<_> = held.identities.iter().map(AgentIdentity::comment).collect();
        assert_eq!(comments, ["good"]);
    }
}

#[test]
fn s8_a_comment_is_bytes() {
    let good = public(1).to_bytes().unwrap();
    for (comment, shown) in [
        (&b"M\xfcller"[..], "M\u{fffd}ller"),
        (b"a\nb", "ab"),
        (b"", ""),
        (b"\xff\xfe\0", "\u{fffd}\u{fffd}"),
        ("ü".as_bytes(), "ü"),
    ] {
        let held = read_answer(&answer(&[(&good, comment)])).unwrap();
        assert_eq!(held.identities[0].comment(), shown);
    }
}

#[test]
fn answers_that_are_none() {
    let good = public(1).to_bytes().unwrap();
    assert!(read_answer(&answer(&[])).unwrap().identities.is_empty());
    assert!(matches!(read_answer(&[5]), Err(AgentError::Refused)));
    assert!(matches!(read_answer(&[]), Err(AgentError::Damaged)));
    assert!(matches!(read_answer(&[IDENTITIES_ANSWER, 0, 0]), Err(AgentError::Damaged)));
    assert!(matches!(read_answer(&[IDENTITIES_ANSWER, 255, 255, 255, 255]), Err(AgentError::Damaged)));
    let whole = answer(&[(&good, b"x")]);
    assert!(matches!(read_answer(&whole[..whole.len() - 1]), Err(AgentError::Damaged)));
}

proptest! {
    #[test]
    fn nothing_an_agent_says_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_answer(&[&[IDENTITIES_ANSWER, 0, 0, 0, 3], &bytes[..]].concat());
    }
}
