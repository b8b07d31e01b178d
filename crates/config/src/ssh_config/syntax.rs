//! What the values of keywords look like that are checked and set nothing: a line that ssh refuses is refused here too.

use super::{Problem, algorithm, settings::Assignment, value};

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Arguments of any kind, at least one.
    Anything,
    /// The line to its end.
    Line,
    /// A command: the line to its end.
    Command,
    Flag,
    /// One of these, in either case.
    Words(&'static [&'static str]),
    /// Any one argument.
    Word,
    /// Arguments, or `none` alone.
    WordsOrNone,
    Count,
    Time,
    /// yes, no, or the path of a socket.
    FlagOrSocket,
    /// `AddKeysToAgent`.
    AddKeys,
    /// `ControlPersist`.
    Persist,
    /// `EscapeChar`.
    Escape,
    /// `ObscureKeystrokeTiming`.
    Keystrokes,
    /// `IPQoS`.
    Qos,
    /// `StreamLocalBindMask`.
    Mask,
    /// `SendEnv`.
    Variables,
    /// `SetEnv`.
    Assignments,
    /// `ChannelTimeout`.
    Timeouts,
    /// `PermitRemoteOpen`.
    RemoteOpens,
    KeyAlgorithms,
    Forward {
        dynamic: bool,
        remote: bool,
    },
}

/// The names of differentiated services, and the old words.
const QOS: &[&str] = &[
    "none",
    "af11",
    "af12",
    "af13",
    "af21",
    "af22",
    "af23",
    "af31",
    "af32",
    "af33",
    "af41",
    "af42",
    "af43",
    "cs0",
    "cs1",
    "cs2",
    "cs3",
    "cs4",
    "cs5",
    "cs6",
    "cs7",
    "ef",
    "le",
    "va",
    "lowdelay",
    "throughput",
    "reliability",
];

impl Syntax {
    /// Whether ssh would take the line.
    pub(super) fn check(self, line: &Assignment<'_>) -> Result<(), Problem> {
        let one = |is_sound: &dyn Fn(&str) -> bool, expected| {
            let argument = line.single()?;
            if is_sound(argument) { Ok(()) } else { Err(line.bad_value(argument, expected)) }
        };
        match self {
            Self::Anything | Self::Line | Self::Command => Ok(()),
            Self::Word => line.single().map(drop),
            Self::Flag => one(&|text| value::flag(text).is_some(), "yes or no"),
            Self::Words(words) => {
                let argument = line.single()?;
                match words.iter().any(|word| word.eq_ignore_ascii_case(argument)) {
                    true => Ok(()),
                    false => Err(line.unknown_name(argument, words.join(", "))),
                }
            }
            Self::WordsOrNone => words(line, &["none"], |_| true),
            Self::Count => one(&|text| value::count(text).is_some(), "a number from 0"),
            Self::Time => one(&|text| text == "none" || value::time(text).is_some(), value::TIME),
            Self::FlagOrSocket => {
                one(&|text| value::flag(text).is_some() || is_socket(text), "yes, no or a path")
            }
            Self::AddKeys => match line.arguments {
                [confirm, time] if confirm.eq_ignore_ascii_case("confirm") && value::time(time).is_some() => {
                    Ok(())
                }
                _ => one(&is_add_keys, "yes, no, ask, confirm, confirm with a time, or a time"),
            },
            Self::Persist => one(
                &|text| matches!(text, "yes" | "true" | "no" | "false") || value::time(text).is_some(),
                "yes, no or a time",
            ),
            Self::Escape => one(&is_escape, "one character, ^ with a letter, or none"),
            Self::Keystrokes => one(&is_keystrokes, "yes, no or interval: with milliseconds"),
            Self::Qos => match line.arguments {
                [] => Err(Problem::MissingArgument(line.name.to_owned())),
                classes if classes.len() <= 2 => match classes.iter().find(|class| !is_qos(class)) {
                    Some(class) => {
                        Err(line.bad_value(class, "one or two of af11 to cs7, ef, le, none or a number"))
                    }
                    None => Ok(()),
                },
                [_, _, extra, ..] => Err(line.extra(extra)),
                _ => Ok(()),
            },
            Self::Mask => one(&is_mask, "an octal number up to 0777"),
            Self::Variables => {
                all(line, |name| !name.is_empty() && !name.contains('='), "names of variables, without `=`")
            }
            Self::Assignments => all(line, |text| text.contains('='), "NAME=value"),
            Self::Timeouts => words(line, &["none"], is_timeout),
            Self::RemoteOpens => words(line, &["none", "any"], is_remote_open),
            Self::KeyAlgorithms => {
                let argument = line.single()?;
                algorithm::AlgorithmList::parse(algorithm::Kind::Key, argument)
                    .map(drop)
                    .map_err(|unknown| line.unknown_algorithm(algorithm::Kind::Key, unknown))
            }
            Self::Forward { dynamic, remote } => forward(line, dynamic, remote),
        }
    }
}

fn all(
    line: &Assignment<'_>,
    is_sound: impl Fn(&str) -> bool,
    expected: &'static str,
) -> Result<(), Problem> {
    match line.arguments.iter().find(|argument| !is_sound(argument)) {
        _ if line.arguments.is_empty() => Err(Problem::MissingArgument(line.name.to_owned())),
        Some(wrong) => Err(line.bad_value(wrong, expected)),
        None => Ok(()),
    }
}

/// Sound arguments, or one of `alone` by itself.
fn words(line: &Assignment<'_>, alone: &[&str], is_sound: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let stands_alone = |argument: &String| alone.iter().any(|word| word.eq_ignore_ascii_case(argument));
    match line.arguments {
        [only] if stands_alone(only) => Ok(()),
        arguments => {
            match arguments.iter().find(|text| stands_alone(text) || text.is_empty() || !is_sound(text)) {
                Some(wrong) if stands_alone(wrong) => {
                    Err(line.bad_value(wrong, "this word only where it stands alone"))
                }
                Some(wrong) => Err(line.bad_value(wrong, "a list as the manual describes it")),
                None => Ok(()),
            }
        }
    }
}

/// A path in which `${VARIABLE}`s are closed, or `$VARIABLE`.
pub(super) fn is_socket(text: &str) -> bool {
    match text.strip_prefix('$') {
        Some(name) if !name.starts_with('{') => {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        _ => text.split("${").skip(1).all(|rest| rest.find('}').is_some_and(|end| end > 0)),
    }
}

fn is_add_keys(text: &str) -> bool {
    ["yes", "no", "true", "false", "ask", "confirm"].iter().any(|word| word.eq_ignore_ascii_case(text))
        || value::time(text).is_some()
}

fn is_escape(text: &str) -> bool {
    match text.as_bytes() {
        b"none" | [_] => true,
        [b'^', control] => (64..128).contains(control),
        _ => false,
    }
}

fn is_keystrokes(text: &str) -> bool {
    match text.strip_prefix("interval:") {
        Some(interval) => value::count(interval).is_some_and(|interval| (1..=1000).contains(&interval)),
        None => matches!(text, "yes" | "true" | "no" | "false"),
    }
}

fn is_qos(text: &str) -> bool {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok().map(u32::from),
        None => value::count(text),
    };
    QOS.iter().any(|class| class.eq_ignore_ascii_case(text)) || number.is_some_and(|number| number < 256)
}

fn is_mask(text: &str) -> bool {
    // As strtol does: what follows the digits does not count.
    let end = text.find(|c: char| !('0'..='7').contains(&c)).unwrap_or(text.len());
    let digits = text.get(..end).unwrap_or_default();
    u32::from_str_radix(digits, 8).is_ok_and(|mask| mask <= 0o777)
}

fn is_timeout(text: &str) -> bool {
    text.split_once('=').is_some_and(|(kind, interval)| !kind.is_empty() && value::time(interval).is_some())
}

fn is_remote_open(text: &str) -> bool {
    let port = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:").map(|(_, port)| port),
        None => text.split_once(':').map(|(_, port)| port),
    };
    port.is_some_and(|port| port == "*" || value::port(port).is_some())
}

fn forward(line: &Assignment<'_>, dynamic: bool, remote: bool) -> Result<(), Problem> {
    let expected = match dynamic {
        true => "[ADDRESS:]PORT",
        false => "[ADDRESS:]PORT HOST:PORT, or the paths of sockets",
    };
    let (text, dynamic) = match line.arguments {
        [] => return Err(Problem::MissingArgument(line.name.to_owned())),
        [_, extra] if dynamic => return Err(line.extra(extra)),
        [_, _, extra, ..] => return Err(line.extra(extra)),
        [listen] if dynamic || remote => (listen.clone(), true),
        [listen, connect] => (format!("{listen}:{connect}"), false),
        _ => return Err(line.bad_value(&line.arguments.join(" "), expected)),
    };
    match is_forward(&text, dynamic, remote) {
        true => Ok(()),
        false => Err(line.bad_value(&line.arguments.join(" "), expected)),
    }
}

fn is_forward(text: &str, dynamic: bool, remote: bool) -> bool {
    let Some(fields) = forward_fields(text) else { return false };
    let listens =
        |field: &Field| field.is_path || value::port(&field.text).is_some() || (remote && field.text == "0");
    let connects = |field: &Field| field.is_path || value::port(&field.text).is_some();
    match fields.as_slice() {
        [listen] => dynamic && listens(listen),
        [_, listen] if dynamic => listens(listen),
        [listen, connect] => (listen.is_path || connect.is_path) && listens(listen) && connects(connect),
        [path, _, connect] if path.is_path => !dynamic && connects(connect),
        [_, listen, path] if path.is_path => !dynamic && listens(listen),
        [listen, _, connect] => !dynamic && listens(listen) && connects(connect),
        [_, listen, _, connect] => !dynamic && listens(listen) && connects(connect),
        _ => false,
    }
}

struct Field {
    text: String,
    is_path: bool,
}

/// Split at colons; brackets and backslashes keep them.
fn forward_fields(text: &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (field, after) = bracketed.split_once(']')?;
                match after.strip_prefix(':') {
                    Some(after) => (field.to_owned(), after),
                    None if after.is_empty() => (field.to_owned(), ""),
                    None => return None,
                }
            }
            None => unescaped_field(rest)?,
        };
        fields.push(Field { is_path: field.contains('/'), text: field });
        rest = after;
    }
    Some(fields)
}

fn unescaped_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.push(characters.next()?),
            ':' => break,
            other => field.push(other),
        }
    }
    Some((field, characters.as_str()))
}
