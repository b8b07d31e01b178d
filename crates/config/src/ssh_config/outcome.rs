//! The end of a walk: what was set is expanded, and what is not honoured is judged.

use std::path::PathBuf;

use super::{
    Errors, HostOptions, IdentityAgent, JumpHost, KnownHostsCommand, LocalCommand, Origin, Problem, Proxy,
    Scope, Warning,
    expand::{self, Tokens},
    jump,
    keyword::Stance,
    line,
    options::Written,
    resolver::{Walk, lowercase_name},
    settings::Sited,
};

impl Walk<'_> {
    /// What holds for the host.
    pub(super) fn finish(mut self) -> Result<HostOptions, Errors> {
        self.judge_unhonoured();
        let mut tokens = self.tokens();
        tokens.host = lowercase_name(&tokens.host);
        let user = match self.settings.user.take() {
            // The destination's name is what it is: no token in it counts.
            Some(Sited { text, origin: Origin::Destination }) => Some(text),
            Some(user) => self.expanded("User", &user, &tokens, expand::USER).filter(|name| {
                let safe = *name == user.text || jump::is_safe_user(name);
                if !safe {
                    self.fail(&user.origin, Problem::BadUser(name.clone()));
                }
                safe
            }),
            None => None,
        };
        tokens.user = user.clone().unwrap_or_else(|| self.sources.local.name.clone());
        let tokens = &tokens;

        let settings = std::mem::take(&mut self.settings);
        let rekey_limit = settings.rekey_limit();
        let host_name =
            (settings.host_name.is_some() || tokens.host != self.query.host).then(|| tokens.host.clone());
        let texts = |list: &[Sited]| list.iter().map(|sited| sited.text.clone()).collect();
        let text = |sited: &Option<Sited>| {
            sited.as_ref().map(|sited| sited.text.clone()).filter(|text| !text.is_empty())
        };
        let written = Written {
            identity_file: texts(&settings.identity_file),
            certificate_file: texts(&settings.certificate_file),
            identity_agent: None,
            proxy_command: text(&settings.proxy_command),
            proxy_jump: settings
                .proxy_jump
                .as_ref()
                .and_then(|(hosts, list)| jump::written(hosts, &list.text)),
            local_command: text(&settings.local_command),
            known_hosts_command: text(&settings.known_hosts_command),
        };
        let written_agent = text(&settings.identity_agent);
        let known_hosts_command = settings
            .known_hosts_command
            .filter(|command| !command.text.is_empty())
            .and_then(|command| self.known_hosts_command(&command, tokens));
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
        let revoked_host_keys =
            self.paths("RevokedHostKeys", settings.revoked_host_keys.unwrap_or_default(), tokens);
        let local_command = settings
            .local_command
            .filter(|command| settings.permit_local_command == Some(true) && !command.text.is_empty())
            .and_then(|command| self.local_command(&command, tokens));
        let identity_agent = settings.identity_agent.and_then(|agent| self.agent(&agent, tokens));
        // Of the agents only a path has tokens.
        let written = Written {
            identity_agent: match (&identity_agent, written_agent) {
                (Some(IdentityAgent::Socket(path)), Some(agent)) if !expand::is_variable(&agent) => {
                    Some(path.display().to_string())
                }
                (_, agent) => agent,
            },
            ..written
        };
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
            revoked_host_keys,
            known_hosts_command,
            proxy,
            proxy_use_fdpass: settings.proxy_use_fdpass.map(|(flag, _)| flag),
            canonicalize_hostname: settings.canonicalize_hostname.map(|(mode, _)| mode),
            canonical_domains: settings.canonical_domains,
            canonicalize_max_dots: settings.canonicalize_max_dots,
            canonicalize_fallback_local: settings.canonicalize_fallback_local,
            canonicalize_permitted_cnames: settings.canonicalize_permitted_cnames.map(|(rules, _)| rules),
            connect_timeout: settings.connect_timeout,
            server_alive_interval: settings.server_alive_interval,
            server_alive_count_max: settings.server_alive_count_max,
            address_family: settings.address_family,
            bind_address: settings.bind_address.map(|address| address.text),
            bind_interface: settings.bind_interface.map(|interface| interface.text),
            tcp_keep_alive: settings.tcp_keep_alive,
            rekey_limit,
            kex_algorithms: settings.kex_algorithms,
            ciphers: settings.ciphers,
            macs: settings.macs,
            host_key_algorithms: settings.host_key_algorithms,
            ca_signature_algorithms: settings.ca_signature_algorithms,
            pubkey_accepted_algorithms: settings.pubkey_accepted_algorithms,
            required_rsa_size: settings.required_rsa_size,
            tunnel: settings.tunnel,
            tunnel_device: settings.tunnel_device,
            exit_on_forward_failure: settings.exit_on_forward_failure,
            fork_after_authentication: settings.fork_after_authentication,
            local_command,
            permit_local_command: settings.permit_local_command,
            preferred_authentications: settings.preferred_authentications.map(|methods| methods.text),
            number_of_password_prompts: settings.number_of_password_prompts,
            kbd_interactive_devices: settings.kbd_interactive_devices.map(|devices| devices.text),
            batch_mode: settings.batch_mode,
            password_authentication: settings.password_authentication,
            kbd_interactive_authentication: settings.kbd_interactive_authentication,
            pubkey_authentication: settings.pubkey_authentication,
            tag: settings.tag.map(|tag| tag.text),
            ignore_unknown: settings.ignore_unknown.map(|list| list.text),
            warnings: self.warnings,
            written,
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

    /// All tokens replaced but `%T`, which is known when there is a tunnel.
    fn local_command(&mut self, command: &Sited, tokens: &Tokens<'_>) -> Option<LocalCommand> {
        let mut parts = Vec::new();
        for text in expand::split_at_token(&command.text, 'T') {
            match expand::expand("LocalCommand", text, tokens, expand::CONNECTION, None) {
                Ok(part) => parts.push(part),
                Err(problem) => {
                    self.fail(&command.origin, problem);
                    return None;
                }
            }
        }
        Some(LocalCommand { parts })
    }

    fn known_hosts_command(&mut self, command: &Sited, tokens: &Tokens<'_>) -> Option<KnownHostsCommand> {
        // That quotes are closed was seen when the line was read.
        let words = line::split_arguments(&command.text).ok()?;
        let allowed = format!("{}{}", expand::CONNECTION, expand::KEY);
        let unknown = words
            .iter()
            .find_map(|word| expand::expand("KnownHostsCommand", word, tokens, &allowed, None).err());
        match unknown {
            Some(problem) => {
                self.fail(&command.origin, problem);
                None
            }
            None => Some(KnownHostsCommand { words, tokens: tokens.values(expand::CONNECTION) }),
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
            variable if expand::is_variable(variable) => {
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
        jump: Option<(Vec<JumpHost>, Sited)>,
        command: Option<Sited>,
        port: Option<u16>,
        tokens: &Tokens<'_>,
    ) -> Option<Proxy> {
        let (hosts, origin) = match (jump, command) {
            (Some((hosts, list)), _) if !hosts.is_empty() => (hosts, list.origin),
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

    /// What came of the keywords that are not honoured.
    fn judge_unhonoured(&mut self) {
        for (keyword, other) in std::mem::take(&mut self.settings.others) {
            let Sited { text, origin } = other.value;
            let asks_nothing =
                |harmless: &[&str]| harmless.iter().any(|word| word.eq_ignore_ascii_case(&text));
            match other.stance {
                Stance::PassedOver { .. } if other.scope == Some(Scope::System) => {}
                Stance::PassedOver { harmless } => {
                    if !asks_nothing(harmless) {
                        self.warn(Warning::PassedOver { origin, keyword });
                    }
                }
                Stance::Warned { harmless, consequence } => {
                    if !asks_nothing(harmless) {
                        self.warn(Warning::NotHonoured { origin, keyword, consequence });
                    }
                }
                Stance::Refused { harmless, instead } => {
                    if !asks_nothing(harmless) {
                        self.fail(&origin, Problem::NotHonoured { keyword, value: text, instead });
                    }
                }
            }
        }
        if let Some((true, origin)) = &self.settings.proxy_use_fdpass
            && self.settings.proxy_command.as_ref().is_some_and(|command| !command.text.is_empty())
        {
            let problem = Problem::NotHonoured {
                keyword: "ProxyUseFdpass",
                value: "yes".to_owned(),
                instead: "the command's standard input and output are the connection; set it to no, and let the \
                          command carry the bytes (`nc` without -F)",
            };
            let origin = origin.clone();
            self.fail(&origin, problem);
        }
    }
}
