//! Everything of a start that can fail without a question to the kernel. `run` and `check` both go through here, so
//! that what the one refuses the other refuses too, and says it with its place in the file.

mod link;
mod network;
mod server;
mod way;

use std::collections::BTreeMap;

use tapline_config::{Diagnostic, Diagnostics, Loaded};
use tapline_transport::client;

use crate::ssh_options::{SshFiles, SshOptionsError};

/// A configuration that `run` can start with.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The options of each link that can be opened, by its name.
    pub(crate) links: BTreeMap<String, client::Options>,
    /// Links that cannot be opened as things are outside of the file, as the user's SSH configuration has a mistake
    /// that concerns them. The daemon runs without them.
    pub(crate) waiting: BTreeMap<String, Vec<Diagnostic>>,
    /// What of the server's files has to be mended before it starts.
    pub(crate) server: Vec<Diagnostic>,
    /// What will not work, or has a price.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// What is to be said about one link.
enum Unready {
    /// The file is wrong.
    Mistake(Vec<Diagnostic>),
    /// Something else is.
    Waits(Vec<Diagnostic>),
}

/// Reads what the links and the server need, and draws the network on paper. Nothing is changed or created.
///
/// # Errors
/// Every mistake in the file.
pub(crate) fn prepare(loaded: &Loaded) -> Result<Prepared, Diagnostics> {
    prepare_with(loaded, SshFiles::read_default)
}

fn prepare_with(
    loaded: &Loaded,
    files: impl FnOnce() -> Result<SshFiles, SshOptionsError>,
) -> Result<Prepared, Diagnostics> {
    let mut mistakes = Vec::new();
    let mut prepared = Prepared::default();
    // A host without links needs no SSH configuration.
    if !loaded.config.links.is_empty() {
        match files() {
            Ok(files) => links(loaded, &files, &mut prepared, &mut mistakes),
            Err(error) => {
                for name in loaded.config.links.keys() {
                    let place = ["links", name.as_str(), "host"];
                    let (message, hint) = split(&error.to_string());
                    let waits = vec![loaded.places.error(&place, message, hint)];
                    prepared.waiting.insert(name.to_string(), waits);
                }
            }
        }
    }
    if let Some(config) = &loaded.config.server {
        let found = server::inspect(config, &loaded.places);
        mistakes.extend(found.mistakes);
        prepared.server = found.waits;
        prepared.warnings.extend(found.warnings);
    }
    mistakes.extend(network::conflicts(loaded));
    if mistakes.is_empty() {
        return Ok(prepared);
    }
    Err(mistakes.into_iter().chain(prepared.warnings).collect())
}

impl Prepared {
    /// Everything that `check` says: what waits is a mistake, though not one of this file.
    pub(crate) fn into_diagnostics(self, loaded: Loaded) -> Diagnostics {
        let waiting = self.waiting.into_values().flatten().chain(self.server);
        loaded.warnings.and(self.warnings).and(waiting)
    }
}

fn links(loaded: &Loaded, files: &SshFiles, prepared: &mut Prepared, mistakes: &mut Vec<Diagnostic>) {
    for (name, link) in &loaded.config.links {
        match link::options(files, name, link, &loaded.places) {
            Ok(options) => {
                prepared.warnings.extend(link::files(name, link, &loaded.places));
                prepared.warnings.extend(way::warnings(loaded, name, link, &options));
                prepared.links.insert(name.to_string(), options);
            }
            Err(Unready::Mistake(found)) => mistakes.extend(found),
            Err(Unready::Waits(found)) => {
                prepared.waiting.insert(name.to_string(), found);
            }
        }
    }
}

/// For a log.
pub(crate) fn in_one_line(found: &[Diagnostic]) -> String {
    found.iter().map(Diagnostic::in_one_line).collect::<Vec<_>>().join("; ")
}

/// Errors say what is wrong and, after a semicolon, what to do.
fn split(error: &str) -> (String, String) {
    match error.split_once("; ") {
        Some((message, hint)) => (message.to_owned(), hint.to_owned()),
        None => (error.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests;
