#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh_channels::keys::{PrivateKey, PublicKey};
use tapline_device::Unit;

use super::super::AcceptedKey;
use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn key(seed: u8) -> PublicKey {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "").unwrap().public_key().clone()
}

fn line(seed: u8) -> String {
    key(seed).to_openssh().unwrap()
}

struct Files {
    directory: tempfile::TempDir,
    options: Options,
}

impl Files {
    fn new(authorized_keys: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(Vec::new());
        options.authorized_keys_files = vec![directory.path().join("authorized_keys")];
        let files = Self { directory, options };
        files.write(authorized_keys);
        files
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("authorized_keys")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn log_in(&self, seed: u8, user: &str) -> Result<Credential, Denial> {
        let key = key(seed);
        let login = login(&key, user);
        Authentication::default().authorize(&self.options, &login)
    }
}

fn login<'a>(key: &'a PublicKey, user: &'a str) -> Login<'a> {
    Login { offered: Offered::from(key), user, peer: PEER, now: SystemTime::now() }
}

#[test]
fn a_line_authorizes_its_key_and_names_the_peer() {
    let files = Files::new(&format!("tunnel=\"7\" {} leipzig\n", line(1)));
    let credential = files.log_in(1, "anyone").unwrap();
    assert_eq!(credential.name, "leipzig");
    assert_eq!(credential.accept, None);
    assert_eq!(credential.tunnel, TunnelGrant::Forced(Unit::Number(7)));
    assert!(credential.fingerprint.starts_with("SHA256:"));
    assert_eq!(files.log_in(2, "anyone"), Err(Denial::Unknown));
}

#[test]
fn a_line_taken_away_counts_at_once() {
    let files = Files::new(&line(1));
    assert!(files.log_in(1, "root").is_ok());
    files.write("");
    assert_eq!(files.log_in(1, "root"), Err(Denial::Unknown));
}

#[test]
fn an_accepted_key_needs_no_file_but_obeys_one() {
    let mut files = Files::new("");
    files.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key(1) }];
    let credential = files.log_in(1, "root").unwrap();
    assert_eq!((credential.name.as_str(), credential.accept.as_deref()), ("leipzig", Some("leipzig")));
    assert_eq!(credential.tunnel, TunnelGrant::Free);

    files.write(&format!("restrict {}", line(1)));
    let credential = files.log_in(1, "root").unwrap();
    assert_eq!((credential.accept.as_deref(), credential.tunnel), (Some("leipzig"), TunnelGrant::No));

    files.write(&format!("expiry-time=\"20200101Z\" {}", line(1)));
    assert!(matches!(files.log_in(1, "root"), Err(Denial::Refused(_))));
}

#[test]
fn an_unknown_option_refuses_with_its_place() {
    let files = Files::new(&format!("\nno-such-option {}", line(1)));
    let denial = files.log_in(1, "root").unwrap_err().to_string();
    assert!(denial.contains("authorized_keys:2: "), "{denial}");
    assert!(denial.contains("no-such-option"), "{denial}");
}

#[test]
fn users_can_be_named() {
    let mut files = Files::new(&line(1));
    files.options.permit_users = Some(vec!["tapline".into()]);
    assert!(files.log_in(1, "tapline").is_ok());
    assert_eq!(files.log_in(1, "root"), Err(Denial::User));
}

#[test]
fn a_file_that_others_can_write_authorizes_nobody() {
    let files = Files::new(&line(1));
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(files.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(files.log_in(1, "root"), Err(Denial::Unknown), "{mode:o}");
    }
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(files.log_in(1, "root").is_ok());
}

#[test]
fn a_file_that_is_missing_or_none_authorizes_nobody() {
    let mut files = Files::new("");
    files.options.authorized_keys_files = vec!["/nonexistent/authorized_keys".into(), "/dev/zero".into()];
    assert_eq!(files.log_in(1, "root"), Err(Denial::Unknown));
}

#[test]
fn a_bad_line_is_told_once_until_it_changes() {
    let files = Files::new(&format!("no-such-option {}", line(1)));
    let authentication = Authentication::default();
    authentication.inspect(&files.options);
    let told = authentication.reported.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    files.write(&line(1));
    authentication.inspect(&files.options);
    assert!(authentication.reported.lock().unwrap().is_empty());
}

#[test]
fn without_an_authority_only_known_keys_may_prove_themselves() {
    let files = Files::new(&line(1));
    let authentication = Authentication::default();
    let may = |seed| authentication.may_prove(&files.options, &login(&key(seed), "root"));
    assert_eq!(may(1), Ok(()));
    assert_eq!(may(2), Err(Denial::Unknown));
    files.write(&format!("cert-authority {}", line(3)));
    assert_eq!(may(2), Ok(()));
}

#[test]
fn sha1_signatures_are_refused() {
    assert_eq!(check_algorithm(&Algorithm::Rsa { hash: None }), Err(Denial::Sha1));
    assert_eq!(check_algorithm(&Algorithm::Rsa { hash: Some(HashAlg::Sha256) }), Ok(()));
    assert_eq!(check_algorithm(&Algorithm::Ed25519), Ok(()));
}
