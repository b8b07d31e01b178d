//! What has been set so far: the first value of each option, not yet expanded.

use std::{collections::BTreeMap, time::Duration};

use super::{
    JumpHost, Origin, Problem, Scope,
    algorithm::{AlgorithmList, Kind, UnknownName},
    expand::{self, Tokens},
    jump,
    keyword::{Keyword, Stance},
    options::{
        AddressFamily, CanonicalizeHostname, PubkeyAuthentication, RekeyLimit, StrictHostKeyChecking, Tunnel,
        TunnelDevice,
    },
    syntax, value,
};

/// OpenSSH's limits on lists.
const MAX_IDENTITY_FILES: usize = 100;
const MAX_KNOWN_HOSTS_FILES: usize = 32;

const YES_NO: &str = "yes or no";
const COUNT: &str = "a number from 0";
const COMMAND: &str = "a command, or none";

/// A text that is expanded later, and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Sited {
    pub(super) text: String,
    pub(super) origin: Origin,
}

#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) host_name: Option<Sited>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<Sited>,
    pub(super) identity_file: Vec<Sited>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<Sited>,
    pub(super) certificate_file: Vec<Sited>,
    pub(super) user_known_hosts_file: Option<Vec<Sited>>,
    pub(super) global_known_hosts_file: Option<Vec<Sited>>,
    pub(super) strict_host_key_checking: Option<StrictHostKeyChecking>,
    pub(super) host_key_alias: Option<Sited>,
    pub(super) hash_known_hosts: Option<bool>,
    /// `ProxyJump`; an empty list is `none`.
    pub(super) proxy_jump: Option<(Vec<JumpHost>, Sited)>,
    /// `ProxyCommand`; an empty text is `none`.
    pub(super) proxy_command: Option<Sited>,
    pub(super) proxy_use_fdpass: Option<(bool, Origin)>,
    pub(super) canonicalize_hostname: Option<(CanonicalizeHostname, Origin)>,
    pub(super) canonical_domains: Option<Vec<String>>,
    pub(super) canonicalize_max_dots: Option<u32>,
    pub(super) canonicalize_fallback_local: Option<bool>,
    /// `CanonicalizePermittedCNAMEs`; an empty list is `none`.
    pub(super) canonicalize_permitted_cnames: Option<(Vec<String>, Origin)>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) server_alive_interval: Option<Duration>,
    pub(super) server_alive_count_max: Option<u32>,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) tunnel_device: Option<TunnelDevice>,
    pub(super) address_family: Option<AddressFamily>,
    pub(super) bind_address: Option<Sited>,
    pub(super) bind_interface: Option<Sited>,
    pub(super) tcp_keep_alive: Option<bool>,
    pub(super) revoked_host_keys: Option<Vec<Sited>>,
    /// `KnownHostsCommand`; an empty text is `none`.
    pub(super) known_hosts_command: Option<Sited>,
    /// The two halves of `RekeyLimit`, each of which is set by the first line that has it. In bytes; 0 is `default`.
    pub(super) rekey_bytes: Option<u64>,
    pub(super) rekey_interval: Option<Duration>,
    pub(super) ciphers: Option<AlgorithmList>,
    pub(super) macs: Option<AlgorithmList>,
    pub(super) kex_algorithms: Option<AlgorithmList>,
    pub(super) host_key_algorithms: Option<AlgorithmList>,
    pub(super) ca_signature_algorithms: Option<AlgorithmList>,
    pub(super) pubkey_accepted_algorithms: Option<AlgorithmList>,
    pub(super) required_rsa_size: Option<u32>,
    pub(super) exit_on_forward_failure: Option<bool>,
    pub(super) fork_after_authentication: Option<bool>,
    /// `LocalCommand`; an empty text is `none`.
    pub(super) local_command: Option<Sited>,
    pub(super) permit_local_command: Option<bool>,
    pub(super) preferred_authentications: Option<Sited>,
    pub(super) number_of_password_prompts: Option<u32>,
    pub(super) kbd_interactive_devices: Option<Sited>,
    pub(super) batch_mode: Option<bool>,
    pub(super) password_authentication: Option<bool>,
    pub(super) kbd_interactive_authentication: Option<bool>,
    pub(super) pubkey_authentication: Option<PubkeyAuthentication>,
    pub(super) tag: Option<Sited>,
    pub(super) ignore_unknown: Option<Sited>,
    /// What is not honoured, by its name: the first value.
    pub(super) others: BTreeMap<&'static str, Unhonoured>,
}

/// The first value of a keyword that is not honoured.
#[derive(Debug, Clone)]
pub(super) struct Unhonoured {
    pub(super) value: Sited,
    pub(super) stance: Stance,
    pub(super) scope: Option<Scope>,
}

/// One line that sets an option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assignment<'a> {
    pub(super) keyword: Keyword,
    /// The keyword in the manual's spelling.
    pub(super) name: &'static str,
    /// The arguments as they stand, for commands.
    pub(super) rest: &'a str,
    pub(super) arguments: &'a [String],
    pub(super) origin: &'a Origin,
    /// Whose file the line is in; nobody's on the command line.
    pub(super) scope: Option<Scope>,
    /// Whether the line's block applies. Otherwise the line is only checked.
    pub(super) active: bool,
}

impl Settings {
    /// Checks the line and, where it applies and is the first of its keyword, keeps the value.
    pub(super) fn assign(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        match line.keyword {
            Keyword::HostName => line.set_tokens(&mut self.host_name),
            Keyword::Port => line.set(&mut self.port, value::port, "a number from 1 to 65535"),
            Keyword::User => line.set_text(&mut self.user),
            Keyword::IdentityFile => line.add(&mut self.identity_file),
            Keyword::CertificateFile => line.add(&mut self.certificate_file),
            Keyword::IdentitiesOnly => line.set_flag(&mut self.identities_only),
            Keyword::IdentityAgent => line.set_agent(&mut self.identity_agent),
            Keyword::UserKnownHostsFile => line.set_files(&mut self.user_known_hosts_file),
            Keyword::GlobalKnownHostsFile => line.set_files(&mut self.global_known_hosts_file),
            Keyword::StrictHostKeyChecking => line.set(
                &mut self.strict_host_key_checking,
                value::strict_host_key_checking,
                "yes, accept-new, ask or no",
            ),
            Keyword::HostKeyAlias => line.set_text(&mut self.host_key_alias),
            Keyword::HashKnownHosts => line.set_flag(&mut self.hash_known_hosts),
            Keyword::ProxyJump => self.assign_proxy_jump(line),
            Keyword::ProxyCommand => self.assign_proxy_command(line),
            Keyword::ConnectTimeout => line.set_time(&mut self.connect_timeout),
            Keyword::ServerAliveInterval => line.set_time(&mut self.server_alive_interval),
            Keyword::ServerAliveCountMax => line.set(&mut self.server_alive_count_max, value::count, COUNT),
            Keyword::TcpKeepAlive => line.set_flag(&mut self.tcp_keep_alive),
            Keyword::Tunnel => {
                line.set(&mut self.tunnel, value::tunnel, "no, point-to-point, ethernet or yes")
            }
            Keyword::TunnelDevice => self.assign_tunnel_device(line),
            Keyword::AddressFamily => {
                line.set(&mut self.address_family, value::address_family, "any, inet or inet6")
            }
            Keyword::BindAddress => line.set_text(&mut self.bind_address),
            Keyword::BindInterface => line.set_text(&mut self.bind_interface),
            Keyword::RevokedHostKeys => line.set_list(&mut self.revoked_host_keys),
            Keyword::KnownHostsCommand => line.set_command(&mut self.known_hosts_command),
            Keyword::ProxyUseFdpass => line.set_sited(&mut self.proxy_use_fdpass, value::flag, YES_NO),
            Keyword::CanonicalizeHostname => line.set_sited(
                &mut self.canonicalize_hostname,
                value::canonicalize_hostname,
                "yes, no or always",
            ),
            Keyword::CanonicalDomains => self.assign_canonical_domains(line),
            Keyword::CanonicalizeMaxDots => line.set(&mut self.canonicalize_max_dots, value::count, COUNT),
            Keyword::CanonicalizeFallbackLocal => line.set_flag(&mut self.canonicalize_fallback_local),
            Keyword::CanonicalizePermittedCnames => self.assign_permitted_cnames(line),
            Keyword::Ciphers => line.set_algorithms(&mut self.ciphers, Kind::Cipher),
            Keyword::Macs => line.set_algorithms(&mut self.macs, Kind::Mac),
            Keyword::KexAlgorithms => line.set_algorithms(&mut self.kex_algorithms, Kind::KeyExchange),
            Keyword::HostKeyAlgorithms => line.set_algorithms(&mut self.host_key_algorithms, Kind::Key),
            Keyword::CaSignatureAlgorithms => {
                line.set_algorithms(&mut self.ca_signature_algorithms, Kind::Signature)
            }
            Keyword::PubkeyAcceptedAlgorithms => {
                line.set_algorithms(&mut self.pubkey_accepted_algorithms, Kind::Key)
            }
            Keyword::RequiredRsaSize => {
                line.set(&mut self.required_rsa_size, value::count, "a number of bits")
            }
            Keyword::RekeyLimit => self.assign_rekey_limit(line),
            Keyword::ExitOnForwardFailure => line.set_flag(&mut self.exit_on_forward_failure),
            Keyword::ForkAfterAuthentication => line.set_flag(&mut self.fork_after_authentication),
            Keyword::LocalCommand => line.set_command(&mut self.local_command),
            Keyword::PermitLocalCommand => line.set_flag(&mut self.permit_local_command),
            Keyword::PreferredAuthentications => line.set_text(&mut self.preferred_authentications),
            Keyword::NumberOfPasswordPrompts => {
                line.set(&mut self.number_of_password_prompts, value::count, COUNT)
            }
            Keyword::KbdInteractiveDevices => line.set_text(&mut self.kbd_interactive_devices),
            Keyword::BatchMode => line.set_flag(&mut self.batch_mode),
            Keyword::PasswordAuthentication => line.set_flag(&mut self.password_authentication),
            Keyword::KbdInteractiveAuthentication => line.set_flag(&mut self.kbd_interactive_authentication),
            Keyword::PubkeyAuthentication => {
                line.set(&mut self.pubkey_authentication, value::pubkey_authentication, YES_NO)
            }
            Keyword::Tag => line.set_text(&mut self.tag),
            Keyword::IgnoreUnknown => line.set_text(&mut self.ignore_unknown),
            Keyword::Other(syntax, stance) => {
                syntax.check(&line)?;
                if line.active {
                    let value = match syntax {
                        syntax::Syntax::Line | syntax::Syntax::Command => line.rest.to_owned(),
                        _ => line.arguments.join(" "),
                    };
                    self.others.entry(line.name).or_insert_with(|| Unhonoured {
                        value: line.sited(&value),
                        stance,
                        scope: line.scope,
                    });
                }
                Ok(())
            }
            Keyword::RefuseConnection => match line.single()? {
                why if line.active => Err(Problem::Refused(why.to_owned())),
                _ => Ok(()),
            },
            // These set nothing; the resolver deals with them.
            Keyword::Host | Keyword::Match | Keyword::Include => Ok(()),
        }
    }

    /// `RekeyLimit`, once both halves are known.
    pub(super) fn rekey_limit(&self) -> Option<RekeyLimit> {
        self.rekey_bytes.map(|bytes| RekeyLimit {
            bytes: Some(bytes).filter(|&bytes| bytes > 0),
            interval: self.rekey_interval.filter(|interval| !interval.is_zero()),
        })
    }

    /// The last host of `ProxyJump`, behind `%j`.
    pub(super) fn jump_host(&self) -> &str {
        self.proxy_jump.as_ref().and_then(|(hosts, _)| hosts.last()).map_or("", |last| last.host.as_str())
    }

    /// Whether there is neither a jump host nor a proxy command.
    pub(super) fn goes_directly(&self) -> bool {
        self.proxy_jump.as_ref().is_none_or(|(hosts, _)| hosts.is_empty())
            && self.proxy_command.as_ref().is_none_or(|command| command.text.is_empty())
    }

    fn assign_proxy_jump(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        // A comment may follow, which an argument would need a blank for.
        let text = line.rest.split('#').next().unwrap_or_default().trim();
        if text.eq_ignore_ascii_case("none") {
            // Unlike a list, `none` leaves it open whether a later ProxyCommand applies.
            if line.active && self.proxy_jump.is_none() {
                self.proxy_jump = Some((Vec::new(), line.sited(text)));
            }
            return Ok(());
        }
        let hosts = jump::parse_list(text)
            .ok_or_else(|| line.bad_value(text, "none or a list of [USER@]HOST[:PORT] with commas"))?;
        if line.active && self.proxy_jump.is_none() && self.proxy_command.is_none() {
            self.proxy_jump = Some((hosts, line.sited(text)));
            self.proxy_command = Some(line.sited(""));
        }
        Ok(())
    }

    fn assign_proxy_command(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        line.set_command(&mut self.proxy_command)
    }

    fn assign_tunnel_device(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        let argument = line.single()?;
        if value::tunnel_device(argument).is_none() && value::tunnel(argument).is_some() {
            return Err(Problem::TunnelMode(argument.to_owned()));
        }
        line.set(&mut self.tunnel_device, value::tunnel_device, "LOCAL[:REMOTE], each any or a number")
    }

    fn assign_canonical_domains(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        let domains = line.list()?;
        if let Some(wrong) = domains.iter().find(|domain| !value::is_domain(domain)) {
            return Err(line.bad_value(wrong, "names of domains, or none alone"));
        }
        if line.active {
            self.canonical_domains
                .get_or_insert_with(|| domains.iter().map(|domain| domain.to_ascii_lowercase()).collect());
        }
        Ok(())
    }

    fn assign_permitted_cnames(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        let rules = line.list()?;
        let is_rule =
            |rule: &str| rule == "*" || rule.split_once(':').is_some_and(|(_, target)| !target.is_empty());
        if let Some(wrong) = rules.iter().find(|rule| !is_rule(rule)) {
            return Err(line.bad_value(wrong, "SOURCE:TARGET lists of domains, *, or none alone"));
        }
        if line.active && self.canonicalize_permitted_cnames.is_none() {
            let rules = rules.iter().map(|rule| match rule.as_str() {
                "*" => "*:*".to_owned(),
                rule => rule.to_ascii_lowercase(),
            });
            self.canonicalize_permitted_cnames = Some((rules.collect(), line.origin.clone()));
        }
        Ok(())
    }

    fn assign_rekey_limit(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        let (bytes, interval) = match line.arguments {
            [] => return Err(Problem::MissingArgument(line.name.to_owned())),
            [bytes] => (bytes, None),
            [bytes, interval] => (bytes, Some(interval.as_str())),
            [_, _, extra, ..] => return Err(line.extra(extra)),
        };
        let expected = "default or bytes such as 64M, then none or a time such as 1h";
        let bad_value = || line.bad_value(&line.arguments.join(" "), expected);
        let bytes = value::rekey_bytes(bytes).ok_or_else(bad_value)?;
        let interval = match interval {
            None | Some("none") => None,
            Some(text) => Some(value::time(text).ok_or_else(bad_value)?),
        };
        if line.active {
            self.rekey_bytes.get_or_insert(bytes);
            self.rekey_interval = self.rekey_interval.or(interval);
        }
        Ok(())
    }
}

impl Assignment<'_> {
    fn set<T>(
        &self,
        slot: &mut Option<T>,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<(), Problem> {
        let argument = self.single()?;
        let value = parse(argument).ok_or_else(|| self.bad_value(argument, expected))?;
        if self.active {
            slot.get_or_insert(value);
        }
        Ok(())
    }

    fn set_flag(&self, slot: &mut Option<bool>) -> Result<(), Problem> {
        self.set(slot, value::flag, YES_NO)
    }

    /// `none` sets nothing, so that a later value still counts: this is OpenSSH's way with times.
    fn set_time(&self, slot: &mut Option<Duration>) -> Result<(), Problem> {
        match self.single()? {
            "none" => Ok(()),
            _ => self.set(slot, value::time, value::TIME),
        }
    }

    fn set_text(&self, slot: &mut Option<Sited>) -> Result<(), Problem> {
        let argument = self.single()?;
        if self.active {
            slot.get_or_insert_with(|| self.sited(argument));
        }
        Ok(())
    }

    /// A value whose place may be needed later.
    fn set_sited<T>(
        &self,
        slot: &mut Option<(T, Origin)>,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<(), Problem> {
        let mut value = None;
        self.set(&mut value, parse, expected)?;
        if let Some(value) = value {
            slot.get_or_insert_with(|| (value, self.origin.clone()));
        }
        Ok(())
    }

    fn set_algorithms(&self, slot: &mut Option<AlgorithmList>, kind: Kind) -> Result<(), Problem> {
        let argument = self.single()?;
        let list =
            AlgorithmList::parse(kind, argument).map_err(|unknown| self.unknown_algorithm(kind, unknown))?;
        if self.active {
            slot.get_or_insert(list);
        }
        Ok(())
    }

    /// The line to its end; `none` is kept as an empty text.
    fn set_command(&self, slot: &mut Option<Sited>) -> Result<(), Problem> {
        let command = self.rest.trim_start_matches([' ', '\t', '=']);
        if command.is_empty() {
            return Err(self.bad_value(self.rest, COMMAND));
        }
        let command = if command.eq_ignore_ascii_case("none") { "" } else { command };
        if self.active {
            slot.get_or_insert_with(|| self.sited(command));
        }
        Ok(())
    }

    fn set_agent(&self, slot: &mut Option<Sited>) -> Result<(), Problem> {
        let argument = self.single()?;
        if !syntax::is_socket(argument) {
            return Err(self.bad_value(argument, "none, SSH_AUTH_SOCK, a path or the name of a variable"));
        }
        self.set_text(slot)
    }

    /// A list of paths of which the first line counts.
    fn set_list(&self, slot: &mut Option<Vec<Sited>>) -> Result<(), Problem> {
        let list = self.list()?;
        if self.active {
            slot.get_or_insert_with(|| list.iter().map(|text| self.sited(text)).collect());
        }
        Ok(())
    }

    /// At least one argument, none of them empty; `none` alone is no argument.
    fn list(&self) -> Result<&[String], Problem> {
        let none = |argument: &String| argument.eq_ignore_ascii_case("none");
        match self.arguments {
            [] => Err(Problem::MissingArgument(self.name.to_owned())),
            [only] if none(only) => Ok(&[]),
            list if list.iter().any(String::is_empty) => Err(Problem::EmptyArgument(self.name.to_owned())),
            list if list.iter().any(none) => Err(self.bad_value(&list.join(" "), "a list, or none alone")),
            list => Ok(list),
        }
    }

    /// A host name, whose tokens are checked at once because `Match` needs it expanded before the end.
    fn set_tokens(&self, slot: &mut Option<Sited>) -> Result<(), Problem> {
        let argument = self.single()?;
        for after in argument.replace("%%", "").split('%').skip(1) {
            let token: String = after.chars().take(1).collect();
            if token != expand::HOST_NAME {
                return Err(Problem::BadToken { keyword: self.name, token });
            }
        }
        self.set_text(slot)
    }

    fn add(&self, list: &mut Vec<Sited>) -> Result<(), Problem> {
        let argument = self.single()?;
        // The second pass of `Match final` meets every line again.
        if !self.active || list.iter().any(|known| known.text == argument) {
            return Ok(());
        }
        if list.len() >= MAX_IDENTITY_FILES {
            return Err(Problem::TooMany { keyword: self.name, limit: MAX_IDENTITY_FILES });
        }
        list.push(self.sited(argument));
        Ok(())
    }

    fn set_files(&self, slot: &mut Option<Vec<Sited>>) -> Result<(), Problem> {
        if self.arguments.is_empty() {
            return Ok(());
        }
        if self.arguments.iter().any(String::is_empty) {
            return Err(Problem::EmptyArgument(self.name.to_owned()));
        }
        if self.active && slot.is_none() && self.arguments.len() > MAX_KNOWN_HOSTS_FILES {
            return Err(Problem::TooMany { keyword: self.name, limit: MAX_KNOWN_HOSTS_FILES });
        }
        let none = self.arguments.iter().any(|file| file.eq_ignore_ascii_case("none"));
        if none && self.arguments.len() > 1 {
            return Err(self.bad_value(&self.arguments.join(" "), "files, or none alone"));
        }
        if self.active {
            slot.get_or_insert_with(|| match none {
                true => Vec::new(),
                false => self.arguments.iter().map(|file| self.sited(file)).collect(),
            });
        }
        Ok(())
    }

    /// The one argument of the line.
    pub(super) fn single(&self) -> Result<&str, Problem> {
        match self.arguments {
            [] => Err(Problem::MissingArgument(self.name.to_owned())),
            [empty] if empty.is_empty() => Err(Problem::EmptyArgument(self.name.to_owned())),
            [argument] => Ok(argument),
            [_, extra, ..] => Err(self.extra(extra)),
        }
    }

    fn sited(&self, text: &str) -> Sited {
        Sited { text: text.to_owned(), origin: self.origin.clone() }
    }

    pub(super) fn extra(&self, extra: &str) -> Problem {
        Problem::ExtraArgument { keyword: self.name, extra: extra.to_owned() }
    }

    pub(super) fn bad_value(&self, value: &str, expected: &'static str) -> Problem {
        Problem::BadValue { keyword: self.name, value: value.to_owned(), expected }
    }

    /// A word that is none of those that the keyword takes.
    pub(super) fn unknown_name(&self, value: &str, known: String) -> Problem {
        Problem::UnknownName { keyword: self.name, value: value.to_owned(), known }
    }

    pub(super) fn unknown_algorithm(&self, kind: Kind, UnknownName(name): UnknownName) -> Problem {
        self.unknown_name(&name, kind.listed())
    }
}

/// The host name that `Match host` sees and `%h` stands for, before it is final.
pub(super) fn current_host(settings: &Settings, original_host: &str, tokens: &Tokens<'_>) -> String {
    match &settings.host_name {
        Some(name) => expand::expand("HostName", &name.text, tokens, expand::HOST_NAME, None)
            .unwrap_or_else(|_| original_host.to_owned()),
        None => original_host.to_owned(),
    }
}
