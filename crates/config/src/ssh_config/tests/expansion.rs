use std::path::Path;

use super::{Fake, berlin, problems, resolve_with, to};
use crate::ssh_config::{IdentityAgent, Problem, Scope};

#[test]
fn tokens_of_paths() {
    let path = |text: &str| {
        let options = berlin(&format!("HostName %h.Example.ORG\nPort 2222\nUser root\nIdentityFile /{text}"));
        options.identity_file()[0].to_str().unwrap().trim_start_matches('/').to_owned()
    };
    for (text, expected) in [
        ("%%", "%"),
        ("%h", "berlin.example.org"),
        ("%n", "berlin"),
        ("%k", "berlin"),
        ("%p", "2222"),
        ("%r", "root"),
        ("%u", "alice"),
        ("%i", "1000"),
        ("%l", "laptop.example.org"),
        ("%L", "laptop"),
        ("%d", "home/alice"),
        ("%j", ""),
        ("%u@%h:%%%p", "alice@berlin.example.org:%2222"),
    ] {
        assert_eq!(path(text), expected, "{text}");
    }
}

#[test]
fn the_hash_of_a_connection() {
    // SHA-1 of laptop.example.org, 192.0.2.1, 22, alice and the jump host gate, without separators.
    let options = berlin("HostName 192.0.2.1\nProxyJump bob@gate:2200\nCertificateFile /%C");
    assert_eq!(options.certificate_file, [Path::new("/31ac1d4f20571beae64c00d58f37741e60048506")]);
}

#[test]
fn homes_and_variables() {
    let mut fake = Fake::default();
    fake.variables.insert("KEYS", "/keys");
    fake.variables.insert("AGENT", "/run/agent");
    let text = "IdentityFile ${KEYS}/id\nIdentityFile ~/a\nIdentityFile ~bob/b\nIdentityFile ~\nIdentityAgent ${AGENT}\n\
                UserKnownHostsFile ~/${KEYS} $KEYS\nHostKeyAlias ${KEYS}";
    let options = resolve_with(&fake, &[], &[(text, Scope::User)], &to("berlin")).unwrap();
    let files = ["/keys/id", "/home/alice/a", "/home/bob/b", "/home/alice/"];
    assert_eq!(options.identity_file(), files.map(Path::new));
    assert_eq!(options.identity_agent(), IdentityAgent::Socket("/run/agent".into()));
    assert_eq!(options.user_known_hosts_file(), ["/home/alice//keys", "$KEYS"].map(Path::new));
    assert_eq!(options.host_key_alias.as_deref(), Some("${keys}"), "no variables here");
    let legacy = resolve_with(&fake, &["IdentityAgent=$AGENT"], &[], &to("berlin")).unwrap();
    assert_eq!(legacy.identity_agent(), IdentityAgent::Socket("/run/agent".into()));
}

#[test]
fn what_cannot_be_expanded_is_told_where_it_stands() {
    let problem = |text: &str| {
        let mut problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        problems.remove(0)
    };
    let token = |keyword, token: &str| Problem::BadToken { keyword, token: token.to_owned() };
    let place = "config:2".to_owned();
    assert_eq!(problem("\nIdentityFile %x"), (place.clone(), token("IdentityFile", "x")));
    assert_eq!(problem("\nIdentityFile a%"), (place.clone(), token("IdentityFile", "")));
    assert_eq!(problem("\nProxyCommand nc %C"), (place.clone(), token("ProxyCommand", "C")));
    assert_eq!(problem("\nHostName %n"), (place.clone(), token("HostName", "n")));
    assert_eq!(problem("\nUser %r"), (place.clone(), token("User", "r")));
    assert_eq!(problem("\nIdentityFile ${X"), (place.clone(), Problem::BadVariable("IdentityFile")));
    assert_eq!(problem("\nIdentityFile ${}"), (place.clone(), Problem::BadVariable("IdentityFile")));
    let unset = Problem::UnsetVariable { keyword: "IdentityFile", name: "X".into() };
    assert_eq!(problem("\nIdentityFile ${X}"), (place.clone(), unset));
    let nobody = Problem::NoSuchUser { keyword: "IdentityFile", user: "eve".into() };
    assert_eq!(problem("\nIdentityFile ~eve/x"), (place, nobody));
    assert_eq!(problems("Host other\nIdentityFile %x"), [], "only what is used is expanded");
}

#[test]
fn a_user_made_of_tokens_must_be_safe() {
    let mut fake = Fake::default();
    fake.variables.insert("EVIL", "x;rm");
    let with = |text| resolve_with(&fake, &[], &[(text, Scope::User)], &to("berlin"));
    assert_eq!(with("User %u-%n").unwrap().user(), "alice-berlin");
    assert!(matches!(with("User ${EVIL}").unwrap_err().0[0].problem, Problem::BadUser(_)));
}
