use std::path::Path;

use ssh_key::{Certificate, certificate::CertType, public::KeyData};

use super::{Krl, KrlError, RevokedKeys, RevokedKeysError, RevokedPart, blob};
use crate::trust::{
    Offered,
    fixtures::{self, USER_OK, certificate, key, sign, text, token_key},
};

/// A key revocation list in the making.
struct Builder(Vec<u8>);

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut whole = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    whole.extend(bytes);
    whole
}

fn section(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = vec![kind];
    whole.extend(string(body));
    whole
}

impl Builder {
    fn new() -> Self {
        let mut bytes = b"SSHKRL\n\0\0\0\0\x01".to_vec();
        bytes.extend([0; 24]);
        bytes.extend(string(b""));
        bytes.extend(string(b"a comment"));
        Self(bytes)
    }

    fn with(mut self, kind: u8, body: &[u8]) -> Self {
        self.0.extend(section(kind, body));
        self
    }

    /// Of the authority with key 9, or of every one.
    fn certificates(self, authority: Option<&KeyData>, kind: u8, body: &[u8]) -> Self {
        let mut whole = string(&authority.map(|key| blob(key).unwrap()).unwrap_or_default());
        whole.extend(string(b""));
        whole.extend(section(kind, body));
        self.with(1, &whole)
    }

    fn parse(&self) -> Result<RevokedKeys, RevokedKeysError> {
        RevokedKeys::parse(Path::new("revoked"), &self.0)
    }

    fn problem(&self) -> KrlError {
        match self.parse() {
            Err(RevokedKeysError::Krl { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    fn finds<'a>(&self, offered: impl Into<Offered<'a>>) -> Option<RevokedPart> {
        self.parse().unwrap().check(offered.into()).err().map(|revoked| revoked.what)
    }
}

/// A certificate of key 1 with this number, signed by key 9.
fn numbered(serial: u64) -> Certificate {
    sign(CertType::User, &["root"], |builder| {
        builder.serial(serial).unwrap();
    })
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn bitmap(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut body = offset.to_be_bytes().to_vec();
    body.extend(string(bytes));
    body
}

#[test]
fn t15_keys_are_revoked_by_themselves_and_by_fingerprints() {
    use sha1::{Digest, Sha1};
    use ssh_key::sha2::Sha256;
    let revoked = blob(&key(1)).unwrap();
    let lists = [
        Builder::new().with(2, &string(&revoked)),
        Builder::new().with(3, &string(&Sha1::digest(&revoked))),
        Builder::new().with(5, &string(&Sha256::digest(&revoked))),
        Builder(text(1).into_bytes()),
        Builder(format!("# revoked\n\n \t{} leipzig\r\n{}\n", text(8), text(1)).into_bytes()),
    ];
    for list in lists {
        assert_eq!(list.finds(&key(1)), Some(RevokedPart::Key));
        assert_eq!(list.finds(&numbered(1)), Some(RevokedPart::Key));
        assert_eq!(list.finds(&key(2)), None);
        assert_eq!(list.finds(&token_key(1)), None, "another key with the same point");
    }
}

#[test]
fn t15_a_revoked_authority_takes_its_certificates_with_it() {
    for list in [Builder::new().with(2, &string(&blob(&key(9)).unwrap())), Builder(text(9).into_bytes())] {
        assert_eq!(list.finds(&numbered(0)), Some(RevokedPart::Authority));
        assert_eq!(list.finds(&key(1)), None);
    }
    // A line with a certificate is about its key.
    let list = Builder(format!("{}\n", USER_OK.trim()).into_bytes());
    assert_eq!(list.finds(&certificate(USER_OK)), Some(RevokedPart::Key));
    assert_eq!(list.finds(certificate(USER_OK).public_key()), Some(RevokedPart::Key));
}

#[test]
fn t15_certificates_are_revoked_by_serial_number() {
    let authority = key(9);
    for authority in [None, Some(&authority)] {
        let list = Builder::new().certificates(authority, 0x20, &numbers(&[5, 7]));
        let range = Builder::new().certificates(authority, 0x21, &numbers(&[5, 7]));
        let map = Builder::new().certificates(authority, 0x22, &bitmap(3, &[0, 0b1_0100, 0b0000_0100]));
        for (list, revoked, good) in [
            (list, &[5, 7][..], &[4, 6, 8][..]),
            (range, &[5, 6, 7], &[4, 8]),
            (map, &[5, 13, 15], &[3, 4, 6, 14]),
        ] {
            for serial in revoked {
                assert_eq!(list.finds(&numbered(*serial)), Some(RevokedPart::Serial), "{serial}");
            }
            for serial in good.iter().chain(&[0, u64::MAX]) {
                assert_eq!(list.finds(&numbered(*serial)), None, "{serial}");
            }
            assert_eq!(list.finds(&key(1)), None, "the key without its certificate");
        }
    }
    let other = Builder::new().certificates(Some(&key(8)), 0x20, &numbers(&[5]));
    assert_eq!(other.finds(&numbered(5)), None, "another authority's");
    // The last numbers, where sums overflow.
    let last = Builder::new().certificates(None, 0x21, &numbers(&[u64::MAX - 1, u64::MAX]));
    assert_eq!(last.finds(&numbered(u64::MAX)), Some(RevokedPart::Serial));
    let last = Builder::new().certificates(None, 0x22, &bitmap(u64::MAX - 1, &[0b11]));
    assert_eq!(last.finds(&numbered(u64::MAX)), Some(RevokedPart::Serial));
}

#[test]
fn t15_certificates_are_revoked_by_identity() {
    let list =
        Builder::new().certificates(Some(&key(9)), 0x23, &[string(b"other"), string(b"test")].concat());
    assert_eq!(list.finds(&numbered(0)), Some(RevokedPart::KeyId));
    let list = Builder::new().certificates(Some(&key(9)), 0x23, &string(b"tes"));
    assert_eq!(list.finds(&numbered(0)), None);
}

#[test]
fn t15_ranges_that_overlap_are_all_there() {
    let ranges = [(10, 20), (30, 40), (15, 35), (50, 60), (5, 5), (1, 100), (200, 200)];
    let mut revoked = Krl::default();
    assert!(!revoked.has_serial(b"", 10));
    for (first, last) in ranges {
        let list = Builder::new().certificates(None, 0x21, &numbers(&[first, last]));
        revoked = Krl::parse(&list.0).unwrap();
        assert!(revoked.has_serial(b"any", first) && revoked.has_serial(b"any", last));
        assert!(!revoked.has_serial(b"any", first - 1) && !revoked.has_serial(b"any", last + 1));
    }
    let all: Vec<u8> =
        ranges.iter().flat_map(|(first, last)| section(0x21, &numbers(&[*first, *last]))).collect();
    let mut body = [string(b""), string(b"")].concat();
    body.extend(all);
    let krl = Krl::parse(&Builder::new().with(1, &body).0).unwrap();
    for serial in 0..300 {
        let inside = ranges.iter().any(|(first, last)| (*first..=*last).contains(&serial));
        assert_eq!(krl.has_serial(b"any", serial), inside, "{serial}");
    }
    assert!(revoked.has_serial(b"any", 200));
}

#[test]
fn t15_what_is_damaged_or_unknown_makes_the_list_unusable() {
    let good = Builder::new().certificates(Some(&key(9)), 0x20, &numbers(&[5]));
    for length in 0..good.0.len() {
        let cut = Builder(good.0[..length].to_vec());
        // Something whole is left of it without its only section, and nothing at all is an empty list of lines.
        let is_whole = length == Builder::new().0.len() || length == 0;
        assert_eq!(cut.parse().is_ok(), is_whole, "{length}");
    }
    assert_eq!(Builder([good.0.as_slice(), b"\0"].concat()).problem(), KrlError::CutOff);
    assert_eq!(Builder::new().with(6, b"").problem(), KrlError::Section(6));
    assert_eq!(Builder::new().with(4, b"").problem(), KrlError::Signed);
    assert_eq!(Builder::new().with(3, &string(&[0; 19])).problem(), KrlError::Fingerprint(19));
    assert_eq!(Builder::new().with(5, &string(&[0; 20])).problem(), KrlError::Fingerprint(20));
    let within = |kind, body: &[u8]| Builder::new().certificates(None, kind, body).problem();
    assert_eq!(within(0x24, b""), KrlError::Section(0x24));
    assert_eq!(within(0x20, &numbers(&[0])), KrlError::Serial);
    assert_eq!(within(0x20, &[0; 7]), KrlError::CutOff);
    assert_eq!(within(0x21, &numbers(&[7, 5])), KrlError::Serial);
    assert_eq!(within(0x21, &numbers(&[0, 5])), KrlError::Serial);
    assert_eq!(within(0x21, &numbers(&[1, 5, 6])), KrlError::CutOff);
    assert_eq!(within(0x22, &bitmap(1, &[0x80])), KrlError::Serial);
    assert_eq!(within(0x22, &bitmap(u64::MAX, &[0b11])), KrlError::Serial);
    assert_eq!(within(0x22, &bitmap(1, &[1; 2050])), KrlError::Serial);
    let extension = |critical| [string(b"x@example.org"), vec![critical], string(b"")].concat();
    assert_eq!(
        Builder::new().with(255, &extension(1)).problem(),
        KrlError::Extension("x@example.org".into())
    );
    assert_eq!(within(0x39, &extension(1)), KrlError::Extension("x@example.org".into()));
    assert_eq!(Builder::new().with(255, &extension(2)).problem(), KrlError::Reserved);
    assert!(Builder::new().with(255, &extension(0)).parse().is_ok());
    let mut newer = Builder::new();
    newer.0[11] = 2;
    assert_eq!(newer.problem(), KrlError::Version(2));
}

#[test]
fn t15_lines_that_are_no_keys_make_the_list_unusable() {
    let parse = |text: &str| RevokedKeys::parse(Path::new("revoked"), text.as_bytes());
    for text in [
        "nonsense".to_owned(),
        format!("{}\nssh-ed25519 AAAA", text(1)),
        format!("no-pty {}", text(1)),
        "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
        "SSHKRL".to_owned(),
        "x-unknown AAAA".to_owned(),
    ] {
        assert!(matches!(parse(&text), Err(RevokedKeysError::Line { .. })), "{text}");
    }
    let error = parse(&format!("{}\nno key", text(1))).unwrap_err().to_string();
    assert!(error.starts_with("revoked:2: "), "{error}");
    assert!(parse("ssh-dss AAAA").is_ok(), "such keys log in nowhere");
    assert!(parse("").is_ok());
}

#[test]
fn t15_a_list_that_cannot_be_read_is_no_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revoked");
    assert!(matches!(RevokedKeys::read(&path), Err(RevokedKeysError::Read { .. })));
    assert!(matches!(RevokedKeys::read_strictly(&path), Err(RevokedKeysError::Read { .. })));
    assert!(RevokedKeys::read(directory.path()).is_err());
    assert!(RevokedKeys::read_strictly(directory.path()).is_err());
    std::fs::write(&path, text(1)).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    assert!(RevokedKeys::read(&path).unwrap().check((&key(1)).into()).is_err());
    assert!(matches!(RevokedKeys::read_strictly(&path), Err(RevokedKeysError::Distrust(_))));
}

#[test]
fn the_fuzz_corpus_replays() {
    fixtures::replay("revoked_keys", |bytes| {
        if let Ok(list) = RevokedKeys::parse(Path::new("revoked"), bytes) {
            let _ = list.check((&key(1)).into());
            let _ = list.check((&numbered(7)).into());
        }
    });
}
