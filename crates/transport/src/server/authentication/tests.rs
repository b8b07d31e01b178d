#![allow(clippy::unwrap_used)]

mod monotone;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use russh_channels::keys::key::safe_rng;
use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData, RsaKeypair};
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

/// Hides [`super::Files`].
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
        self.put("authorized_keys", text);
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
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
    files.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key(1), user: None }];
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
fn u11_one_key_has_several_links_that_the_user_tells_apart() {
    let mut files = Files::new("");
    let entry = |name: &str, number, user: Option<&str>| AcceptedKey {
        name: name.into(),
        key: key(number),
        user: user.map(str::to_owned),
    };
    files.options.accept =
        vec![entry("any", 1, None), entry("a", 1, Some("leipzig")), entry("b", 1, Some("dresden"))];
    for (user, name) in [("leipzig", "a"), ("dresden", "b"), ("root", "any"), ("", "any"), ("Leipzig", "any")]
    {
        assert_eq!(files.log_in(1, user).unwrap().accept.as_deref(), Some(name), "{user}");
    }
    // Without an entry for all, other names are strangers, and so are other keys with a good name.
    files.options.accept.remove(0);
    assert_eq!(files.log_in(1, "root"), Err(Denial::Unknown));
    assert_eq!(files.log_in(2, "leipzig"), Err(Denial::Unknown));
    assert!(files.log_in(1, "leipzig").is_ok());
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
fn a_bad_line_is_told_once_until_it_changes() {
    let files = Files::new(&format!("no-such-option {}", line(1)));
    let authentication = Authentication::default();
    authentication.inspect(&files.options);
    let told = authentication.memory().reported.clone();
    assert_eq!(told.len(), 1);
    files.write(&line(1));
    authentication.inspect(&files.options);
    assert!(authentication.memory().reported.is_empty());
}

#[test]
fn sha1_signatures_are_refused() {
    assert_eq!(check_algorithm(&Algorithm::Rsa { hash: None }), Err(Denial::Sha1));
    assert_eq!(check_algorithm(&Algorithm::Rsa { hash: Some(HashAlg::Sha256) }), Ok(()));
    assert_eq!(check_algorithm(&Algorithm::Ed25519), Ok(()));
}

#[test]
fn t10_a_short_rsa_key_opens_nothing_whoever_lets_it_in() {
    for (bits, least, taken) in
        [(1024, None, false), (1024, Some(1024), true), (2048, None, true), (2048, Some(3072), false)]
    {
        let pair = RsaKeypair::random(&mut safe_rng(), bits).unwrap();
        let key = PrivateKey::new(KeypairData::Rsa(pair), "").unwrap().public_key().clone();
        let by_line = Files::new(&key.to_openssh().unwrap());
        let mut by_accept = Files::new("");
        by_accept.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key.clone(), user: None }];
        for mut files in [by_line, by_accept] {
            files.options.required_rsa_size = least.unwrap_or(files.options.required_rsa_size);
            let login = login(&key, "anyone");
            let known = Authentication::default().authorize(&files.options, &login);
            assert_eq!(known.is_ok(), taken, "{bits}, {least:?}: {known:?}");
        }
    }
}

/// A site where key 1 is accepted without limits but for the lines of a file.
struct Accepting {
    files: Files,
    authentication: Authentication,
}

impl Accepting {
    fn new(authorized_keys: &str) -> Self {
        let mut files = Files::new(authorized_keys);
        files.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key(1), user: None }];
        let authentication = Authentication::default();
        authentication.inspect(&files.options);
        Self { files, authentication }
    }

    fn log_in(&self) -> Result<Credential, Denial> {
        self.authentication.authorize(&self.files.options, &login(&key(1), "root"))
    }
}

const LIMITED: &str = "restrict,from=\"198.51.100.99\"";

#[test]
fn t1_a_file_that_cannot_be_read_denies() {
    let limited = format!("{LIMITED} {}", line(1));
    type Spoil = fn(&Files);
    let spoil: [(&str, Spoil); 9] = [
        ("group-writable", |files| files.mode(0o620)),
        ("writable by all", |files| files.mode(0o606)),
        ("moved away", |files| fs::rename(files.path(), files.directory.path().join("elsewhere")).unwrap()),
        ("removed", |files| fs::remove_file(files.path()).unwrap()),
        ("a directory", |files| {
            fs::remove_file(files.path()).unwrap();
            fs::create_dir(files.path()).unwrap();
        }),
        ("a link to nothing", |files| {
            fs::remove_file(files.path()).unwrap();
            std::os::unix::fs::symlink("nowhere", files.path()).unwrap();
        }),
        ("a link to a device", |files| {
            fs::remove_file(files.path()).unwrap();
            std::os::unix::fs::symlink("/dev/null", files.path()).unwrap();
        }),
        ("too long", |files| fs::File::create(files.path()).unwrap().set_len(1 << 30).unwrap()),
        ("in a directory of everybody's", |files| {
            fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let site = Accepting::new(&limited);
        assert!(matches!(site.log_in(), Err(Denial::Refused(_))), "{what}");
        spoil(&site.files);
        let denial = site.log_in().unwrap_err();
        assert!(matches!(denial, Denial::Unread(_)), "{what}: {denial}");
        // A reload makes nothing better.
        site.authentication.inspect(&site.files.options);
        assert_eq!(site.log_in(), Err(denial), "{what}");
    }
}

#[test]
fn t1_a_file_that_never_was_has_no_lines() {
    let mut files = Files::new("");
    files.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key(1), user: None }];
    for path in ["none", "none/none", "./../none/none"] {
        files.options.authorized_keys_files = vec![files.directory.path().join(path)];
        assert_eq!(files.log_in(1, "root").unwrap().tunnel, TunnelGrant::Free, "{path}");
    }
    files.options.authorized_keys_files = vec!["/dev/zero".into()];
    assert!(matches!(files.log_in(1, "root"), Err(Denial::Unread(_))));
}

#[test]
fn t1_no_descriptor_left_denies() {
    let site = Accepting::new(&format!("{LIMITED} {}", line(1)));
    // The whole program runs out of them in tests/daemon; here other tests of this process would.
    let problem = Distrust::Unreadable { path: site.files.path(), reason: "Too many open files".into() };
    let unread = super::Files { keys: AuthorizedKeys::new(), unread: Some(problem.into()) };
    let denial =
        site.authentication.decide(&site.files.options, &unread, &login(&key(1), "root")).unwrap_err();
    let words = denial.to_string();
    assert!(words.contains("cannot read") && words.contains("Too many open files"), "{words}");
}

#[test]
fn t1_what_stands_before_an_unreadable_file_holds_and_nothing_after_it() {
    let mut site = Accepting::new("");
    let directory = site.files.directory.path().to_owned();
    let file = |name: &str, text: &str| {
        fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    };
    let first = file("first", &format!("tunnel=\"7\" {}\n{}", line(1), line(2)));
    let bad = file("bad", &format!("restrict {}", line(3)));
    let last = file("last", &line(3));
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o622)).unwrap();
    site.files.options.authorized_keys_files = vec![first, bad.clone(), last];
    let log_in = |seed| site.authentication.authorize(&site.files.options, &login(&key(seed), "root"));
    assert_eq!(log_in(1).unwrap().tunnel, TunnelGrant::Forced(Unit::Number(7)));
    assert!(log_in(2).is_ok());
    assert!(matches!(log_in(3), Err(Denial::Unread(_))));
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(log_in(3).unwrap().tunnel, TunnelGrant::No);
}

#[test]
fn t1_a_line_that_is_gone_or_damaged_sets_nobody_free() {
    let site = Accepting::new(&format!("{LIMITED} {}", line(1)));
    let words = line(1);
    let cut = words.get(..words.len() - 9).unwrap().to_owned();
    for text in [
        // As a file looks while an editor writes it.
        String::new(),
        LIMITED.to_owned(),
        format!("{LIMITED} {cut}"),
        format!("{LIMITED} ssh-ed25519"),
        format!("restrict,from=\"198.51.100.99 {words}"),
        format!("restrct {words}"),
        format!("{LIMITED} {}", line(2)),
    ] {
        site.files.write(&text);
        assert!(site.log_in().is_err(), "{text}");
        // Once it is said that this is meant, only what may be about the key limits it.
        site.authentication.inspect(&site.files.options);
        assert_eq!(site.log_in().is_ok(), !text.contains("AAAA") || text.contains(&line(2)), "{text}");
        site.files.write(&format!("{LIMITED} {words}"));
        assert!(matches!(site.log_in(), Err(Denial::Refused(_))));
    }
}

#[test]
fn t7_names_that_anyone_may_choose_open_nothing() {
    use crate::trust::fixtures;
    use russh_channels::keys::ssh_key::certificate::CertType;
    let certificate = fixtures::sign(CertType::User, &["root", "lab"], |_| ());
    let mut files = Files::new("");
    files.options.trusted_user_ca_keys = vec![files.put("authorities", &fixtures::text(9))];
    let at = |options: &Options, user: &str| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(fixtures::NOW);
        let login = Login { offered: Offered::from(&certificate), user, peer: PEER, now };
        Authentication::default().authorize(options, &login)
    };
    // Whoever names himself as a certificate of his says.
    for user in ["root", "lab", "nobody"] {
        let words = at(&files.options, user).unwrap_err().to_string();
        assert!(words.contains("permit-user") && words.contains("authorized-principals-file"), "{words}");
    }
    files.options.permit_users = Some(vec!["root".into()]);
    assert!(at(&files.options, "root").is_ok());
    assert_eq!(at(&files.options, "lab"), Err(Denial::User));

    // With a file of principals the user's name says nothing.
    files.options.permit_users = None;
    files.options.authorized_principals_file =
        Some(files.put("principals", "# ours\nspare\ntunnel=\"7\" lab # here\n"));
    assert_eq!(at(&files.options, "nobody").unwrap().tunnel, TunnelGrant::Forced(Unit::Number(7)));
    for text in ["", "spare", "# lab", "la", "labs", "from=\"198.51.100.1\" lab", "unheard-of lab\nlab"] {
        files.put("principals", text);
        assert!(at(&files.options, "root").is_err(), "{text}");
    }
    files.put("principals", "restrict lab");
    assert_eq!(at(&files.options, "root").unwrap().tunnel, TunnelGrant::No);
    fs::remove_file(files.directory.path().join("principals")).unwrap();
    assert!(at(&files.options, "root").is_err(), "a file that is not there names nobody");
    files.options.authorized_principals_file = None;

    // The same holds for authorities of authorized_keys.
    files.options.trusted_user_ca_keys.clear();
    files.write(&format!("cert-authority {}", fixtures::text(9)));
    assert!(matches!(at(&files.options, "root"), Err(Denial::Refused(_))));
    files.write(&format!("cert-authority,principals=\"lab\" {}", fixtures::text(9)));
    assert!(at(&files.options, "root").is_ok());
}

#[test]
fn t8_a_security_token_under_accept_is_refused() {
    let token = PublicKey::from(crate::trust::fixtures::token_key(1));
    let text = token.to_openssh().unwrap();
    let mut files = Files::new("");
    files.options.accept = vec![AcceptedKey { name: "token".into(), key: token.clone(), user: None }];
    let log_in = |files: &Files| Authentication::default().authorize(&files.options, &login(&token, "root"));
    assert_eq!(log_in(&files), Err(Denial::Touch));
    assert!(Denial::Touch.to_string().contains("no-touch-required"));
    for (before, lets_in) in [
        ("", false),
        ("touch-required ", false),
        ("no-touch-required,touch-required ", false),
        ("verify-required,no-touch-required ", false),
        ("no-touch-required ", true),
        ("touch-required,no-touch-required ", true),
    ] {
        files.write(&format!("{before}{text}"));
        assert_eq!(log_in(&files).is_ok(), lets_in, "{before}");
    }
    files.write("");
    let authentication = Authentication::default();
    authentication.inspect(&files.options);
    assert_eq!(authentication.memory().reported.len(), 1, "it is said at the start");
}

#[test]
fn t15_a_revoked_key_is_refused_wherever_it_is_let_in() {
    let mut files = Files::new(&format!("{}\n{}", line(1), line(2)));
    files.options.accept = vec![AcceptedKey { name: "leipzig".into(), key: key(3), user: None }];
    files.options.revoked_keys = Some(files.put("revoked", &format!("# stolen\n{}\n{}\n", line(1), line(3))));
    assert!(matches!(files.log_in(1, "root"), Err(Denial::Revoked(_))));
    assert!(files.log_in(2, "root").is_ok());
    assert!(matches!(files.log_in(3, "root"), Err(Denial::Revoked(_))));
    assert_eq!(files.log_in(4, "root"), Err(Denial::Unknown), "strangers are none of its business");
}

#[test]
fn t15_a_list_that_cannot_be_used_lets_nobody_in() {
    let mut files = Files::new(&line(1));
    let path = files.put("revoked", "");
    files.options.revoked_keys = Some(path.clone());
    assert!(files.log_in(1, "root").is_ok());
    let spoil: [(&str, &dyn Fn()); 5] = [
        ("damaged", &|| fs::write(&path, "no key").unwrap()),
        ("cut off", &|| fs::write(&path, b"SSHKRL\n\0\0").unwrap()),
        ("writable by others", &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap()),
        ("not there", &|| fs::remove_file(&path).unwrap()),
        ("a directory", &|| fs::create_dir(&path).unwrap()),
    ];
    for (what, spoil) in spoil {
        spoil();
        let denial = files.log_in(1, "root").unwrap_err();
        assert!(matches!(denial, Denial::RevokedKeys(_)), "{what}: {denial}");
        assert!(denial.to_string().contains(&path.display().to_string()), "{what}: {denial}");
        if path.is_file() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}
