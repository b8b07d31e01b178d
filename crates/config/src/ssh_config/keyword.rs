//! Every keyword of `ssh_config(5)` as of OpenSSH 10.5, and what Tapline does about it.
//!
//! A keyword is honoured, or it is one of the [`Keyword::Other`]s: refused by name where passing it over would change
//! who is trusted or what is reached, warned about where something that was asked for does not happen, and else named in
//! one line of the log. Values of all of them are checked as ssh checks them; what is in no line of this table is refused,
//! unless `IgnoreUnknown` names it.

use super::syntax::Syntax;

/// What a keyword is to Tapline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Host,
    Match,
    Include,
    IgnoreUnknown,
    Tag,
    RefuseConnection,
    HostName,
    Port,
    User,
    IdentityFile,
    IdentitiesOnly,
    IdentityAgent,
    CertificateFile,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    StrictHostKeyChecking,
    HostKeyAlias,
    HashKnownHosts,
    RevokedHostKeys,
    KnownHostsCommand,
    ProxyJump,
    ProxyCommand,
    ProxyUseFdpass,
    CanonicalizeHostname,
    CanonicalDomains,
    CanonicalizeMaxDots,
    CanonicalizeFallbackLocal,
    CanonicalizePermittedCnames,
    ConnectTimeout,
    ServerAliveInterval,
    ServerAliveCountMax,
    TcpKeepAlive,
    Tunnel,
    TunnelDevice,
    AddressFamily,
    BindAddress,
    BindInterface,
    RekeyLimit,
    Ciphers,
    Macs,
    KexAlgorithms,
    HostKeyAlgorithms,
    CaSignatureAlgorithms,
    PubkeyAcceptedAlgorithms,
    RequiredRsaSize,
    ExitOnForwardFailure,
    ForkAfterAuthentication,
    LocalCommand,
    PermitLocalCommand,
    BatchMode,
    PreferredAuthentications,
    NumberOfPasswordPrompts,
    PasswordAuthentication,
    KbdInteractiveAuthentication,
    KbdInteractiveDevices,
    PubkeyAuthentication,
    /// OpenSSH knows it, and it is not done here.
    Other(Syntax, Stance),
}

/// What happens when a keyword that is not honoured has another value than those that ask for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    /// Nothing of it concerns a tunnel. It is named in the log; a system-wide file, which is about every use of ssh, may
    /// say it without a word.
    PassedOver { harmless: &'static [&'static str] },
    /// Something that was asked for does not happen.
    Warned { harmless: &'static [&'static str], consequence: &'static str },
    /// To go on without it would change who is trusted or what is reached.
    Refused { harmless: &'static [&'static str], instead: &'static str },
}

/// The keyword and its spelling in the manual; upper and lower case do not count.
pub(super) fn find(name: &str) -> Option<(&'static str, Keyword)> {
    TABLE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}

/// Every keyword that sets something here, in the manual's spelling: for completions.
pub fn keyword_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|(_, keyword)| !matches!(keyword, Keyword::Other(..))).map(|&(name, _)| name)
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|&(name, _)| name)
}

/// The known keyword that a misspelt one looks most like, if any is close.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    crate::nearest::nearest(name, TABLE.iter().map(|&(known, _)| known))
}

const NO: &[&str] = &["no", "false"];
const YES: &[&str] = &["yes", "true"];
const NONE: &[&str] = &["none"];
/// No value is harmless, or none is worth a word less than the others.
const NEVER: &[&str] = &[];

const fn passed(syntax: Syntax, harmless: &'static [&'static str]) -> Keyword {
    Keyword::Other(syntax, Stance::PassedOver { harmless })
}

const fn warned(syntax: Syntax, harmless: &'static [&'static str], consequence: &'static str) -> Keyword {
    Keyword::Other(syntax, Stance::Warned { harmless, consequence })
}

const fn refused(syntax: Syntax, harmless: &'static [&'static str], instead: &'static str) -> Keyword {
    Keyword::Other(syntax, Stance::Refused { harmless, instead })
}

/// OpenSSH passes it over as well: it is from before SSH 2, or no build has it.
const OBSOLETE: Keyword = passed(Syntax::Anything, NEVER);
const NO_FORWARDS: &str = "nothing but the tunnel is forwarded; keep it for ssh itself";

const TABLE: &[(&str, Keyword)] = &[
    // What the lines are about.
    ("Host", Keyword::Host),
    ("Match", Keyword::Match),
    ("Include", Keyword::Include),
    ("IgnoreUnknown", Keyword::IgnoreUnknown),
    ("Tag", Keyword::Tag),
    ("RefuseConnection", Keyword::RefuseConnection),
    // Where the connection goes, and how.
    ("HostName", Keyword::HostName),
    ("Port", Keyword::Port),
    ("User", Keyword::User),
    ("AddressFamily", Keyword::AddressFamily),
    ("BindAddress", Keyword::BindAddress),
    ("BindInterface", Keyword::BindInterface),
    ("ProxyJump", Keyword::ProxyJump),
    ("ProxyCommand", Keyword::ProxyCommand),
    // Honoured as far as no name has to be looked up: what would need DNS is refused.
    ("CanonicalizeHostname", Keyword::CanonicalizeHostname),
    ("CanonicalDomains", Keyword::CanonicalDomains),
    ("CanonicalizeMaxDots", Keyword::CanonicalizeMaxDots),
    ("CanonicalizeFallbackLocal", Keyword::CanonicalizeFallbackLocal),
    ("CanonicalizePermittedCNAMEs", Keyword::CanonicalizePermittedCnames),
    // `yes` is refused where there is a ProxyCommand.
    ("ProxyUseFdpass", Keyword::ProxyUseFdpass),
    ("ConnectTimeout", Keyword::ConnectTimeout),
    ("ServerAliveInterval", Keyword::ServerAliveInterval),
    ("ServerAliveCountMax", Keyword::ServerAliveCountMax),
    ("TCPKeepAlive", Keyword::TcpKeepAlive),
    ("KeepAlive", Keyword::TcpKeepAlive),
    ("ConnectionAttempts", passed(Syntax::Count, &["1"])),
    ("Compression", warned(Syntax::Words(&["yes", "no"]), NO, "nothing is compressed")),
    ("IPQoS", passed(Syntax::Qos, NEVER)),
    ("VersionAddendum", passed(Syntax::Line, NONE)),
    // Who the server is.
    ("UserKnownHostsFile", Keyword::UserKnownHostsFile),
    ("GlobalKnownHostsFile", Keyword::GlobalKnownHostsFile),
    ("StrictHostKeyChecking", Keyword::StrictHostKeyChecking),
    ("HostKeyAlias", Keyword::HostKeyAlias),
    ("HashKnownHosts", Keyword::HashKnownHosts),
    ("RevokedHostKeys", Keyword::RevokedHostKeys),
    ("KnownHostsCommand", Keyword::KnownHostsCommand),
    (
        "CheckHostIP",
        refused(
            Syntax::Flag,
            NO,
            "Tapline looks up the name alone; set it to no, as OpenSSH does by default",
        ),
    ),
    (
        "VerifyHostKeyDNS",
        refused(
            Syntax::Words(&["yes", "no", "true", "false", "ask"]),
            NO,
            "Tapline asks no DNS for host keys; set it to no and add the key to known_hosts",
        ),
    ),
    (
        "NoHostAuthenticationForLocalhost",
        warned(Syntax::Flag, NO, "the host keys of this machine are checked like any other's"),
    ),
    (
        "UpdateHostKeys",
        warned(
            Syntax::Words(&["yes", "no", "true", "false", "ask"]),
            NO,
            "new keys that a server announces are not learnt",
        ),
    ),
    ("FingerprintHash", passed(Syntax::Words(&["MD5", "SHA1", "SHA256", "SHA384", "SHA512"]), &["sha256"])),
    ("VisualHostKey", passed(Syntax::Flag, NO)),
    // What is negotiated.
    ("Ciphers", Keyword::Ciphers),
    ("MACs", Keyword::Macs),
    ("KexAlgorithms", Keyword::KexAlgorithms),
    ("HostKeyAlgorithms", Keyword::HostKeyAlgorithms),
    ("CASignatureAlgorithms", Keyword::CaSignatureAlgorithms),
    ("RequiredRSASize", Keyword::RequiredRsaSize),
    ("RekeyLimit", Keyword::RekeyLimit),
    ("WarnWeakCrypto", passed(Syntax::Words(&["yes", "no", "true", "false", "no-pq-kex"]), NEVER)),
    // How we log in.
    ("BatchMode", Keyword::BatchMode),
    ("IdentityFile", Keyword::IdentityFile),
    ("IdentityFile2", Keyword::IdentityFile),
    ("IdentitiesOnly", Keyword::IdentitiesOnly),
    ("IdentityAgent", Keyword::IdentityAgent),
    ("CertificateFile", Keyword::CertificateFile),
    ("PreferredAuthentications", Keyword::PreferredAuthentications),
    ("NumberOfPasswordPrompts", Keyword::NumberOfPasswordPrompts),
    ("PasswordAuthentication", Keyword::PasswordAuthentication),
    ("KbdInteractiveAuthentication", Keyword::KbdInteractiveAuthentication),
    ("ChallengeResponseAuthentication", Keyword::KbdInteractiveAuthentication),
    ("SkeyAuthentication", Keyword::KbdInteractiveAuthentication),
    ("TISAuthentication", Keyword::KbdInteractiveAuthentication),
    ("KbdInteractiveDevices", Keyword::KbdInteractiveDevices),
    ("PubkeyAuthentication", Keyword::PubkeyAuthentication),
    ("DSAAuthentication", Keyword::PubkeyAuthentication),
    ("PubkeyAcceptedAlgorithms", Keyword::PubkeyAcceptedAlgorithms),
    ("PubkeyAcceptedKeyTypes", Keyword::PubkeyAcceptedAlgorithms),
    ("AddKeysToAgent", passed(Syntax::AddKeys, NO)),
    ("HostbasedAuthentication", warned(Syntax::Flag, NO, "log-in by the host's own key is not tried")),
    ("HostbasedAcceptedAlgorithms", passed(Syntax::KeyAlgorithms, NEVER)),
    ("HostbasedKeyTypes", passed(Syntax::KeyAlgorithms, NEVER)),
    ("EnableSSHKeysign", passed(Syntax::Flag, NO)),
    (
        "PKCS11Provider",
        warned(Syntax::Word, NONE, "its keys are not offered; load them into an agent with `ssh-add -s`"),
    ),
    (
        "SmartcardDevice",
        warned(Syntax::Word, NONE, "its keys are not offered; load them into an agent with `ssh-add -s`"),
    ),
    (
        "SecurityKeyProvider",
        warned(
            Syntax::Word,
            &["none", "internal"],
            "keys of security tokens are used through an agent alone",
        ),
    ),
    // Distributions set it for everybody: a warning at each start would be one that nobody reads.
    ("GSSAPIAuthentication", passed(Syntax::Flag, NO)),
    ("GSSAPIDelegateCredentials", passed(Syntax::Flag, NO)),
    ("GSSAPIKeyExchange", warned(Syntax::Flag, NO, "the key exchange is never Kerberos's")),
    ("GSSAPIKexAlgorithms", passed(Syntax::Word, NEVER)),
    ("GSSAPIClientIdentity", passed(Syntax::Word, NEVER)),
    ("GSSAPIServerIdentity", passed(Syntax::Word, NEVER)),
    ("GSSAPIRenewalForcesRekey", passed(Syntax::Flag, NO)),
    ("GSSAPITrustDns", passed(Syntax::Flag, NO)),
    // What happens once we are in.
    ("Tunnel", Keyword::Tunnel),
    ("TunnelDevice", Keyword::TunnelDevice),
    ("ExitOnForwardFailure", Keyword::ExitOnForwardFailure),
    ("ForkAfterAuthentication", Keyword::ForkAfterAuthentication),
    ("LocalCommand", Keyword::LocalCommand),
    ("PermitLocalCommand", Keyword::PermitLocalCommand),
    ("ClearAllForwardings", warned(Syntax::Flag, NO, "the tunnel is opened all the same")),
    ("ChannelTimeout", warned(Syntax::Timeouts, NONE, "an idle tunnel stays open")),
    ("RemoteCommand", warned(Syntax::Command, NONE, "no command is run on the far side")),
    ("LocalForward", warned(Syntax::Forward { dynamic: false, remote: false }, NEVER, NO_FORWARDS)),
    ("RemoteForward", warned(Syntax::Forward { dynamic: false, remote: true }, NEVER, NO_FORWARDS)),
    ("DynamicForward", warned(Syntax::Forward { dynamic: true, remote: false }, NEVER, NO_FORWARDS)),
    ("PermitRemoteOpen", passed(Syntax::RemoteOpens, &["any"])),
    ("GatewayPorts", passed(Syntax::Flag, NO)),
    ("StreamLocalBindMask", passed(Syntax::Mask, NEVER)),
    ("StreamLocalBindUnlink", passed(Syntax::Flag, NO)),
    ("ControlMaster", passed(Syntax::Words(&["true", "yes", "false", "no", "auto", "ask", "autoask"]), NO)),
    ("ControlPath", passed(Syntax::Word, NONE)),
    ("ControlPersist", passed(Syntax::Persist, NO)),
    // Of a session with a shell, which there is none of.
    ("ForwardAgent", passed(Syntax::FlagOrSocket, NO)),
    ("ForwardX11", passed(Syntax::Flag, NO)),
    ("ForwardX11Timeout", passed(Syntax::Time, NEVER)),
    ("ForwardX11Trusted", passed(Syntax::Flag, NEVER)),
    ("XAuthLocation", passed(Syntax::Word, NEVER)),
    (
        "RequestTTY",
        passed(Syntax::Words(&["true", "yes", "false", "no", "force", "auto"]), &["no", "false", "auto"]),
    ),
    ("SessionType", passed(Syntax::Words(&["none", "subsystem", "default"]), &["none", "default"])),
    ("SendEnv", passed(Syntax::Variables, NEVER)),
    ("SetEnv", passed(Syntax::Assignments, NEVER)),
    ("StdinNull", passed(Syntax::Flag, NEVER)),
    ("EscapeChar", passed(Syntax::Escape, NEVER)),
    ("EnableEscapeCommandline", passed(Syntax::Flag, NO)),
    ("ObscureKeystrokeTiming", passed(Syntax::Keystrokes, YES)),
    // The log has options of its own.
    (
        "LogLevel",
        passed(
            Syntax::Words(&[
                "QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3",
            ]),
            &["info"],
        ),
    ),
    ("LogVerbose", passed(Syntax::WordsOrNone, NONE)),
    (
        "SyslogFacility",
        passed(
            Syntax::Words(&[
                "DAEMON", "USER", "AUTH", "AUTHPRIV", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4",
                "LOCAL5", "LOCAL6", "LOCAL7",
            ]),
            NEVER,
        ),
    ),
    // From before SSH 2, or in no build of OpenSSH any more.
    ("AFSTokenPassing", OBSOLETE),
    ("Cipher", OBSOLETE),
    ("CompressionLevel", OBSOLETE),
    ("FallBackToRsh", OBSOLETE),
    ("GlobalKnownHostsFile2", OBSOLETE),
    ("KerberosAuthentication", OBSOLETE),
    ("KerberosTGTPassing", OBSOLETE),
    ("Protocol", OBSOLETE),
    ("RhostsAuthentication", OBSOLETE),
    ("RhostsRSAAuthentication", OBSOLETE),
    ("RSAAuthentication", OBSOLETE),
    ("UseRoaming", OBSOLETE),
    ("UseRsh", OBSOLETE),
    ("UsePrivilegedPort", OBSOLETE),
    ("UserKnownHostsFile2", OBSOLETE),
];
