//! What has been set so far: the first value of each option, not yet expanded.

use std::time::Duration;

use super::{
    JumpHost, Origin, Problem,
    expand::{self, Tokens},
    jump,
    keyword::Keyword,
    options::{AddressFamily, RekeyLimit, StrictHostKeyChecking, Tunnel, TunnelDevice},
    value,
};

/// OpenSSH's limits on lists.
const MAX_IDENTITY_FILES: usize = 100;
const MAX_KNOWN_HOSTS_FILES: usize = 32;

const YES_NO: &str = "yes or no";
const TIME: &str = "none or a time such as 30, 90s or 1h30m";

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
    pub(super) proxy_jump: Option<(Vec<JumpHost>, Origin)>,
    /// `ProxyCommand`; an empty text is `none`.
    pub(super) proxy_command: Option<Sited>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) server_alive_interval: Option<Duration>,
    pub(super) server_alive_count_max: Option<u32>,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) tunnel_device: Option<TunnelDevice>,
    pub(super) address_family: Option<AddressFamily>,
    pub(super) bind_address: Option<Sited>,
    /// The two halves of `RekeyLimit`, each of which is set by the first line that has it. In bytes; 0 is `default`.
    pub(super) rekey_bytes: Option<u64>,
    pub(super) rekey_interval: Option<Duration>,
    pub(super) exit_on_forward_failure: Option<bool>,
    pub(super) batch_mode: Option<bool>,
    pub(super) password_authentication: Option<bool>,
    pub(super) kbd_interactive_authentication: Option<bool>,
    pub(super) pubkey_authentication: Option<bool>,
    pub(super) tag: Option<Sited>,
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
            Keyword::IdentityAgent => line.set_text(&mut self.identity_agent),
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
            Keyword::ServerAliveCountMax => {
                line.set(&mut self.server_alive_count_max, value::count, "a number from 0")
            }
            Keyword::Tunnel => {
                line.set(&mut self.tunnel, value::tunnel, "no, point-to-point, ethernet or yes")
            }
            Keyword::TunnelDevice => line.set(
                &mut self.tunnel_device,
                value::tunnel_device,
                "LOCAL[:REMOTE], each any or a number",
            ),
            Keyword::AddressFamily => {
                line.set(&mut self.address_family, value::address_family, "any, inet or inet6")
            }
            Keyword::BindAddress => line.set_text(&mut self.bind_address),
            Keyword::RekeyLimit => self.assign_rekey_limit(line),
            Keyword::ExitOnForwardFailure => line.set_flag(&mut self.exit_on_forward_failure),
            Keyword::BatchMode => line.set_flag(&mut self.batch_mode),
            Keyword::PasswordAuthentication => line.set_flag(&mut self.password_authentication),
            Keyword::KbdInteractiveAuthentication => line.set_flag(&mut self.kbd_interactive_authentication),
            Keyword::PubkeyAuthentication => {
                line.set(&mut self.pubkey_authentication, value::pubkey_authentication, YES_NO)
            }
            Keyword::Tag => line.set_text(&mut self.tag),
            // These set nothing; the resolver deals with them.
            Keyword::Host
            | Keyword::Match
            | Keyword::Include
            | Keyword::IgnoreUnknown
            | Keyword::RefuseConnection
            | Keyword::NoUse
            | Keyword::NotHonoured { .. } => Ok(()),
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

    fn assign_proxy_jump(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        // A comment may follow, which an argument would need a blank for.
        let text = line.rest.split('#').next().unwrap_or_default().trim();
        if text.eq_ignore_ascii_case("none") {
            // Unlike a list, `none` leaves it open whether a later ProxyCommand applies.
            if line.active && self.proxy_jump.is_none() {
                self.proxy_jump = Some((Vec::new(), line.origin.clone()));
            }
            return Ok(());
        }
        let hosts = jump::parse_list(text)
            .ok_or_else(|| line.bad_value(text, "none or a list of [USER@]HOST[:PORT] with commas"))?;
        if line.active && self.proxy_jump.is_none() && self.proxy_command.is_none() {
            self.proxy_jump = Some((hosts, line.origin.clone()));
            self.proxy_command = Some(line.sited(""));
        }
        Ok(())
    }

    fn assign_proxy_command(&mut self, line: Assignment<'_>) -> Result<(), Problem> {
        let command = line.rest.trim_start_matches([' ', '\t', '=']);
        if command.is_empty() {
            return Err(Problem::MissingArgument(line.name.to_owned()));
        }
        let command = if command.eq_ignore_ascii_case("none") { "" } else { command };
        if line.active && self.proxy_command.is_none() {
            self.proxy_command = Some(line.sited(command));
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
            _ => self.set(slot, value::time, TIME),
        }
    }

    fn set_text(&self, slot: &mut Option<Sited>) -> Result<(), Problem> {
        let argument = self.single()?;
        if self.active {
            slot.get_or_insert_with(|| self.sited(argument));
        }
        Ok(())
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
            return Err(Problem::MissingArgument(self.name.to_owned()));
        }
        if self.arguments.iter().any(String::is_empty) {
            return Err(Problem::EmptyArgument(self.name.to_owned()));
        }
        if self.arguments.len() > MAX_KNOWN_HOSTS_FILES {
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

    fn extra(&self, extra: &str) -> Problem {
        Problem::ExtraArgument { keyword: self.name, extra: extra.to_owned() }
    }

    fn bad_value(&self, value: &str, expected: &'static str) -> Problem {
        Problem::BadValue { keyword: self.name, value: value.to_owned(), expected }
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
