//! The letters of ssh, as `connect` takes them.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use tapline_config::TunnelDevice;

/// What ssh's letters say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SshArguments {
    /// Arguments of `-o`, given so or by a letter, in the order of the command line; the first of each keyword counts.
    pub(crate) options: Vec<String>,
    /// `-l`, if no `-o User=` stands before it.
    pub(crate) user: Option<String>,
    /// `-p`, if no `-o Port=` stands before it.
    pub(crate) port: Option<u16>,
    /// `-f`: to the background once the link is up.
    pub(crate) background: bool,
    /// `-G`: print the options and end.
    pub(crate) print: bool,
    /// `-q`: no log.
    pub(crate) quiet: bool,
}

struct Letter {
    letter: &'static str,
    /// What its argument is, if it has one.
    value: Option<&'static str>,
    help: &'static str,
    meaning: Meaning,
}

enum Meaning {
    /// The option with this keyword and the letter's argument.
    Keyword(&'static str),
    /// This option.
    Option(&'static str),
    /// There is nothing here that it could change.
    Nothing,
    Background,
    Print,
    Quiet,
    /// Not here, and why.
    Refused(&'static str),
}

use Meaning::{Background, Keyword, Nothing, Option as Sets, Print, Quiet, Refused};

const fn with(letter: &'static str, value: &'static str, help: &'static str, meaning: Meaning) -> Letter {
    Letter { letter, value: Some(value), help, meaning }
}

const fn flag(letter: &'static str, help: &'static str, meaning: Meaning) -> Letter {
    Letter { letter, value: None, help, meaning }
}

/// Not in the help: it changes nothing, or is refused.
const fn quiet_flag(letter: &'static str, meaning: Meaning) -> Letter {
    flag(letter, "", meaning)
}

const SHARING: &str =
    "sharing a connection is not built yet; ssh's own master is not disturbed by a link beside it";
const FORWARDS: &str =
    "nothing but the tunnel is forwarded; give it to an ssh beside this one, or route through the tunnel";

const LETTERS: &[Letter] = &[
    with(
        "w",
        "LOCAL[:REMOTE]",
        "Tunnel devices here and there, each a number or `any`",
        Keyword("TunnelDevice"),
    ),
    with(
        "o",
        "OPTION=VALUE",
        "An option of ssh_config(5), such as `Tunnel=point-to-point`; may be given several times",
        Keyword(""),
    ),
    with("i", "KEY", "Private key to log in with; may be given several times", Keyword("IdentityFile")),
    with("p", "PORT", "Port of the SSH server", Keyword("Port")),
    with("l", "USER", "Name to log in with", Keyword("User")),
    with("J", "HOST[,HOST]", "Hosts to go through, as in `ssh -J`", Keyword("ProxyJump")),
    with("b", "ADDRESS", "Address of this host to connect from", Keyword("BindAddress")),
    with("B", "INTERFACE", "Interface to connect through", Keyword("BindInterface")),
    with("c", "CIPHERS", "Ciphers in order of preference", Keyword("Ciphers")),
    with("m", "MACS", "Message authentication codes in order of preference", Keyword("MACs")),
    with("P", "TAG", "Tag for `Match tagged`", Keyword("Tag")),
    flag("4", "IPv4 only", Sets("AddressFamily=inet")),
    flag("6", "IPv6 only", Sets("AddressFamily=inet6")),
    flag("f", "Go to the background once the link is up", Background),
    flag("q", "Write no log, and no error but that of a wrong command line", Quiet),
    flag(
        "G",
        "Print the options as they are resolved, in the form of `ssh -G`, and connect to nothing",
        Print,
    ),
    // Without a shell there is nothing to keep from it, and nothing to forward into it.
    quiet_flag("N", Nothing),
    quiet_flag("T", Nothing),
    quiet_flag("n", Nothing),
    quiet_flag("a", Nothing),
    quiet_flag("x", Nothing),
    quiet_flag("k", Nothing),
    quiet_flag("2", Nothing),
    with("e", "CHARACTER", "", Nothing),
    // These are named among what is passed over.
    quiet_flag("A", Sets("ForwardAgent=yes")),
    quiet_flag("X", Sets("ForwardX11=yes")),
    quiet_flag("Y", Sets("ForwardX11Trusted=yes")),
    quiet_flag("C", Sets("Compression=yes")),
    quiet_flag("K", Sets("GSSAPIAuthentication=yes")),
    quiet_flag("t", Sets("RequestTTY=yes")),
    quiet_flag("g", Sets("GatewayPorts=yes")),
    with("I", "LIBRARY", "", Keyword("PKCS11Provider")),
    quiet_flag("1", Refused("nobody speaks version 1 of SSH any more")),
    quiet_flag("s", Refused("a link has no subsystem")),
    quiet_flag(
        "y",
        Refused(
            "the log goes to stderr; put it into a file with -E, or into the journal with a systemd unit",
        ),
    ),
    quiet_flag("M", Refused(SHARING)),
    with("S", "PATH", "", Refused(SHARING)),
    with("O", "COMMAND", "", Refused(SHARING)),
    with("L", "FORWARD", "", Refused(FORWARDS)),
    with("R", "FORWARD", "", Refused(FORWARDS)),
    with("D", "FORWARD", "", Refused(FORWARDS)),
    with("W", "HOST:PORT", "", Refused(FORWARDS)),
    with(
        "Q",
        "QUERY",
        "",
        Refused(
            "a list that names something unknown is answered with all that is known: try -o Ciphers=none",
        ),
    ),
];

impl Letter {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.letter)
            .short(self.letter.chars().next())
            .help(self.help)
            .hide(self.help.is_empty());
        match self.value {
            Some(name) => {
                let arg = arg.value_name(name).action(ArgAction::Append);
                match self.letter {
                    "p" => arg.value_parser(port),
                    "w" => arg.value_parser(device),
                    _ => arg,
                }
            }
            None => arg.action(ArgAction::SetTrue).overrides_with(self.letter),
        }
    }

    /// Its values with their places on the command line; an empty value where it has none.
    fn given(&self, matches: &ArgMatches) -> Vec<(usize, String)> {
        let places = matches.indices_of(self.letter).into_iter().flatten();
        match self.value {
            Some(_) => {
                places.zip(matches.get_many::<String>(self.letter).into_iter().flatten().cloned()).collect()
            }
            None if !matches.get_flag(self.letter) => Vec::new(),
            None => places.map(|place| (place, String::new())).collect(),
        }
    }
}

fn port(text: &str) -> Result<String, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(text.to_owned()),
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

fn device(text: &str) -> Result<String, String> {
    text.parse::<TunnelDevice>().map(|device| device.to_string()).map_err(|error| error.to_string())
}

impl Args for SshArguments {
    fn augment_args(command: Command) -> Command {
        command.args(LETTERS.iter().map(Letter::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SshArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given: Vec<(usize, &Letter, String)> = Vec::new();
        for letter in LETTERS {
            given.extend(letter.given(matches).into_iter().map(|(place, value)| (place, letter, value)));
        }
        given.sort_by_key(|(place, ..)| *place);
        let mut arguments = Self::default();
        for (_, letter, value) in given {
            arguments.take(letter, value)?;
        }
        Ok(arguments)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SshArguments {
    fn take(&mut self, letter: &Letter, value: String) -> Result<(), Error> {
        match letter.meaning {
            Nothing => {}
            Background => self.background = true,
            Print => self.print = true,
            Quiet => self.quiet = true,
            Refused(why) => {
                let message = format!("-{}: {why}\n", letter.letter);
                return Err(Error::raw(ErrorKind::InvalidValue, message));
            }
            Sets(option) => self.options.insert(0, option.to_owned()),
            // What stands behind -l and -p is no text with tokens.
            Keyword("User") => {
                if !self.sets("User") {
                    self.user.get_or_insert(value);
                }
            }
            Keyword("Port") => {
                if !self.sets("Port") {
                    self.port = self.port.or(value.parse().ok());
                }
            }
            Keyword("") => {
                let later = |keyword: &str, is_set: bool| is_set && names(&value, keyword);
                if !later("User", self.user.is_some()) && !later("Port", self.port.is_some()) {
                    self.options.push(value);
                }
            }
            Keyword("IdentityFile") => self.options.push(format!("IdentityFile={}", quoted(&value))),
            // As to ssh: where they stand does not matter, and the last one counts.
            Keyword(keyword @ ("TunnelDevice" | "BindAddress" | "BindInterface" | "Ciphers" | "MACs")) => {
                self.options.insert(0, format!("{keyword}={value}"));
            }
            Keyword(keyword) => self.options.push(format!("{keyword}={value}")),
        }
        Ok(())
    }

    fn sets(&self, keyword: &str) -> bool {
        self.options.iter().any(|option| names(option, keyword))
    }
}

/// Whether an argument of `-o` is about this keyword.
fn names(option: &str, keyword: &str) -> bool {
    option
        .trim_start()
        .split([' ', '\t', '=', '"'])
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(keyword))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
