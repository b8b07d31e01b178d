//! The options of one host, resolved as OpenSSH's `ssh_config(5)` does.
//!
//! The core is pure: it takes the text of the configuration files, a [`Query`] and the local user, and returns
//! [`HostOptions`]. Whatever has to come from outside (included files, the environment, another user's home) is asked
//! of [`Surroundings`]; [`Machine`] is the one that asks this machine.
//!
//! The rules, all OpenSSH's:
//! - the first value wins, in the order: `-o` options, the query, the user's file, the system's file;
//!   `IdentityFile` and `CertificateFile` accumulate instead;
//! - `Host` and `Match` open blocks; lines before the first block always apply;
//! - `Match final` asks for a second pass, in which `Host` and `Match host` see the resolved `HostName`;
//! - a line is checked also where its block does not apply, and a line that ssh refuses is refused;
//! - every keyword of the manual is in one table, `keyword`, which says what becomes of it.
//!
//! Where this differs, on purpose: the `Match` criteria that would run a program or look at the network (`exec`,
//! `localnetwork`) are errors, though only where they decide; a name that `CanonicalizeHostname` would look up in DNS is
//! refused; tokens that ssh refuses when it connects are refused at once.

mod algorithm;
mod dump;
mod error;
mod expand;
mod files;
mod jump;
mod keyword;
mod line;
mod matching;
mod options;
mod outcome;
mod pattern;
mod resolver;
mod settings;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

pub use algorithm::AlgorithmList;
pub use error::{Errors, LineError, Origin, Problem, Warning};
pub use files::{Machine, local_user, read_default_files, read_file};
pub use jump::JumpHost;
pub use jump::parse_destination;
pub use keyword::keyword_names;
pub use options::{
    AddressFamily, CanonicalizeHostname, HostOptions, IdentityAgent, KnownHostsCommand, LocalCommand, Proxy,
    PubkeyAuthentication, RekeyLimit, StrictHostKeyChecking, Tunnel, TunnelDevice, TunnelUnit,
};

/// What a resolution starts from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Arguments of `-o`, in order: `Keyword=value` or `Keyword value`. They win over the query and every file.
    pub command_line: &'a [String],
    /// The configuration files in order of precedence: the user's, then the system's.
    pub files: &'a [File],
    /// Who runs this, and where.
    pub local: &'a LocalUser,
    /// Where included files and environment variables come from.
    pub surroundings: &'a dyn Surroundings,
}

/// The destination as the user wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// A host name, an address or an alias of the configuration.
    pub host: String,
    /// The user before the `@`; wins over `User` of the files.
    pub user: Option<String>,
    /// The port given beside the host; wins over `Port` of the files.
    pub port: Option<u16>,
}

/// One configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Named in errors and warnings.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Whose file it is.
    pub scope: Scope,
}

/// Whose file a configuration file is: decides what a relative `Include` is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Relative to `~/.ssh`.
    User,
    /// Relative to `/etc/ssh`; `~` is refused.
    System,
}

/// Who runs this, and where: the values behind `%u`, `%i`, `%d`, `%l` and `~`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUser {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Host name of this machine, with its domain if it has one.
    pub host_name: String,
}

/// What a resolution may ask of the outside.
pub trait Surroundings: fmt::Debug {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The home directory of a user, for `~user`.
    fn home_of(&self, user: &str) -> Option<PathBuf>;

    /// The files that `pattern`, an absolute path with glob(7) wildcards, names, in the order of their names.
    /// No match is an empty list.
    ///
    /// # Errors
    /// When a file that exists cannot be read, or must not be trusted.
    fn include(&self, pattern: &Path) -> io::Result<Vec<(PathBuf, String)>>;
}

/// Resolves the options of one host.
///
/// # Errors
/// Every mistake of the files and options that were read, each with its place.
pub fn resolve(sources: &Sources<'_>, query: &Query) -> Result<HostOptions, Errors> {
    resolver::resolve(sources, query)
}
