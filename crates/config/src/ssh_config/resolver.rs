//! Walks through the sources and puts the result together.

use std::path::{Path, PathBuf};

use super::{
    Errors, File, HostOptions, IdentityAgent, JumpHost, LineError, Origin, Problem, Proxy, Query, Scope,
    Sources, Warning,
    expand::{self, Tokens},
    jump,
    keyword::{self, Keyword},
    line::{self, Line},
    matching::{self, Subject},
    pattern,
    settings::{Assignment, Settings, Sited, current_host},
};

/// OpenSSH's limit on includes within includes.
const MAX_INCLUDE_DEPTH: usize = 16;
/// A file that includes itself twice would otherwise be read 2^16 times.
const MAX_INCLUDED_FILES: usize = 1024;
/// Mistakes beyond this many are not worth reading.
const MAX_ERRORS: usize = 100;

pub(super) fn resolve(sources: &Sources<'_>, query: &Query) -> Result<HostOptions, Errors> {
    let mut walk = Walk::new(sources, query);
    walk.check_destination();
    for argument in sources.command_line {
        walk.command_line_option(argument);
    }
    walk.read_files();
    if walk.wants_final && walk.errors.is_empty() {
        walk.begin_final_pass();
        walk.read_files();
    }
    walk.finish()
}

struct Walk<'a> {
    sources: &'a Sources<'a>,
    query: &'a Query,
    settings: Settings,
    ignore_unknown: Option<String>,
    wants_final: bool,
    /// The host of the second pass.
    final_host: Option<String>,
    included: usize,
    warnings: Vec<Warning>,
    errors: Vec<LineError>,
}

/// How a file came to be read.
#[derive(Clone, Copy)]
struct Context {
    scope: Scope,
    depth: usize,
    /// Whether the `Include` of this file applied: where not, nothing in it can.
    reachable: bool,
}

impl<'a> Walk<'a> {
    fn new(sources: &'a Sources<'a>, query: &'a Query) -> Self {
        let mut settings = Settings { port: query.port, ..Settings::default() };
        settings.user = query.user.as_ref().map(|user| Sited {
            // The name is what it is: no token in it counts.
            text: user.replace('%', "%%").replace("${", "$%{"),
            origin: Origin::Destination,
        });
        Self {
            sources,
            query,
            settings,
            ignore_unknown: None,
            wants_final: false,
            final_host: None,
            included: 0,
            warnings: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Names from outside the configuration may end up in a `ProxyCommand`.
    fn check_destination(&mut self) {
        if !jump::is_safe_host(&self.query.host) {
            self.fail(&Origin::Destination, Problem::BadHost(self.query.host.clone()));
        }
        if let Some(user) = &self.query.user
            && !jump::is_safe_user(user)
        {
            self.fail(&Origin::Destination, Problem::BadUser(user.clone()));
        }
    }

    fn command_line_option(&mut self, argument: &str) {
        let origin = Origin::CommandLine(argument.to_owned());
        let Some(line) = Line::parse(argument) else {
            return self.fail(&origin, Problem::MissingArgument("-o".to_owned()));
        };
        match keyword::find(line.keyword) {
            Some((name, Keyword::Host | Keyword::Match | Keyword::Include)) => {
                self.fail(&origin, Problem::NotOnCommandLine(name));
            }
            Some((name, keyword)) => self.option(name, keyword, line, &origin, true),
            None if self.is_ignored(line.keyword) => {}
            None => self.fail(
                &origin,
                Problem::UnknownOption {
                    name: line.keyword.to_owned(),
                    nearest: keyword::nearest(line.keyword),
                },
            ),
        }
    }

    fn read_files(&mut self) {
        for file in self.sources.files {
            let context = Context { scope: file.scope, depth: 0, reachable: true };
            self.read(file, context);
        }
    }

    fn read(&mut self, file: &File, context: Context) {
        let mut active = context.reachable;
        for (index, text) in file.text.split('\n').enumerate() {
            let Some(line) = Line::parse(text) else { continue };
            let origin = Origin::File { path: file.path.clone(), line: index + 1 };
            match keyword::find(line.keyword) {
                Some((name, Keyword::Host)) => {
                    if let Some(patterns) = self.arguments(name, line, &origin) {
                        active = context.reachable && matching::host_line(self.host_of_blocks(), &patterns);
                    }
                }
                Some((_, Keyword::Match)) => active = self.match_block(line, &origin, context.reachable),
                Some((name, Keyword::Include)) => {
                    if let Some(patterns) = self.arguments(name, line, &origin) {
                        let inner = Context { reachable: active, depth: context.depth + 1, ..context };
                        self.include(&patterns, &origin, inner);
                    }
                }
                Some((name, keyword)) => self.option(name, keyword, line, &origin, active),
                None if self.is_ignored(line.keyword) => {}
                None => self.warn_unknown(origin, line.keyword),
            }
        }
    }

    /// What `Host` patterns are compared with: the host as written, in the second pass the one to connect to.
    fn host_of_blocks(&self) -> &str {
        self.final_host.as_deref().unwrap_or(&self.query.host)
    }

    fn match_block(&mut self, line: Line<'_>, origin: &Origin, reachable: bool) -> bool {
        let arguments = match line::split_arguments(line.rest) {
            Ok(arguments) => arguments,
            Err(line::UnclosedQuote) => {
                self.fail(origin, Problem::UnclosedQuote);
                return false;
            }
        };
        let tokens = self.tokens();
        let outcome = matching::match_line(
            &Subject {
                host: &tokens.host,
                original_host: &self.query.host,
                user: &tokens.user,
                local_user: &self.sources.local.name,
                tag: self.settings.tag.as_ref().map_or("", |tag| &tag.text),
                is_final: self.final_host.is_some(),
            },
            &arguments,
            reachable,
        );
        match outcome {
            Ok(outcome) => {
                self.wants_final |= outcome.wants_final;
                outcome.applies && reachable
            }
            Err(problem) => {
                self.fail(origin, problem);
                false
            }
        }
    }

    fn include(&mut self, patterns: &[String], origin: &Origin, context: Context) {
        if context.depth > MAX_INCLUDE_DEPTH {
            return self.fail(origin, Problem::IncludeDepth(MAX_INCLUDE_DEPTH));
        }
        for written in patterns {
            let pattern = match self.include_path(written, context.scope) {
                Ok(pattern) => pattern,
                Err(problem) => {
                    self.fail(origin, problem);
                    continue;
                }
            };
            let files = match self.sources.surroundings.include(&pattern) {
                Ok(files) => files,
                Err(error) => {
                    let problem = Problem::Include {
                        pattern: pattern.display().to_string(),
                        reason: error.to_string(),
                    };
                    self.fail(origin, problem);
                    continue;
                }
            };
            for (path, text) in files {
                self.included += 1;
                if self.included > MAX_INCLUDED_FILES {
                    // Said once, not by each of the includes that led here.
                    if self.included == MAX_INCLUDED_FILES + 1 {
                        self.fail(origin, Problem::IncludeCount(MAX_INCLUDED_FILES));
                    }
                    return;
                }
                let scope = context.scope;
                self.read(&File { path, text, scope }, context);
            }
        }
    }

    fn include_path(&self, written: &str, scope: Scope) -> Result<PathBuf, Problem> {
        let surroundings = self.sources.surroundings;
        let expanded =
            expand::expand("Include", written, &self.tokens(), expand::CONNECTION, Some(surroundings))?;
        let anchored = match scope {
            Scope::System if expanded.starts_with('~') => return Err(Problem::HomeInSystemFile(expanded)),
            Scope::System => Path::new("/etc/ssh").join(expanded),
            Scope::User => {
                let expanded = expand::expand_home("Include", &expanded, self.sources.local, surroundings)?;
                self.sources.local.home.join(".ssh").join(expanded)
            }
        };
        Ok(anchored)
    }

    fn option(
        &mut self,
        name: &'static str,
        keyword: Keyword,
        line: Line<'_>,
        origin: &Origin,
        active: bool,
    ) {
        let Some(arguments) = self.arguments(name, line, origin) else { return };
        let assignment = Assignment { keyword, name, rest: line.rest, arguments: &arguments, origin, active };
        match keyword {
            Keyword::IgnoreUnknown => {
                if active {
                    self.ignore_unknown.get_or_insert_with(|| arguments.join(","));
                }
            }
            Keyword::RefuseConnection if active => {
                self.fail(origin, Problem::Refused(arguments.join(" ")));
            }
            Keyword::NotHonoured { harmless, consequence } => {
                if active && !line.rest.eq_ignore_ascii_case(harmless) {
                    self.warn(Warning::NotHonoured { origin: origin.clone(), keyword: name, consequence });
                }
            }
            _ => {
                if let Err(problem) = self.settings.assign(assignment) {
                    self.fail(origin, problem);
                }
            }
        }
    }

    /// The arguments of a line that needs at least one.
    fn arguments(&mut self, name: &str, line: Line<'_>, origin: &Origin) -> Option<Vec<String>> {
        match line::split_arguments(line.rest) {
            Ok(arguments) if arguments.is_empty() => {
                self.fail(origin, Problem::MissingArgument(name.to_owned()));
                None
            }
            Ok(arguments) => Some(arguments),
            Err(line::UnclosedQuote) => {
                self.fail(origin, Problem::UnclosedQuote);
                None
            }
        }
    }

    fn is_ignored(&self, name: &str) -> bool {
        self.ignore_unknown
            .as_ref()
            .is_some_and(|list| pattern::matches_list(&name.to_ascii_lowercase(), &list.to_ascii_lowercase()))
    }

    /// The tokens as far as they are known by now.
    fn tokens(&self) -> Tokens<'a> {
        let local = self.sources.local;
        let mut tokens = Tokens {
            local,
            host: self.query.host.clone(),
            original_host: &self.query.host,
            port: self.settings.port.unwrap_or(22),
            user: match (&self.query.user, &self.settings.user) {
                (Some(user), _) => user.clone(),
                (None, Some(user)) => user.text.clone(),
                (None, None) => local.name.clone(),
            },
            key_alias: match &self.settings.host_key_alias {
                Some(alias) => alias.text.to_ascii_lowercase(),
                None => self.query.host.clone(),
            },
            jump_host: self.settings.jump_host().to_owned(),
        };
        tokens.host = match &self.final_host {
            Some(host) => host.clone(),
            None => current_host(&self.settings, &self.query.host, &tokens),
        };
        tokens
    }

    fn begin_final_pass(&mut self) {
        self.final_host = Some(lowercase_name(&self.tokens().host));
        self.included = 0;
    }

    fn warn_unknown(&mut self, origin: Origin, name: &str) {
        // The search for the nearest name takes long enough to do it once for each line only.
        let is_same = |warning: &Warning| matches!(warning, Warning::UnknownOption { origin: known, name: other, .. } if *known == origin && other == name);
        if self.warnings.len() < MAX_ERRORS && !self.warnings.iter().any(is_same) {
            let nearest = keyword::nearest(name);
            self.warnings.push(Warning::UnknownOption { origin, name: name.to_owned(), nearest });
        }
    }

    fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < MAX_ERRORS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn fail(&mut self, origin: &Origin, problem: Problem) {
        if self.errors.len() < MAX_ERRORS {
            let origin = origin.clone();
            self.errors.push(LineError { origin, problem });
        }
    }

    fn finish(mut self) -> Result<HostOptions, Errors> {
        let mut tokens = self.tokens();
        tokens.host = lowercase_name(&tokens.host);
        let written_user = self.settings.user.take();
        let user = match (&self.query.user, written_user) {
            (Some(user), _) => Some(user.clone()),
            (None, Some(user)) => self.expanded("User", &user, &tokens, expand::USER).filter(|name| {
                let safe = *name == user.text || jump::is_safe_user(name);
                if !safe {
                    self.fail(&user.origin, Problem::BadUser(name.clone()));
                }
                safe
            }),
            (None, None) => None,
        };
        tokens.user = user.clone().unwrap_or_else(|| self.sources.local.name.clone());
        let tokens = &tokens;

        let settings = std::mem::take(&mut self.settings);
        let rekey_limit = settings.rekey_limit();
        let host_name = settings.host_name.map(|_| tokens.host.clone());
        let identity_file = match settings.identity_file {
            unset if unset.is_empty() => None,
            files => Some(self.paths("IdentityFile", files, tokens)),
        };
        let user_known_hosts_file =
            settings.user_known_hosts_file.map(|files| self.paths("UserKnownHostsFile", files, tokens));
        let global_known_hosts_file = settings
            .global_known_hosts_file
            .map(|files| files.into_iter().map(|file| file.text.into()).collect());
        let certificate_file = self.paths("CertificateFile", settings.certificate_file, tokens);
        let identity_agent = settings.identity_agent.and_then(|agent| self.agent(&agent, tokens));
        let proxy = self.proxy(settings.proxy_jump, settings.proxy_command, settings.port, tokens);
        let options = HostOptions {
            original_host: self.query.host.clone(),
            local_user: self.sources.local.name.clone(),
            home: self.sources.local.home.clone(),
            host_name,
            port: settings.port,
            user,
            identity_file,
            identities_only: settings.identities_only,
            identity_agent,
            certificate_file,
            user_known_hosts_file,
            global_known_hosts_file,
            strict_host_key_checking: settings.strict_host_key_checking,
            host_key_alias: settings.host_key_alias.map(|alias| alias.text.to_ascii_lowercase()),
            hash_known_hosts: settings.hash_known_hosts,
            proxy,
            connect_timeout: settings.connect_timeout,
            server_alive_interval: settings.server_alive_interval,
            server_alive_count_max: settings.server_alive_count_max,
            address_family: settings.address_family,
            bind_address: settings.bind_address.map(|address| address.text),
            rekey_limit,
            tunnel: settings.tunnel,
            tunnel_device: settings.tunnel_device,
            exit_on_forward_failure: settings.exit_on_forward_failure,
            batch_mode: settings.batch_mode,
            password_authentication: settings.password_authentication,
            kbd_interactive_authentication: settings.kbd_interactive_authentication,
            pubkey_authentication: settings.pubkey_authentication,
            warnings: self.warnings,
        };
        match self.errors.is_empty() {
            true => Ok(options),
            false => Err(Errors(self.errors)),
        }
    }

    fn expanded(
        &mut self,
        keyword: &'static str,
        value: &Sited,
        tokens: &Tokens<'_>,
        allowed: &str,
    ) -> Option<String> {
        let surroundings = self.sources.surroundings;
        match expand::expand(keyword, &value.text, tokens, allowed, Some(surroundings)) {
            Ok(expanded) => Some(expanded),
            Err(problem) => {
                self.fail(&value.origin, problem);
                None
            }
        }
    }

    fn path(&mut self, keyword: &'static str, value: &Sited, tokens: &Tokens<'_>) -> Option<PathBuf> {
        match expand::expand_home(keyword, &value.text, self.sources.local, self.sources.surroundings) {
            Ok(text) => {
                let origin = value.origin.clone();
                let path = self.expanded(keyword, &Sited { text, origin }, tokens, expand::CONNECTION)?;
                Some(PathBuf::from(path))
            }
            Err(problem) => {
                self.fail(&value.origin, problem);
                None
            }
        }
    }

    /// Files to use; `none` among identity files stands for nothing.
    fn paths(&mut self, keyword: &'static str, files: Vec<Sited>, tokens: &Tokens<'_>) -> Vec<PathBuf> {
        files
            .iter()
            .filter(|file| !file.text.eq_ignore_ascii_case("none"))
            .filter_map(|file| self.path(keyword, file, tokens))
            .collect()
    }

    fn agent(&mut self, agent: &Sited, tokens: &Tokens<'_>) -> Option<IdentityAgent> {
        match agent.text.as_str() {
            "none" => Some(IdentityAgent::None),
            "SSH_AUTH_SOCK" => Some(IdentityAgent::Environment),
            // The old form `$NAME`; unlike `${NAME}` it may be unset, and then there is no agent.
            variable if variable.starts_with('$') && !variable.starts_with("${") => {
                let name = variable.trim_start_matches('$');
                Some(match self.sources.surroundings.variable(name) {
                    Some(socket) => IdentityAgent::Socket(socket.into()),
                    None => IdentityAgent::None,
                })
            }
            _ => self.path("IdentityAgent", agent, tokens).map(IdentityAgent::Socket),
        }
    }

    fn proxy(
        &mut self,
        jump: Option<(Vec<JumpHost>, Origin)>,
        command: Option<Sited>,
        port: Option<u16>,
        tokens: &Tokens<'_>,
    ) -> Option<Proxy> {
        let (hosts, origin) = match (jump, command) {
            (Some((hosts, origin)), _) if !hosts.is_empty() => (hosts, origin),
            (_, Some(command)) if !command.text.is_empty() => {
                return match expand::expand("ProxyCommand", &command.text, tokens, expand::PROXY, None) {
                    Ok(command) => Some(Proxy::Command(command)),
                    Err(problem) => {
                        self.fail(&command.origin, problem);
                        None
                    }
                };
            }
            (None, None) => return None,
            (_, _) => return Some(Proxy::Direct),
        };
        let mut expanded = Vec::with_capacity(hosts.len());
        for mut hop in hosts {
            let expand = |text: &str| expand::expand("ProxyJump", text, tokens, expand::PROXY, None);
            match (expand(&hop.host), hop.user.as_deref().map(expand).transpose()) {
                (Ok(host), Ok(user)) => {
                    hop.host = host;
                    hop.user = user;
                    expanded.push(hop);
                }
                (Err(problem), _) | (_, Err(problem)) => self.fail(&origin, problem),
            }
        }
        if let Some(last) = expanded.last()
            && last.host == tokens.host
            && last.port.unwrap_or(22) == port.unwrap_or(22)
            && last.user.as_deref().is_none_or(|user| user == tokens.user)
        {
            self.fail(&origin, Problem::JumpLoop(last.host.clone()));
        }
        Some(Proxy::Jump(expanded))
    }
}

/// Host names in lower case; addresses as they are, for the case of a zone counts.
fn lowercase_name(host: &str) -> String {
    let address = host.split('%').next().unwrap_or_default();
    match address.parse::<std::net::IpAddr>() {
        Ok(_) => host.to_owned(),
        Err(_) => host.to_ascii_lowercase(),
    }
}
