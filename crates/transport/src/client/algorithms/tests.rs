use super::*;

fn with(algorithms: Algorithms) -> Preferred {
    let options = Options { algorithms, ..Options::new("berlin.example.org", "root") };
    config(&options, KEYS.to_vec(), true).preferred
}

fn list(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|&name| name.to_owned()).collect())
}

#[test]
fn s2_nothing_chosen_is_the_defaults() {
    let preferred = with(Algorithms::default());
    assert_eq!(preferred.cipher.as_ref(), algorithms::ciphers());
    assert_eq!(preferred.mac.as_ref(), algorithms::MACS);
    assert_eq!(preferred.key.as_ref(), KEYS);
    assert_eq!(preferred.host_key_certificates.as_ref(), KEYS);
    assert_eq!(preferred.kex.as_ref(), [KEY_EXCHANGES, EXTENSIONS].concat());
}

#[test]
fn s2_a_choice_is_all_that_is_offered() {
    let preferred = with(Algorithms {
        key_exchange: list(&["diffie-hellman-group14-sha256", "curve25519-sha256"]),
        cipher: list(&["aes128-ctr"]),
        mac: list(&["hmac-sha2-256"]),
        host_key: Some(HostKeyAlgorithms {
            names: list(&["rsa-sha2-256", "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"]).unwrap(),
            ordered: true,
        }),
        ..Algorithms::default()
    });
    assert_eq!(preferred.cipher.as_ref(), [cipher::AES_128_CTR]);
    assert_eq!(preferred.mac.as_ref(), [mac::HMAC_SHA256]);
    assert_eq!(preferred.kex.as_ref(), [&[kex::DH_G14_SHA256, kex::CURVE25519], EXTENSIONS].concat());
    let names: Vec<String> = preferred.key.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["rsa-sha2-256", "ssh-ed25519"]);
    assert_eq!(preferred.host_key_certificates.as_ref(), [Algorithm::Ed25519]);
}

#[test]
fn s2_kinds_of_host_keys_without_an_order_stay_as_they_are_known() {
    let names = list(&["ssh-ed25519", "rsa-sha2-512"]).unwrap();
    let known_first = vec![KEYS[4].clone(), Algorithm::Ed25519];
    let chosen = HostKeyAlgorithms { names, ordered: false };
    let (keys, certificates) = chosen_host_keys(Some(&chosen), known_first.clone(), true);
    assert_eq!(keys, known_first);
    assert_eq!(certificates, []);
}

/// A name that nothing stands behind would be offered to nobody's use.
#[test]
fn s2_every_known_name_can_be_negotiated() {
    for name in AlgorithmKind::Cipher.known() {
        assert!(cipher::Name::try_from(name.as_str()).is_ok(), "{name}");
    }
    for name in AlgorithmKind::Mac.known() {
        assert!(mac::Name::try_from(name.as_str()).is_ok(), "{name}");
    }
    for name in AlgorithmKind::KeyExchange.known() {
        assert!(kex::Name::try_from(name.as_str()).is_ok(), "{name}");
    }
    let keys = AlgorithmKind::PublicKey.known();
    for name in AlgorithmKind::HostKey.known() {
        assert!(keys.contains(&name), "{name}");
    }
    for name in ["ssh-rsa", "ssh-dss", "aes128-cbc", "3des-cbc", "hmac-sha1", "diffie-hellman-group14-sha1"] {
        for kind in
            [AlgorithmKind::PublicKey, AlgorithmKind::Cipher, AlgorithmKind::Mac, AlgorithmKind::KeyExchange]
        {
            assert!(!kind.known().iter().any(|known| known == name), "{name}");
        }
    }
}
