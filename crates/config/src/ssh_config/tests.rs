mod algorithms;
mod blocks;
mod canonical;
mod expansion;
mod keywords;
mod line;
mod openssh;
mod refused;
mod values;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::{Errors, File, HostOptions, LocalUser, Problem, Query, Scope, Sources, Surroundings, resolve};

/// Files and variables by name.
#[derive(Debug, Default)]
struct Fake {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, String>,
}

impl Surroundings for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|&value| value.to_owned())
    }

    fn home_of(&self, user: &str) -> Option<PathBuf> {
        (user == "bob").then(|| PathBuf::from("/home/bob"))
    }

    fn include(&self, pattern: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        let pattern = pattern.to_str().unwrap();
        if pattern.contains("unreadable") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not yours"));
        }
        let matching = self.files.iter().filter(|(path, _)| super::pattern::matches(path, pattern));
        Ok(matching.map(|(path, text)| (PathBuf::from(path), text.clone())).collect())
    }
}

fn alice() -> LocalUser {
    LocalUser {
        name: "alice".to_owned(),
        uid: 1000,
        home: PathBuf::from("/home/alice"),
        host_name: "laptop.example.org".to_owned(),
    }
}

fn to(host: &str) -> Query {
    Query { host: host.to_owned(), ..Query::default() }
}

fn resolve_with(
    surroundings: &Fake,
    command_line: &[&str],
    texts: &[(&str, Scope)],
    query: &Query,
) -> Result<HostOptions, Errors> {
    let files: Vec<File> = texts
        .iter()
        .map(|&(text, scope)| File {
            path: PathBuf::from(match scope {
                Scope::User => "config",
                Scope::System => "/etc/ssh/ssh_config",
            }),
            text: text.to_owned(),
            scope,
        })
        .collect();
    let command_line: Vec<String> = command_line.iter().map(|&argument| argument.to_owned()).collect();
    let local = alice();
    let sources = Sources { command_line: &command_line, files: &files, local: &local, surroundings };
    resolve(&sources, query)
}

/// The options of berlin by one file.
fn berlin(text: &str) -> HostOptions {
    resolve_with(&Fake::default(), &[], &[(text, Scope::User)], &to("berlin")).unwrap()
}

/// The problems of one file, with their lines.
fn problems(text: &str) -> Vec<(String, Problem)> {
    match resolve_with(&Fake::default(), &[], &[(text, Scope::User)], &to("berlin")) {
        Ok(_) => Vec::new(),
        Err(Errors(errors)) => {
            errors.into_iter().map(|error| (error.origin.to_string(), error.problem)).collect()
        }
    }
}

#[test]
fn nothing_set_is_the_defaults() {
    let options = berlin("");
    assert_eq!((options.host_name(), options.port(), options.user()), ("berlin", 22, "alice"));
    assert_eq!(options.identity_file()[0], Path::new("/home/alice/.ssh/id_ed25519"));
    assert_eq!(options.user_known_hosts_file()[0], Path::new("/home/alice/.ssh/known_hosts"));
    assert_eq!(options.global_known_hosts_file()[0], Path::new("/etc/ssh/ssh_known_hosts"));
    assert_eq!((options.identity_file, options.port, options.proxy), (None, None, None));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "Port x\nHost other\n  Port 0\n  User \"a\nTunnelDevice\nHost\n";
    let problems = problems(text);
    let places: Vec<&str> = problems.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(
        places,
        ["config:1", "config:3", "config:4", "config:5", "config:6"],
        "also in blocks not used"
    );
    assert_eq!(problems[2].1, Problem::UnclosedQuote);
    assert_eq!(problems[3].1, Problem::MissingArgument("TunnelDevice".into()));
    let message =
        resolve_with(&Fake::default(), &[], &[(text, Scope::User)], &to("berlin")).unwrap_err().to_string();
    assert_eq!(
        message.lines().next(),
        Some("config:1: `x` is not a value of Port; it takes a number from 1 to 65535")
    );
}

#[test]
fn the_command_line_wins_and_knows_its_options() {
    let with = |command_line: &[&str]| {
        resolve_with(&Fake::default(), command_line, &[("Port 1\nUser file", Scope::User)], &to("berlin"))
    };
    let options = with(&["port=2222", "Port 3", "User = root"]).unwrap();
    assert_eq!((options.port(), options.user()), (2222, "root"));
    assert_eq!(with(&["ConnectTimeout=x"]).unwrap_err().0.len(), 1);
    assert_eq!(
        with(&["IdentifyFile=x"]).unwrap_err().to_string(),
        "-o IdentifyFile=x: `IdentifyFile` is no option of ssh_config; did you mean IdentityFile?"
    );
    for argument in ["Host berlin", "Match all", "Include x"] {
        assert!(
            matches!(with(&[argument]).unwrap_err().0[0].problem, Problem::NotOnCommandLine(_)),
            "{argument}"
        );
    }
    for argument in ["", "#", "Port", "Port="] {
        assert!(with(&[argument]).is_err(), "{argument}");
    }
}

#[test]
fn the_query_wins_over_the_files() {
    let query = Query { host: "berlin".into(), user: Some("me".into()), port: Some(7) };
    let file = [("User file\nPort 9", Scope::User)];
    let options = resolve_with(&Fake::default(), &[], &file, &query).unwrap();
    assert_eq!((options.user(), options.port()), ("me", 7));
    let options = resolve_with(&Fake::default(), &["User=x", "Port=8"], &file, &query).unwrap();
    assert_eq!((options.user(), options.port()), ("x", 8), "-o wins, as with ssh");
    let literal = Query { user: Some("a%rb".to_owned()), ..query };
    assert_eq!(resolve_with(&Fake::default(), &[], &[], &literal).unwrap().user(), "a%rb");
}

#[test]
fn destinations_that_could_reach_a_shell_are_refused() {
    for host in ["", "-oProxyCommand=x", "a;b", "a b", "$(x)", "a\nb", "`x`"] {
        let error = resolve_with(&Fake::default(), &[], &[], &to(host)).unwrap_err();
        assert!(matches!(error.0[0].problem, Problem::BadHost(_)), "{host}");
    }
    for user in ["", "-x", "a;b", "a -b", "a\\", "a\nb"] {
        let query = Query { user: Some(user.into()), ..to("berlin") };
        let error = resolve_with(&Fake::default(), &[], &[], &query).unwrap_err();
        assert!(matches!(error.0[0].problem, Problem::BadUser(_)), "{user}");
    }
    for host in ["2001:db8::1", "fe80::1%eth0", "192.0.2.1", "a_b-c.example.org"] {
        assert!(resolve_with(&Fake::default(), &[], &[], &to(host)).is_ok(), "{host}");
    }
}

/// A file that every include finds again.
#[derive(Debug)]
struct Itself<'a>(&'a str);

impl Surroundings for Itself<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn home_of(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn include(&self, pattern: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        Ok(vec![(pattern.to_owned(), self.0.to_owned())])
    }
}

fn resolve_any(text: &str) -> Result<HostOptions, Errors> {
    let file = File { path: PathBuf::from("config"), text: text.to_owned(), scope: Scope::User };
    let command_line: Vec<String> = text.lines().take(2).map(str::to_owned).collect();
    let local = alice();
    let sources =
        Sources { command_line: &command_line, files: &[file], local: &local, surroundings: &Itself(text) };
    resolve(&sources, &to("berlin"))
}

#[test]
fn files_that_include_themselves_end() {
    for text in ["Include x", "Include x x x", "Host other\nInclude x y", "Include x\nInclude y"] {
        let Errors(errors) = resolve_any(text).unwrap_err();
        assert!(
            errors
                .iter()
                .any(|error| matches!(error.problem, Problem::IncludeDepth(_) | Problem::IncludeCount(_))),
            "{text}: {errors:?}"
        );
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/ssh_config");
    let mut files = 0;
    for file in std::fs::read_dir(&directory).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let _ = resolve_any(&String::from_utf8_lossy(&bytes));
        files += 1;
    }
    assert!(files > 0, "{} is empty", directory.display());
}

proptest! {
    #[test]
    fn nothing_panics(text in "((Host|Match|Include|User|Port|HostName|ProxyJump|ProxyCommand|IdentityAgent|RekeyLimit) ?=?[ -~\t]{0,30}\n){0,6}") {
        let _ = resolve_any(&text);
    }

    #[test]
    fn nothing_panics_with_any_text(text in "\\PC{0,80}") {
        let _ = resolve_any(&text);
    }
}
