#![no_main]

use std::{
    io,
    path::{Path, PathBuf},
};

use libfuzzer_sys::fuzz_target;
use tapline_config::ssh_config::{File, LocalUser, Query, Scope, Sources, Surroundings, resolve};

/// Every include finds the whole input again, so that includes nest.
#[derive(Debug)]
struct Itself<'a>(&'a str);

impl Surroundings for Itself<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (name.len() < 8).then(|| name.to_owned())
    }

    fn home_of(&self, user: &str) -> Option<PathBuf> {
        (user.len() < 8).then(|| Path::new("/home").join(user))
    }

    fn include(&self, pattern: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        Ok(vec![(pattern.to_owned(), self.0.to_owned())])
    }
}

fuzz_target!(|bytes: &[u8]| {
    // Includes multiply the work, up to their limit.
    let Some(bytes) = bytes.get(..bytes.len().min(4096)) else { return };
    let text = String::from_utf8_lossy(bytes).into_owned();
    let local = LocalUser {
        name: "alice".to_owned(),
        uid: 1000,
        home: PathBuf::from("/home/alice"),
        host_name: "laptop.example.org".to_owned(),
    };
    let surroundings = Itself(&text);
    let file = File { path: PathBuf::from("config"), text: text.clone(), scope: Scope::User };
    let sources = Sources {
        command_line: &text.lines().take(2).map(str::to_owned).collect::<Vec<_>>(),
        files: &[file],
        local: &local,
        surroundings: &surroundings,
    };
    let query = Query { host: "berlin".to_owned(), ..Query::default() };
    let _ = resolve(&sources, &query);
});
