use russh_channels::keys::key::safe_rng;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, Certificate, EcdsaCurve, PrivateKey};

use super::*;

fn rsa(bits: usize) -> PrivateKey {
    let pair = RsaKeypair::random(&mut safe_rng(), bits).unwrap();
    PrivateKey::new(KeypairData::Rsa(pair), "").unwrap()
}

fn random(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), algorithm).unwrap()
}

fn certificate(of: &PrivateKey, by: &PrivateKey) -> Certificate {
    let mut builder = Builder::new(vec![0; 16], of.public_key(), 0, u64::MAX - 1).unwrap();
    builder.cert_type(CertType::Host).unwrap().all_principals_valid().unwrap();
    builder.sign(by).unwrap()
}

#[test]
fn t10_a_short_rsa_key_is_refused_wherever_it_stands() {
    let (short, long, ed25519) = (rsa(1024), rsa(2048), random(Algorithm::Ed25519));
    let p256 = random(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
    let own = |bits, least| Err(WeakKey::Own { bits, least });
    for (key, least, expected) in [
        (&short, 2048, own(1024, 2048)),
        (&short, 1025, own(1024, 1025)),
        (&short, 1024, Ok(())),
        (&long, 2048, Ok(())),
        (&long, 3072, own(2048, 3072)),
        (&ed25519, 16_384, Ok(())),
        (&p256, 16_384, Ok(())),
    ] {
        assert_eq!(check(Offered::from(key.public_key()), least), expected, "{least}");
    }
    let authority = Err(WeakKey::Authority { bits: 1024, least: 2048 });
    for (of, by, expected) in [
        (&ed25519, &short, authority.clone()),
        (&long, &short, authority),
        (&short, &long, own(1024, 2048)),
        (&long, &long, Ok(())),
        (&ed25519, &p256, Ok(())),
    ] {
        assert_eq!(check(Offered::from(&certificate(of, by)), 2048), expected);
    }
}
