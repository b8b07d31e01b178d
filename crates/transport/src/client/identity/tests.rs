use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use ssh_key::LineEnding;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, KeypairData};

use super::*;

fn private(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), format!("key {seed}"))
        .unwrap()
}

fn public(seed: u8) -> PublicKey {
    private(seed).public_key().clone()
}

fn certificate(seed: u8) -> Certificate {
    let mut builder = Builder::new(vec![7; 16], public(seed), 0, u64::MAX >> 1).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.valid_principal("root").unwrap();
    builder.sign(&private(99)).unwrap()
}

fn file(seed: u8, private: bool) -> FileIdentity {
    let path = PathBuf::from(format!("/keys/{seed}"));
    let private = private.then(|| path.clone());
    FileIdentity { path, key: public(seed), certificate: None, private, only_certified: false }
}

fn held(seed: u8) -> AgentIdentity {
    AgentIdentity::PublicKey { key: public(seed), comment: format!("held {seed}") }
}

fn names(candidates: &[Candidate]) -> Vec<&str> {
    candidates.iter().map(|candidate| candidate.name.as_str()).collect()
}

#[test]
fn certificates_then_files_then_the_agents_other_keys() {
    let with_certificate = FileIdentity { certificate: Some(certificate(2)), ..file(2, true) };
    let held_certificate =
        AgentIdentity::Certificate { certificate: certificate(4), comment: "held 4".to_owned() };
    let Offers { candidates: offered, .. } = candidates(
        vec![file(1, true), with_certificate],
        vec![("/keys/named-cert.pub".into(), certificate(1))],
        vec![held(3), held_certificate, held(1)],
        false,
    );
    assert_eq!(
        names(&offered),
        [
            "certificate /keys/named-cert.pub",
            "certificate /keys/2",
            "agent certificate held 4",
            "/keys/1",
            "/keys/2",
            "agent key held 3",
        ]
    );
    let signers: Vec<_> = offered.iter().map(|candidate| candidate.signer.clone()).collect();
    let in_file = SignerKind::File("/keys/2".into());
    assert_eq!(
        signers,
        [
            SignerKind::Agent,
            in_file.clone(),
            SignerKind::Agent,
            SignerKind::Agent,
            in_file,
            SignerKind::Agent
        ]
    );
}

#[test]
fn identities_only_leaves_the_rest_of_the_agent_out() {
    let held_certificate =
        AgentIdentity::Certificate { certificate: certificate(1), comment: "held".to_owned() };
    let other_certificate =
        AgentIdentity::Certificate { certificate: certificate(5), comment: "other".to_owned() };
    let Offers { candidates: offered, .. } = candidates(
        vec![file(1, false)],
        Vec::new(),
        vec![held(3), held(1), other_certificate, held_certificate],
        true,
    );
    assert_eq!(names(&offered), ["agent certificate held", "/keys/1"]);
}

#[test]
fn what_nobody_can_sign_with_is_not_offered() {
    let Offers { candidates: offered, .. } =
        candidates(vec![file(1, false)], vec![("/c".into(), certificate(2))], vec![], false);
    assert!(offered.is_empty(), "{:?}", names(&offered));
}

proptest! {
    #[test]
    fn nothing_is_offered_twice(
        files in proptest::collection::vec((0u8..6, any::<bool>()), 0..6),
        certificates in proptest::collection::vec(0u8..6, 0..4),
        agent in proptest::collection::vec(0u8..6, 0..6),
        only: bool,
    ) {
        let Offers { candidates: offered, .. } = candidates(
            files.iter().map(|&(seed, private)| file(seed, private)).collect(),
            certificates.iter().map(|&seed| (PathBuf::from("/c"), certificate(seed))).collect(),
            agent.iter().map(|&seed| held(seed)).collect(),
            only,
        );
        for (at, candidate) in offered.iter().enumerate() {
            let same = |other: &Candidate| {
                other.key.key_data() == candidate.key.key_data() && other.certificate == candidate.certificate
            };
            prop_assert!(!offered[..at].iter().any(same));
        }
        if !only {
            for seed in agent {
                prop_assert!(offered.iter().any(|candidate| candidate.key.key_data() == public(seed).key_data()));
            }
        }
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

#[test]
fn a_private_key_shows_its_public_half() {
    let files = Files::new();
    let path = files.write("id", private(1).to_openssh(LineEnding::LF).unwrap(), 0o600);
    let identity = read_identity(&path).unwrap();
    assert_eq!(identity.private.as_ref(), Some(&path));
    assert_eq!(identity.key.key_data(), public(1).key_data());
    assert_eq!(identity.certificate, None);

    files.write("id-cert.pub", certificate(1).to_openssh().unwrap(), 0o644);
    assert_eq!(read_identity(&path).unwrap().certificate, Some(certificate(1)));
    files.write("id-cert.pub", "nonsense", 0o644);
    assert_eq!(read_identity(&path).unwrap().certificate, None);
}

#[test]
fn a_public_key_alone_will_do_for_an_agent() {
    let files = Files::new();
    let text = public(1).to_openssh().unwrap();
    let path = files.write("id.pub", &text, 0o644);
    assert_eq!(read_identity(&path).unwrap().private, None);
    let without_suffix = path.with_extension("");
    assert_eq!(read_identity(&without_suffix).unwrap().private, None);
    assert!(matches!(read_identity(&files.0.path().join("other")), Err(IdentityError::Missing)));
}

#[test]
fn s7_a_certificate_as_identity_file_uses_the_key_beside_it() {
    let files = Files::new();
    let path = files.write("id-cert.pub", certificate(1).to_openssh().unwrap(), 0o644);
    let alone = read_identity(&path).unwrap();
    assert_eq!((alone.private.clone(), alone.certificate.clone()), (None, Some(certificate(1))));
    let Offers { candidates: offered, skipped } = candidates(vec![alone.clone()], vec![], vec![], false);
    assert!(offered.is_empty(), "{:?}", names(&offered));
    assert!(skipped[0].contains("its private key is neither beside it nor in the agent"), "{skipped:?}");
    // The agent may have it.
    let Offers { candidates: offered, .. } = candidates(vec![alone], vec![], vec![held(1)], true);
    assert_eq!(names(&offered), [format!("certificate {}", path.display())]);

    let key = files.write("id", private(1).to_openssh(LineEnding::LF).unwrap(), 0o600);
    let identity = read_identity(&path).unwrap();
    assert_eq!(identity.private.as_ref(), Some(&key));
    let Offers { candidates: offered, skipped } = candidates(vec![identity], vec![], vec![], false);
    assert_eq!(names(&offered), [format!("certificate {}", path.display())]);
    assert_eq!(offered[0].signer, SignerKind::File(key.clone()));
    assert!(skipped.is_empty(), "{skipped:?}");

    for unusable in ["nonsense", &public(1).to_openssh().unwrap()] {
        files.write("id", unusable, 0o600);
        assert_eq!(read_identity(&path).unwrap().private, None, "{unusable}");
    }
    // A certificate of another name has no key beside it.
    let other = files.write("other.pub", certificate(1).to_openssh().unwrap(), 0o644);
    assert_eq!(read_identity(&other).unwrap().private, None);
}

#[test]
fn u16_a_public_key_that_nobody_can_sign_with_says_so() {
    let Offers { candidates: offered, skipped } =
        candidates(vec![file(1, false)], vec![], vec![held(2)], true);
    assert!(offered.is_empty());
    assert_eq!(
        skipped,
        [
            "/keys/1 (it is a public key, and the agent does not have its private half; name the private key instead)"
        ]
    );
}

#[test]
fn s12_public_keys_are_read_as_ssh_reads_them() {
    let files = Files::new();
    for line in [public(1).to_openssh().unwrap(), certificate(1).to_openssh().unwrap()] {
        let (kind, blob) = line.split_once(' ').unwrap();
        let blob = blob.split(' ').next().unwrap();
        for text in [
            format!("{kind} {blob}"),
            format!("{kind}\t{blob}\ta comment\n"),
            format!("{kind}  {blob}   a  comment\n"),
            format!(" \t{kind} {blob}\n"),
            format!("# a comment\n\n{kind} {blob} x\n"),
            format!("#\r\n\r\n{kind} {blob} x\r\n"),
            format!("nonsense\n{kind} {blob} x\n"),
            format!("{kind} AAAA x\n{kind} {blob} x\n"),
            format!("{kind} {blob} x\n{}", public(2).to_openssh().unwrap()),
        ] {
            let path = files.write("id.pub", &text, 0o644);
            let read = read_identity(&path).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(read.key.key_data(), public(1).key_data(), "{text:?}");
            let latin = [text.trim_end().as_bytes(), b" M\xfcller\n"].concat();
            let path = files.write("latin.pub", &latin, 0o644);
            assert_eq!(read_identity(&path).unwrap().key.key_data(), public(1).key_data(), "{text:?}");
            // Beside an absent private key.
            assert_eq!(read_identity(&path.with_extension("")).unwrap().key.key_data(), public(1).key_data());
        }
        for text in [
            String::new(),
            "# only\n".to_owned(),
            kind.to_owned(),
            format!("{kind}{blob}"),
            format!("\"{kind}\" {blob}"),
        ] {
            let path = files.write("id.pub", &text, 0o644);
            assert!(matches!(read_identity(&path), Err(IdentityError::Damaged(_))), "{text:?}");
        }
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let files = Files::new();
    let path = files.write("id", private(1).to_openssh(LineEnding::LF).unwrap(), 0o640);
    let error = read_identity(&path).unwrap_err();
    assert!(matches!(error, IdentityError::Permissions { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn what_is_no_key_is_refused() {
    let files = Files::new();
    for text in
        ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"]
    {
        let path = files.write("id", text, 0o600);
        assert!(matches!(read_identity(&path), Err(IdentityError::Damaged(_))), "{text}");
    }
    let path = files.write("id", "x".repeat(70_000), 0o600);
    assert!(matches!(read_identity(&path), Err(IdentityError::Size)));
    let pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let path = files.write("id", pem, 0o600);
    assert!(matches!(read_identity(&path), Err(IdentityError::NoPublicKey { .. })));
    files.write("id.pub", public(1).to_openssh().unwrap(), 0o644);
    assert!(read_identity(&path).unwrap().private.is_some());
}

proptest! {
    #[test]
    fn no_file_makes_us_panic(text in "(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----\n)?[ -~\n]{0,200}") {
        let files = Files::new();
        let path = files.write("id", &text, 0o600);
        let _ = read_identity(&path);
        let _ = read_certificate(&path);
    }
}
