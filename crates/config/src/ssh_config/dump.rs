//! The options as `ssh -G` prints them.

use std::path::PathBuf;

use super::options::{
    AddressFamily, CanonicalizeHostname, HostOptions, PubkeyAuthentication, StrictHostKeyChecking, Tunnel,
    TunnelUnit,
};

impl HostOptions {
    /// What holds for the host, one option a line: the names, the words and the order of `ssh -G`. Only options that are
    /// honoured; the lists of algorithms are not among them, as they depend on which there are.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Lines(Vec::new());
        lines.put("host", &self.original_host);
        lines.put("user", self.user());
        lines.put("hostname", self.host_name());
        lines.put("port", self.port());
        self.put_flags(&mut lines);
        self.put_numbers_and_texts(&mut lines);
        self.put_lists(&mut lines);
        self.put_others(&mut lines);
        lines.0
    }

    fn put_flags(&self, lines: &mut Lines) {
        lines.put(
            "addressfamily",
            match self.address_family() {
                AddressFamily::Any => "any",
                AddressFamily::Inet => "inet",
                AddressFamily::Inet6 => "inet6",
            },
        );
        lines.flag("batchmode", self.batch_mode());
        lines.flag("canonicalizefallbacklocal", self.canonicalize_fallback_local.unwrap_or(true));
        lines.put(
            "canonicalizehostname",
            match self.canonicalize_hostname {
                Some(CanonicalizeHostname::Yes) => "true",
                Some(CanonicalizeHostname::Always) => "always",
                Some(CanonicalizeHostname::No) | None => "false",
            },
        );
        lines.flag("exitonforwardfailure", self.exit_on_forward_failure());
        lines.flag("hashknownhosts", self.hash_known_hosts());
        lines.flag("identitiesonly", self.identities_only());
        // These three as set, whatever BatchMode makes of them.
        lines.flag("kbdinteractiveauthentication", self.kbd_interactive_authentication.unwrap_or(true));
        lines.flag("passwordauthentication", self.password_authentication.unwrap_or(true));
        lines.flag("permitlocalcommand", self.permit_local_command.unwrap_or(false));
        lines.flag("proxyusefdpass", self.proxy_use_fdpass.unwrap_or(false));
        lines.put(
            "pubkeyauthentication",
            match self.pubkey_authentication {
                Some(PubkeyAuthentication::No) => "false",
                Some(PubkeyAuthentication::Unbound) => "unbound",
                Some(PubkeyAuthentication::HostBound) => "host-bound",
                Some(PubkeyAuthentication::Yes) | None => "true",
            },
        );
        lines.flag("forkafterauthentication", self.fork_after_authentication.unwrap_or(false));
        lines.put(
            "stricthostkeychecking",
            match self.strict_host_key_checking.unwrap_or(StrictHostKeyChecking::Ask) {
                StrictHostKeyChecking::Yes => "true",
                StrictHostKeyChecking::AcceptNew => "accept-new",
                StrictHostKeyChecking::Ask => "ask",
                StrictHostKeyChecking::No => "false",
            },
        );
        lines.flag("tcpkeepalive", self.tcp_keep_alive());
        lines.put(
            "tunnel",
            match self.tunnel() {
                Tunnel::No => "false",
                Tunnel::PointToPoint => "point-to-point",
                Tunnel::Ethernet => "ethernet",
            },
        );
    }

    fn put_numbers_and_texts(&self, lines: &mut Lines) {
        lines.put("canonicalizemaxdots", self.canonicalize_max_dots.unwrap_or(1));
        lines.put("numberofpasswordprompts", self.number_of_password_prompts());
        lines.put("serveralivecountmax", self.server_alive_count_max());
        lines.put("serveraliveinterval", self.server_alive_interval().as_secs());
        lines.put("requiredrsasize", self.required_rsa_size.unwrap_or(1024));
        lines.text("bindaddress", &self.bind_address);
        lines.text("bindinterface", &self.bind_interface);
        lines.text("hostkeyalias", &self.host_key_alias);
        lines.text("identityagent", &self.written.identity_agent);
        lines.text("ignoreunknown", &self.ignore_unknown);
        lines.text("kbdinteractivedevices", &self.kbd_interactive_devices);
        lines.text("localcommand", &self.written.local_command);
        lines.text("preferredauthentications", &self.preferred_authentications);
        lines.text("knownhostscommand", &self.written.known_hosts_command);
        lines.text("tag", &self.tag);
    }

    fn put_lists(&self, lines: &mut Lines) {
        match &self.identity_file {
            Some(_) => lines.each("identityfile", &self.written.identity_file),
            None => lines
                .each("identityfile", &HostOptions::DEFAULT_IDENTITIES.map(|name| format!("~/.ssh/{name}"))),
        }
        lines.list("canonicaldomains", self.canonical_domains.as_deref().unwrap_or_default());
        lines.each("certificatefile", &self.written.certificate_file);
        lines.list("globalknownhostsfile", &texts(&self.global_known_hosts_file()));
        lines.list("userknownhostsfile", &texts(&self.user_known_hosts_file()));
        lines.list("revokedhostkeys", &texts(&self.revoked_host_keys));
    }

    fn put_others(&self, lines: &mut Lines) {
        match self.connect_timeout {
            Some(time) => lines.put("connecttimeout", time.as_secs()),
            None => lines.put("connecttimeout", "none"),
        }
        let unit = |unit| match unit {
            TunnelUnit::Any => "any".to_owned(),
            TunnelUnit::Number(number) => number.to_string(),
        };
        let device = self.tunnel_device();
        lines.put("tunneldevice", format_args!("{}:{}", unit(device.local), unit(device.remote)));
        lines.list(
            "canonicalizePermittedcnames",
            self.canonicalize_permitted_cnames.as_deref().unwrap_or_default(),
        );
        let limit = self.rekey_limit();
        let interval = limit.interval.map_or(0, |interval| interval.as_secs());
        lines.put("rekeylimit", format_args!("{} {interval}", limit.bytes.unwrap_or(0)));
        lines.text("proxycommand", &self.written.proxy_command);
        lines.text("proxyjump", &self.written.proxy_jump);
    }
}

struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn put(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.put(name, if value { "yes" } else { "no" });
    }

    fn text(&mut self, name: &'static str, value: &Option<String>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A line for each.
    fn each(&mut self, name: &'static str, values: &[String]) {
        values.iter().for_each(|value| self.put(name, value));
    }

    /// All on one line.
    fn list(&mut self, name: &'static str, values: &[String]) {
        match values {
            [] => self.put(name, "none"),
            values => self.put(name, values.join(" ")),
        }
    }
}

fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}
