//! Walks through the sources, line by line.

use std::path::{Path, PathBuf};

use super::{
    CanonicalizeHostname, Errors, File, HostOptions, LineError, Origin, Problem, Query, Scope, Sources,
    Warning,
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
    walk.destination();
    walk.read_files();
    walk.canonicalize();
    if walk.wants_final && walk.errors.is_empty() {
        walk.begin_final_pass();
        walk.read_files();
    }
    walk.finish()
}

pub(super) struct Walk<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) query: &'a Query,
    pub(super) settings: Settings,
    wants_final: bool,
    /// The host of the second pass.
    final_host: Option<String>,
    included: usize,
    pub(super) warnings: Vec<Warning>,
    pub(super) errors: Vec<LineError>,
}

/// Where a line stands, and whether it counts.
#[derive(Clone, Copy)]
struct Place<'a> {
    origin: &'a Origin,
    /// Nobody's on the command line.
    scope: Option<Scope>,
    active: bool,
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
        Self {
            sources,
            query,
            settings: Settings::default(),
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

    /// What the destination itself says, where no `-o` option says it.
    fn destination(&mut self) {
        self.settings.port = self.settings.port.or(self.query.port);
        if let (None, Some(user)) = (&self.settings.user, &self.query.user) {
            self.settings.user = Some(Sited { text: user.clone(), origin: Origin::Destination });
        }
    }

    fn command_line_option(&mut self, argument: &str) {
        let origin = Origin::CommandLine(argument.to_owned());
        let Some(line) = Line::parse(argument) else {
            return self.fail(&origin, Problem::MissingArgument("-o".to_owned()));
        };
        let Some(arguments) = self.arguments(&line, &origin) else { return };
        match keyword::find(&line.keyword) {
            Some((name, Keyword::Host | Keyword::Match | Keyword::Include)) => {
                self.fail(&origin, Problem::NotOnCommandLine(name));
            }
            Some((name, keyword)) => {
                self.option(
                    name,
                    keyword,
                    &line,
                    &arguments,
                    Place { origin: &origin, scope: None, active: true },
                );
            }
            None => self.unknown(&origin, &line.keyword),
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
            let Some(arguments) = self.arguments(&line, &origin) else { continue };
            match keyword::find(&line.keyword) {
                Some((name, Keyword::Host)) => {
                    if arguments.iter().any(String::is_empty) {
                        self.fail(&origin, Problem::EmptyArgument(name.to_owned()));
                    }
                    active = context.reachable && matching::host_line(self.host_of_blocks(), &arguments);
                }
                Some((_, Keyword::Match)) => {
                    active = self.match_block(&arguments, &origin, context.reachable)
                }
                Some((_, Keyword::Include)) => {
                    let inner = Context { reachable: active, depth: context.depth + 1, ..context };
                    self.include(&arguments, &origin, inner);
                }
                Some((name, keyword)) => {
                    let place = Place { origin: &origin, scope: Some(context.scope), active };
                    self.option(name, keyword, &line, &arguments, place);
                }
                None => self.unknown(&origin, &line.keyword),
            }
        }
    }

    /// What `Host` patterns are compared with: the host as written, in the second pass the one to connect to.
    fn host_of_blocks(&self) -> &str {
        self.final_host.as_deref().unwrap_or(&self.query.host)
    }

    fn match_block(&mut self, arguments: &[String], origin: &Origin, reachable: bool) -> bool {
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
            arguments,
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
            if written.is_empty() {
                return self.fail(origin, Problem::EmptyArgument("Include".to_owned()));
            }
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
        line: &Line<'_>,
        arguments: &[String],
        place: Place<'_>,
    ) {
        let Place { origin, scope, active } = place;
        let assignment = Assignment { keyword, name, rest: line.rest, arguments, origin, scope, active };
        if let Err(problem) = self.settings.assign(assignment) {
            self.fail(origin, problem);
        }
    }

    /// The arguments of a line; a line without any text behind its keyword is a mistake.
    fn arguments(&mut self, line: &Line<'_>, origin: &Origin) -> Option<Vec<String>> {
        let problem = match line::split_arguments(line.rest) {
            // Above all a line whose blanks are of another kind.
            _ if line.rest.is_empty()
                && keyword::find(&line.keyword).is_none()
                && !self.is_ignored(&line.keyword) =>
            {
                self.unknown(origin, &line.keyword);
                return None;
            }
            _ if line.rest.is_empty() => Problem::MissingArgument(line.keyword.clone().into_owned()),
            // What was no text when the file was read must not become another name or path.
            Ok(arguments) if arguments.iter().any(|text| text.contains(char::REPLACEMENT_CHARACTER)) => {
                Problem::NotUtf8
            }
            Ok(arguments) => return Some(arguments),
            Err(line::UnclosedQuote) => Problem::UnclosedQuote,
        };
        self.fail(origin, problem);
        None
    }

    fn unknown(&mut self, origin: &Origin, name: &str) {
        // The search for the nearest name takes a while.
        if !self.is_ignored(name) && self.errors.len() < MAX_ERRORS {
            let nearest = keyword::nearest(name);
            self.fail(origin, Problem::UnknownOption { name: name.to_owned(), nearest });
        }
    }

    fn is_ignored(&self, name: &str) -> bool {
        let list = self.settings.ignore_unknown.as_ref();
        list.is_some_and(|list| {
            pattern::matches_list(&name.to_ascii_lowercase(), &list.text.to_ascii_lowercase())
        })
    }

    /// The tokens as far as they are known by now.
    pub(super) fn tokens(&self) -> Tokens<'a> {
        let local = self.sources.local;
        let mut tokens = Tokens {
            local,
            host: self.query.host.clone(),
            original_host: &self.query.host,
            port: self.settings.port.unwrap_or(22),
            user: self.settings.user.as_ref().map_or_else(|| local.name.clone(), |user| user.text.clone()),
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

    /// Whether the name would be looked up to learn what is meant, and what follows when it would not.
    fn canonicalize(&mut self) {
        // From here on these have their defaults: a second pass does not change them.
        let settings = &mut self.settings;
        settings.canonicalize_max_dots.get_or_insert(1);
        settings.canonicalize_fallback_local.get_or_insert(true);
        let (mode, origin) = settings
            .canonicalize_hostname
            .get_or_insert((CanonicalizeHostname::No, Origin::Destination))
            .clone();
        let host = self.tokens().host;
        let is_address = host.split('%').next().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        let direct = self.settings.goes_directly();
        let domains = self.settings.canonical_domains.as_deref().unwrap_or_default();
        let dots = host.matches('.').count();
        let is_short =
            usize::try_from(self.settings.canonicalize_max_dots.unwrap_or(1)).is_ok_and(|most| dots <= most);
        let is_tried = match mode {
            CanonicalizeHostname::No => false,
            CanonicalizeHostname::Yes => !is_address && direct,
            CanonicalizeHostname::Always => !is_address,
        };
        if is_tried && (host.ends_with('.') || (is_short && !domains.is_empty())) {
            return self.fail(&origin, Problem::Canonicalize("CanonicalizeHostname", host));
        }
        if is_tried && is_short && self.settings.canonicalize_fallback_local == Some(false) {
            return self.fail(&origin, Problem::NotCanonical(host));
        }
        let follows = direct || mode == CanonicalizeHostname::Always;
        if let Some((rules, origin)) = &self.settings.canonicalize_permitted_cnames
            && !rules.is_empty()
            && follows
            && !is_address
        {
            let origin = origin.clone();
            return self.fail(&origin, Problem::Canonicalize("CanonicalizePermittedCNAMEs", host));
        }
        self.wants_final |= mode != CanonicalizeHostname::No;
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < MAX_ERRORS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn fail(&mut self, origin: &Origin, problem: Problem) {
        if self.errors.len() < MAX_ERRORS {
            let origin = origin.clone();
            self.errors.push(LineError { origin, problem });
        }
    }
}

/// Host names in lower case, addresses in their one spelling. As with ssh, another case is no other spelling of an
/// address, and what only looks like one stays as it is.
pub(super) fn lowercase_name(host: &str) -> String {
    let (address, zone) = host.split_at_checked(host.find('%').unwrap_or(host.len())).unwrap_or((host, ""));
    match address.parse::<std::net::IpAddr>() {
        Ok(parsed) if !parsed.to_string().eq_ignore_ascii_case(address) => format!("{parsed}{zone}"),
        Ok(_) => host.to_owned(),
        Err(_) if host.contains([':', '%']) => host.to_owned(),
        Err(_) => host.to_ascii_lowercase(),
    }
}
