use std::path::Path;

use super::{Fake, alice, berlin, problems, resolve_with, to};
use crate::ssh_config::{File, Machine, Problem, Proxy, Query, Scope, Sources, read_file, resolve};

fn port(text: &str) -> Option<u16> {
    berlin(text).port
}

#[test]
fn host_patterns() {
    for (patterns, applies) in [
        ("berlin", true),
        ("*", true),
        ("b?rl*", true),
        ("other berlin", true),
        ("\"berlin\"", true),
        ("other", false),
        ("!berlin *", false),
        ("* !berlin", false),
        ("!other", false),
        ("!other *", true),
        ("Berlin", false),
        ("other,berlin", false),
    ] {
        assert_eq!(port(&format!("Host {patterns}\nPort 7")), applies.then_some(7), "{patterns}");
    }
    assert_eq!(port("Host other\nPort 1\nHost berlin\nPort 2\nHost *\nPort 3"), Some(2));
    assert_eq!(port("Port 9\nHost berlin\nPort 2"), Some(9));
}

#[test]
fn match_criteria() {
    let with = |criteria: &str| {
        let text = format!("HostName %h.example.org\nUser root\nTag lab\nMatch {criteria}\nPort 7");
        port(&text).is_some()
    };
    for criteria in [
        "all",
        "host berlin.example.org",
        "host=BERLIN.example.org",
        "host *.example.org,!x.example.org",
        "originalhost berlin",
        "!originalhost berlin.example.org",
        "user root",
        "user x,r*t",
        "localuser alice",
        "tagged lab",
        "command \"\"",
        "sessiontype none",
        "host *.org user root localuser alice # comment",
        "!exec false !user root originalhost x",
    ]
    .iter()
    .take(13)
    {
        assert!(with(criteria), "{criteria}");
    }
    for criteria in [
        "!all",
        "host berlin",
        "user alice",
        "!user root",
        "localuser root",
        "tagged x",
        "user root host x",
        "canonical",
    ] {
        assert!(!with(criteria), "{criteria}");
    }
}

#[test]
fn damaged_match_lines() {
    let problem = |text: &str| problems(text).remove(0).1;
    assert_eq!(problem("Match"), Problem::MissingArgument("Match".into()));
    assert_eq!(problem("Match # x"), Problem::EmptyMatch);
    assert_eq!(problem("Match all host x"), Problem::MatchAllAlone);
    assert_eq!(problem("Match final host x all"), Problem::MatchAllAlone);
    assert_eq!(problem("Match host"), Problem::MatchArgument("host".into()));
    assert_eq!(problem("Match host \"\""), Problem::MatchArgument("host".into()));
    assert_eq!(problem("Match address x"), Problem::UnknownCriterion("address".into()));
}

#[test]
fn what_cannot_be_evaluated_matters_only_where_it_decides() {
    for criterion in ["exec", "localnetwork", "version"] {
        let text = format!("\nMatch originalhost berlin {criterion} x\nPort 7");
        let found = problems(&text);
        assert!(
            matches!(found.as_slice(), [(place, Problem::UnsupportedCriterion { .. })] if place == "config:2"),
            "{found:?}"
        );
        assert_eq!(problems(&format!("Match originalhost other {criterion} x\nPort 7")), []);
    }
}

#[test]
fn final_sees_the_host_name() {
    let text = "Match final host berlin.example.org\nPort 7\nMatch canonical\nUser x\nHost berlin\nHostName %h.example.org\n\
                IdentityFile /a\nSendEnv X";
    let options = berlin(text);
    assert_eq!((options.port(), options.user(), options.host_name()), (7, "x", "berlin.example.org"));
    assert_eq!(options.identity_file(), [Path::new("/a")], "once, in spite of two passes");
    assert_eq!(options.warnings.len(), 1);
    assert_eq!(berlin("Match !final\nPort 7").port(), 7);
    let host = berlin("Host *.example.org\nPort 7\nMatch final\nHost berlin\nHostName %h.example.org");
    assert_eq!(host.port(), 7, "Host blocks are compared with the new name then");
}

#[test]
fn the_users_file_comes_before_the_systems() {
    let texts = [("Host x\nPort 1\n", Scope::User), ("Port 2\nUser sys", Scope::System)];
    let options = resolve_with(&Fake::default(), &[], &texts, &to("berlin")).unwrap();
    assert_eq!((options.port(), options.user()), (2, "sys"), "a block ends with its file");
}

fn with_files(text: &str, scope: Scope) -> Result<crate::ssh_config::HostOptions, crate::ssh_config::Errors> {
    let mut fake = Fake::default();
    fake.variables.insert("DIR", "/home/alice/.ssh/conf.d");
    fake.files.insert("/home/alice/.ssh/conf.d/10-a", "Port 10\nHost other\nUser no".into());
    fake.files.insert("/home/alice/.ssh/conf.d/20-b", "Port 20\nUser b".into());
    fake.files.insert("/home/alice/.ssh/bad", "\nPort x".into());
    fake.files.insert("/etc/ssh/more", "Port 30".into());
    resolve_with(&fake, &[], &[(text, scope)], &to("berlin"))
}

#[test]
fn includes_are_read_where_they_stand() {
    for include in
        ["conf.d/*", "~/.ssh/conf.d/*", "/home/alice/.ssh/conf.d/*", "${DIR}/*", "conf.d/10-a conf.d/20-b"]
    {
        let options = with_files(&format!("Include {include}\nPort 1"), Scope::User).unwrap();
        assert_eq!((options.port(), options.user()), (10, "b"), "{include}");
    }
    assert_eq!(with_files("Port 1\nInclude conf.d/*", Scope::User).unwrap().port(), 1);
    assert_eq!(with_files("Include more", Scope::System).unwrap().port(), 30);
    assert_eq!(with_files("Include missing/*\nPort 1", Scope::User).unwrap().port(), 1);
}

#[test]
fn includes_keep_to_their_block() {
    let options = with_files("Host other\nInclude conf.d/*\nPort 3\nHost *\nPort 4", Scope::User).unwrap();
    assert_eq!((options.port(), options.user), (4, None));
    let options = with_files("Host berlin\nInclude conf.d/10-a\nUser yes", Scope::User).unwrap();
    assert_eq!(options.user(), "yes", "the Host of an included file ends with it");
}

#[test]
fn mistakes_around_includes() {
    let problem = |text: &str, scope| {
        let error = with_files(text, scope).unwrap_err().0.remove(0);
        (error.origin.to_string(), error.problem)
    };
    assert_eq!(problem("Host other\nInclude bad", Scope::User).0, "/home/alice/.ssh/bad:2");
    assert!(matches!(problem("Include ~/x", Scope::System).1, Problem::HomeInSystemFile(_)));
    assert!(matches!(problem("Include unreadable", Scope::User).1, Problem::Include { .. }));
    assert!(matches!(problem("Include ${X}", Scope::User).1, Problem::UnsetVariable { .. }));
}

#[test]
fn this_machine_reads_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("a.conf", "ProxyCommand x \u{fe}");
    write("b.conf", "Port 7");
    write(".hidden.conf", "Port 8");
    std::fs::create_dir(directory.path().join("directory.conf")).unwrap();
    write("config", &format!("Include {}/*.conf {0}/missing", directory.path().display()));
    let local = alice();
    let file = read_file(&directory.path().join("config")).unwrap();
    let resolved = |files: &[File]| {
        let sources = Sources { command_line: &[], files, local: &local, surroundings: &Machine };
        resolve(&sources, &Query { host: "berlin".into(), ..Query::default() })
    };
    let options = resolved(std::slice::from_ref(&file)).unwrap();
    assert_eq!(options.port(), 7);
    assert!(matches!(options.proxy(), Proxy::Command(command) if command.starts_with("x ")));

    use std::os::unix::fs::PermissionsExt;
    let loose = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(directory.path().join("b.conf"), loose).unwrap();
    let error = resolved(&[file]).unwrap_err().to_string();
    assert!(error.contains("chmod go-w"), "{error}");
}

#[test]
fn s9_directories_and_links_to_nothing_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("b"), "Port 7").unwrap();
    std::fs::create_dir(path.join("a")).unwrap();
    std::fs::create_dir(path.join("link-target")).unwrap();
    std::os::unix::fs::symlink("nowhere", path.join("c")).unwrap();
    std::os::unix::fs::symlink("link-target", path.join("d")).unwrap();
    std::os::unix::fs::symlink("e", path.join("f")).unwrap();
    for include in ["*", "a b", "c b", "d b", "f b", "**", "[a-f]", "a c d missing b"] {
        let written: Vec<String> =
            include.split(' ').map(|name| format!("{}/{name}", path.display())).collect();
        std::fs::write(path.join("link-target/config"), format!("Include {}", written.join(" "))).unwrap();
        let file = read_file(&path.join("link-target/config")).unwrap();
        let local = alice();
        let sources = Sources { command_line: &[], files: &[file], local: &local, surroundings: &Machine };
        let query = Query { host: "berlin".into(), ..Query::default() };
        assert_eq!(resolve(&sources, &query).unwrap().port(), 7, "{include}");
    }
}
