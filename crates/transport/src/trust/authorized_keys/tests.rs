use std::{net::IpAddr, path::Path};

use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;
use ssh_key::{Certificate, certificate::CertType, public::KeyData};
use tapline_device::Unit;

use super::{
    AuthorizedKeys, Decision, Grant, LineProblem, OptionError, Refusal, Request, TunnelGrant, TunnelRefused,
};
use crate::trust::{
    Offered,
    certificate::CertificateError,
    fixtures::{self, CA, NOW, USER_OK, at, certificate, key, sign, sign_key, text, token_key},
};

const FILE: &str = "authorized_keys";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn keys(text: &str) -> AuthorizedKeys {
    let mut keys = AuthorizedKeys::new();
    keys.add_in_zone(Path::new(FILE), text, &TimeZone::UTC);
    keys
}

fn ask(keys: &AuthorizedKeys, offered: Offered<'_>) -> Decision {
    keys.authorize(&Request { offered, user: "root", is_named: true, peer: PEER, now: NOW })
}

/// What key 1 gets from one line with these options.
fn options(options: &str) -> Result<Grant, Decision> {
    match ask(&keys(&format!("{options} {} laptop", text(1))), Offered::Key(&key(1))) {
        Decision::Granted(grant) => Ok(*grant),
        refused => Err(refused),
    }
}

/// Why a line with these options is refused.
fn refused(options: &str) -> OptionError {
    let keys = keys(&format!("{options} {}", text(1)));
    assert!(keys.entries().is_empty(), "{options} was accepted");
    match &keys.diagnostics().next().unwrap().problem {
        LineProblem::Option(error) => error.clone(),
        other => panic!("{options}: {other}"),
    }
}

#[test]
fn a_plain_line_grants_every_tunnel() {
    let grant = options("").unwrap();
    assert_eq!(grant.tunnel, TunnelGrant::Free);
    assert_eq!(grant.comment, "laptop");
    assert_eq!(grant.location, at(FILE, 1));
    assert_eq!(grant.key, key(1));
    assert_eq!(grant.certificate, None);
}

#[test]
fn only_the_listed_keys_may_in() {
    let keys = keys(&format!("# comment\n\n{} a\n \t{}\tb c\r\n", text(1), text(2)));
    assert!(keys.diagnostics().next().is_none());
    match ask(&keys, Offered::Key(&key(2))) {
        Decision::Granted(grant) => assert_eq!((grant.comment.as_str(), grant.location.line), ("b c", 4)),
        refused => panic!("{refused:?}"),
    }
    match ask(&keys, Offered::Key(&key(3))) {
        Decision::Refused(refusals) => {
            assert_eq!(refusals.to_string(), "no authorized_keys line is about this key")
        }
        granted => panic!("{granted:?}"),
    }
}

#[test]
fn tunnel_follows_the_table() {
    let unit = |options: &str, requested| super::tests::options(options).unwrap().tunnel.unit(requested);
    let seven = Unit::Number(7);
    let eight = Unit::Number(8);
    for (options, any, with_seven, with_eight) in [
        ("", Ok(Unit::Any), Ok(seven), Ok(eight)),
        (r#"tunnel="7""#, Ok(seven), Ok(seven), Err(TunnelRefused::OtherDevice)),
        (r#"tunnel="any""#, Ok(Unit::Any), Err(TunnelRefused::OtherDevice), Err(TunnelRefused::OtherDevice)),
        (
            r#"restrict,tunnel="7""#,
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
        ),
        (
            "restrict",
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
        ),
        (
            "restrict,port-forwarding,pty",
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
            Err(TunnelRefused::Restricted),
        ),
        ("no-port-forwarding", Ok(Unit::Any), Ok(seven), Ok(eight)),
    ] {
        assert_eq!(unit(options, Unit::Any), any, "{options}");
        assert_eq!(unit(options, seven), with_seven, "{options}");
        assert_eq!(unit(options, eight), with_eight, "{options}");
    }
}

#[test]
fn options_that_concern_nothing_here_are_accepted() {
    for harmless in [
        "no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc",
        "restrict,pty,port-forwarding,agent-forwarding,X11-forwarding,user-rc",
        r#"permitopen="192.0.2.1:80",permitopen="[2001:db8::1]:80",permitlisten="8080""#,
        r#"environment="A=b, \"c\"""#,
        "NO-PTY,touch-required,no-touch-required,no-verify-required",
    ] {
        assert!(options(harmless).is_ok(), "{harmless}");
    }
}

#[test]
fn options_that_cannot_be_honoured_refuse_the_key() {
    assert!(matches!(
        refused(r#"command="/bin/sh -c \"id\"""#),
        OptionError::NotHonoured { option: "command", .. }
    ));
    assert_eq!(refused("unheard-of"), OptionError::Unknown("unheard-of".into()));
    assert_eq!(refused(r#"no-pty,unheard-of="x y",restrict"#), OptionError::Unknown("unheard-of".into()));
    assert_eq!(refused("no-restrict"), OptionError::Unknown("no-restrict".into()));
}

#[test]
fn damaged_options_refuse_the_key() {
    assert_eq!(refused("tunnel"), OptionError::MissingValue("tunnel"));
    assert_eq!(refused("tunnel=1"), OptionError::Quotes("tunnel".into()));
    assert_eq!(refused(r#"restrict="yes""#), OptionError::UnexpectedValue("restrict".into()));
    assert_eq!(refused(r#"tunnel="1"restrict"#), OptionError::Damaged);
    assert_eq!(refused(r#"from="192.0.2.0/24"#), OptionError::Quotes("from".into()));
    for number in ["", "-1", "+1", "2147483646", "x", "1:2"] {
        assert_eq!(refused(&format!(r#"tunnel="{number}""#)), OptionError::Tunnel(number.into()));
    }
    assert_eq!(
        options(r#"tunnel="2147483645""#).unwrap().tunnel,
        TunnelGrant::Forced(Unit::Number(Unit::MAX))
    );
    assert!(matches!(refused(r#"from="192.0.2.1/24""#), OptionError::From(_)));
    assert_eq!(refused(r#"principals="root""#), OptionError::PrincipalsOfKey);
}

#[test]
fn the_refused_line_is_told_when_its_key_comes() {
    let keys = keys(&format!(r#"command="x" {}"#, text(1)));
    assert_eq!(keys.diagnostics().next().unwrap().location, at(FILE, 1));
    match ask(&keys, Offered::Key(&key(1))) {
        Decision::Refused(refusals) => {
            let message = refusals.to_string();
            assert!(message.starts_with("authorized_keys:1: key refused: the option command"), "{message}");
        }
        granted => panic!("{granted:?}"),
    }
}

#[test]
fn lines_without_a_key_are_told() {
    for line in [
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "no-pty",
        "no-pty ssh-ed25519",
        "ssh-dss AAAA",
        "nonsense nonsense",
    ] {
        let keys = keys(line);
        assert!(keys.entries().is_empty() && keys.diagnostics().count() == 1, "{line}");
        assert!(
            matches!(keys.diagnostics().next().unwrap().problem, LineProblem::Key(_)),
            "{line}: {}",
            keys.diagnostics().next().unwrap()
        );
    }
}

#[test]
fn from_is_checked_against_the_address() {
    assert!(options(r#"from="192.0.2.0/24,!192.0.2.9""#).is_ok());
    match options(r#"from="198.51.100.0/24""#) {
        Err(Decision::Refused(refusals)) => {
            assert_eq!(refusals.0, [Refusal::From { location: at(FILE, 1), peer: PEER }]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_expire() {
    // NOW is 2026-07-01 00:00 UTC.
    for (time, valid) in [
        ("20260701Z", true),
        ("20260701", true),
        ("20260630", false),
        ("202606302359Z", false),
        ("202607010000", true),
        ("20260630235959z", false),
        ("20260701000000UTC", true),
    ] {
        assert_eq!(options(&format!(r#"expiry-time="{time}""#)).is_ok(), valid, "{time}");
    }
    assert!(options(r#"expiry-time="20270101",expiry-time="20260101""#).is_err(), "the earliest counts");
    for time in [
        "",
        "2026",
        "2026070",
        "20261301",
        "20260230",
        "202607012460",
        "20260701T0000",
        "19690101Z",
        "２０２６０７０１",
    ] {
        assert_eq!(refused(&format!(r#"expiry-time="{time}""#)), OptionError::Expiry(time.into()));
    }
}

#[test]
fn times_without_z_are_local() {
    let zone = TimeZone::fixed(Offset::constant(2));
    let mut keys = AuthorizedKeys::new();
    keys.add_in_zone(Path::new(FILE), &format!(r#"expiry-time="202607010100" {}"#, text(1)), &zone);
    assert!(
        matches!(ask(&keys, Offered::Key(&key(1))), Decision::Refused(_)),
        "01:00 at +02 was an hour ago"
    );
}

#[test]
fn a_later_line_may_let_in() {
    let keys = keys(&format!("from=\"198.51.100.1\" {0} first\n{0} second", text(1)));
    match ask(&keys, Offered::Key(&key(1))) {
        Decision::Granted(grant) => assert_eq!(grant.comment, "second"),
        refused => panic!("{refused:?}"),
    }
}

#[test]
fn security_tokens_need_no_touch_required() {
    let token = token_key(1);
    let line = ssh_key::PublicKey::from(token.clone()).to_openssh().unwrap();
    assert!(matches!(
        keys(&line).diagnostics().next().unwrap().problem,
        LineProblem::Option(OptionError::Touch)
    ));
    let keys = keys(&format!("no-touch-required {line}"));
    assert!(matches!(ask(&keys, Offered::Key(&token)), Decision::Granted(_)));
}

fn certified(lines: &str, certificate: &Certificate) -> Decision {
    ask(&keys(lines), Offered::Certificate(certificate))
}

fn error_of(decision: Decision) -> CertificateError {
    match decision {
        Decision::Refused(refusals) => match refusals.0.as_slice() {
            [Refusal::Certificate { error, .. }] => error.clone(),
            other => panic!("{other:?}"),
        },
        granted => panic!("{granted:?}"),
    }
}

#[test]
fn certificates_of_an_authority_in_the_file() {
    let cert = certificate(USER_OK);
    match certified(&format!(r#"cert-authority,tunnel="3" {CA}"#), &cert) {
        Decision::Granted(grant) => {
            assert_eq!(grant.tunnel, TunnelGrant::Forced(Unit::Number(3)));
            let used = grant.certificate.clone().unwrap();
            assert_eq!((used.key_id.as_str(), used.serial), ("user-1", 7));
            assert_eq!(&grant.key, cert.public_key());
        }
        refused => panic!("{refused:?}"),
    }
    match certified(&format!("restrict,cert-authority {CA}"), &cert) {
        Decision::Granted(grant) => assert_eq!(grant.tunnel, TunnelGrant::No),
        refused => panic!("{refused:?}"),
    }
}

#[test]
fn authorities_and_keys_are_not_each_other() {
    let cert = sign(CertType::User, &["root"], |_| ());
    assert!(matches!(certified(&text(9), &cert), Decision::Refused(refusals) if refusals.0.is_empty()));
    assert!(matches!(certified(&text(1), &cert), Decision::Refused(refusals) if refusals.0.is_empty()));
    let authority = keys(&format!("cert-authority {}", text(9)));
    assert!(matches!(ask(&authority, Offered::Key(&key(9))), Decision::Refused(_)));
    assert!(matches!(ask(&authority, Offered::Key(&key(1))), Decision::Refused(_)));
}

#[test]
fn principals_replace_the_users_name() {
    let line = |names: &str| format!(r#"cert-authority,principals="{names}" {}"#, text(9));
    let cert = sign(CertType::User, &["lab", "office"], |_| ());
    assert!(matches!(certified(&line("office"), &cert), Decision::Granted(_)));
    assert!(matches!(certified(&line("x,lab"), &cert), Decision::Granted(_)));
    assert!(matches!(error_of(certified(&line("root"), &cert)), CertificateError::NotAPrincipal { .. }));
    let root = sign(CertType::User, &["root"], |_| ());
    assert!(matches!(error_of(certified(&line("lab"), &root)), CertificateError::NotAPrincipal { .. }));
    assert!(matches!(
        error_of(certified(&format!("cert-authority {}", text(9)), &cert)),
        CertificateError::NotAPrincipal { .. }
    ));
}

#[test]
fn trusted_authorities_need_the_users_name() {
    let mut keys = AuthorizedKeys::new();
    keys.add_authorities(Path::new("user_ca"), &format!("# CAs\n{} ca\nno-pty {}", text(9), text(8)));
    assert!(matches!(keys.diagnostics().next().unwrap().problem, LineProblem::OptionsOfAuthority));
    let root = sign(CertType::User, &["root"], |_| ());
    match ask(&keys, Offered::Certificate(&root)) {
        Decision::Granted(grant) => {
            assert_eq!((grant.tunnel, grant.location), (TunnelGrant::Free, at("user_ca", 2)));
        }
        refused => panic!("{refused:?}"),
    }
    let alice = sign(CertType::User, &["alice"], |_| ());
    assert!(matches!(
        error_of(ask(&keys, Offered::Certificate(&alice))),
        CertificateError::NotAPrincipal { .. }
    ));
    assert!(matches!(ask(&keys, Offered::Key(&key(9))), Decision::Refused(_)));
}

#[test]
fn certificates_have_to_be_valid_here() {
    let line = format!("cert-authority {}", text(9));
    let host = sign(CertType::Host, &["root"], |_| ());
    assert!(matches!(error_of(certified(&line, &host)), CertificateError::WrongType { .. }));
    let forced = sign(CertType::User, &["root"], |builder| {
        builder.critical_option("force-command", "/bin/true").unwrap();
    });
    assert!(matches!(error_of(certified(&line, &forced)), CertificateError::CriticalOption { .. }));
}

#[test]
fn tokens_in_certificates_need_no_touch_required_twice() {
    let cert = |with_extension: bool| {
        sign_key(token_key(1), CertType::User, &["root"], |builder| {
            if with_extension {
                builder.extension("no-touch-required", "").unwrap();
            }
        })
    };
    let with = format!("cert-authority,no-touch-required {}", text(9));
    let without = format!("cert-authority {}", text(9));
    assert!(matches!(certified(&with, &cert(true)), Decision::Granted(_)));
    assert!(matches!(error_of(certified(&with, &cert(false))), CertificateError::Touch { .. }));
    assert!(matches!(error_of(certified(&without, &cert(true))), CertificateError::Touch { .. }));
}

#[test]
fn s14_options_are_split_as_sshd_splits_them() {
    for accepted in [
        "no-pty,",
        "no-pty,,no-user-rc",
        ",no-pty",
        ",,",
        "no-pty,tunnel=\"7\",",
        "no-pty, \t",
        r#"permitopen="192.0.2.1:80",permitopen="[2001:db8::1]:80",permitopen="h:*",permitopen="h/80""#,
        r#"permitlisten="8080",permitlisten="*",permitlisten="localhost:8080",permitlisten="[::1]:22""#,
        r#"permitopen=":80""#,
        r#"environment="A=b c",environment="A_1=""#,
        r#"environment="A=b \"c\", d""#,
        r#"environment="A=\\\" ""#,
        "verify-required",
        "no-touch-required,touch-required",
    ] {
        assert!(options(accepted).is_ok(), "{accepted}");
    }
    for refused in [
        r#"permitopen="h""#,
        r#"permitopen="h:""#,
        r#"permitopen="h:0""#,
        r#"permitopen="h:65536""#,
        r#"permitopen="h:80x""#,
        r#"permitopen="[h:80""#,
        r#"permitopen="[h]80""#,
        r#"permitopen="8080""#,
        r#"permitlisten="h:x""#,
        r#"permitlisten="0""#,
        r#"permitlisten="""#,
        r#"environment="A""#,
        r#"environment="=b""#,
        r#"environment="A-B=c""#,
        "no-pty;no-user-rc",
        "no-pty,unheard-of",
        r#"tunnel="1" "#,
        r#"tunnel="1"x"#,
        "\"no-pty\"",
    ] {
        let tunnel_then_blank = refused.ends_with("\"1\" ");
        assert_eq!(options(refused).is_ok(), tunnel_then_blank, "{refused}");
    }
    let tunnel = |text: &str| options(text).unwrap().tunnel;
    assert_eq!(tunnel(r#"tunnel="1",tunnel="2""#), TunnelGrant::Forced(Unit::Number(2)), "the last counts");
    assert_eq!(tunnel("restrict,"), TunnelGrant::No);
    assert_eq!(tunnel(",,RESTRICT,,pty"), TunnelGrant::No);
}

#[test]
fn t1_a_refused_line_bars_the_later_ones_about_its_key() {
    let ask = |lines: &str| {
        ask(&keys(&lines.replace("KEY", &text(1)).replace("CUT", &text(1)[..60])), Offered::Key(&key(1)))
    };
    for refused in [
        "restrct KEY\nKEY",
        "restrict,command=\"x\" KEY\nKEY",
        "from=\"192.0.2.9 KEY\nKEY",
        "restrict CUT\nKEY",
        "restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\nKEY",
        "principals=\"x\" KEY\ntunnel=\"1\" KEY",
    ] {
        assert!(matches!(ask(refused), Decision::Refused(_)), "{refused}");
    }
    let other = text(2);
    for granted in ["KEY\nrestrct KEY", "nonsense\nKEY", "restrict\nKEY", "from=\"198.51.100.1\" KEY\nKEY"] {
        assert!(matches!(ask(granted), Decision::Granted(_)), "{granted}");
    }
    assert!(matches!(ask(&format!("restrct {other}\nKEY")), Decision::Granted(_)), "another key's");
}

fn arbitrary_option() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("restrict".to_owned()),
        Just("no-pty".to_owned()),
        "[0-9]{1,9}".prop_map(|number| format!(r#"tunnel="{number}""#)),
        r#"[a-zA-Z0-9 ,=\\"]{0,12}"#
            .prop_map(|value| format!(r#"environment="{}""#, value.replace('"', "\\\""))),
        "[a-z-]{1,12}",
        r#"[ -~]{0,12}"#,
    ]
}

proptest! {
    /// Whatever stands before a key: it is refused, or what it restricts is restricted.
    #[test]
    fn no_line_grants_more_than_it_says(parts in prop::collection::vec(arbitrary_option(), 1..5)) {
        let text = parts.join(",");
        if let Ok(grant) = options(&text)
            && text.to_ascii_lowercase().split(',').next() == Some("restrict")
        {
            prop_assert_eq!(grant.tunnel, TunnelGrant::No);
        }
    }

    #[test]
    fn quoted_values_survive(value in r#"[a-zA-Z0-9 ,=#"]{0,20}"#) {
        let written = format!(r#"environment="A={}",tunnel="5""#, value.replace('"', "\\\""));
        prop_assert_eq!(options(&written).unwrap().tunnel, TunnelGrant::Forced(Unit::Number(5)));
    }

    #[test]
    fn nothing_panics(text in "([ -~\t]{0,60}\n){0,4}") {
        let _ = ask(&keys(&text), Offered::Key(&key(1)));
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    fixtures::replay("authorized_keys", |bytes| {
        let keys = keys(&String::from_utf8_lossy(bytes));
        let _: Vec<KeyData> = keys.entries().iter().map(|entry| entry.key.clone()).collect();
        let _ = ask(&keys, Offered::Key(&key(1)));
        let _ = ask(&keys, Offered::Certificate(&certificate(USER_OK)));
    });
}
