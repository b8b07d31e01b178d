use std::thread;

use nix::pty::openpty;
use nix::unistd::ttyname;

use super::*;

const KEYS: Keys =
    Keys([(Some(3), Signal::SIGINT), (Some(0x1c), Signal::SIGQUIT), (Some(0x1a), Signal::SIGTSTP)]);

fn secret(typed: &[u8]) -> Option<String> {
    match read_secret(&mut &typed[..], &KEYS).unwrap() {
        Typed::Line(answer) => Some(String::from_utf8(answer.to_vec()).unwrap()),
        Typed::Nothing | Typed::Key(_) => None,
    }
}

/// The signals that terminals of these tests have passed on.
static RAISED: Mutex<Vec<(thread::ThreadId, Signal)>> = Mutex::new(Vec::new());

fn raised(thread: thread::ThreadId) -> Vec<Signal> {
    let raised = RAISED.lock().unwrap();
    raised.iter().filter(|(other, _)| *other == thread).map(|(_, signal)| *signal).collect()
}

#[test]
fn secrets_can_be_edited() {
    assert_eq!(secret(b"swordfish\n").as_deref(), Some("swordfish"));
    assert_eq!(secret(b"swordfisj\x7fh\r").as_deref(), Some("swordfish"));
    assert_eq!(secret("w\u{e9}\x08e\n".as_bytes()).as_deref(), Some("we"));
    assert_eq!(secret(b"wrong\x15right\n").as_deref(), Some("right"));
    assert_eq!(secret(b"\x7f\x7fa\x04").as_deref(), Some("a"));
    assert_eq!(secret(b"\n").as_deref(), Some(""));
}

#[test]
fn secrets_can_be_refused() {
    assert_eq!(secret(b"half\x03"), None);
    assert_eq!(secret(b"\x04"), None);
    assert_eq!(secret(b""), None);
}

#[test]
fn answers_are_bounded() {
    let long = vec![b'a'; 3 * MAX_ANSWER];
    assert_eq!(secret(&long).map(|answer| answer.len()), Some(MAX_ANSWER));
    assert_eq!(read_line(&mut &long[..]).unwrap().map(|answer| answer.len()), Some(MAX_ANSWER));
}

/// A terminal whose other end types `typed` once it has shown `prompt`. Returns the answer and all that was shown.
fn asked(prompt: &'static str, typed: &'static [u8], echo: bool) -> (Result<String, PromptError>, String) {
    let (answer, shown, _) = asked_and_raised(prompt, typed, echo);
    (answer, shown)
}

fn asked_and_raised(
    prompt: &'static str,
    typed: &'static [u8],
    echo: bool,
) -> (Result<String, PromptError>, String, Vec<Signal>) {
    let pty = openpty(None, None).unwrap();
    let raise = |signal| RAISED.lock().unwrap().push((thread::current().id(), signal));
    let terminal = Terminal { raise, ..Terminal::at(ttyname(&pty.slave).unwrap()) };
    let mut person = File::from(pty.master);
    let answering = thread::spawn(move || terminal.ask(prompt, echo).map(|answer| answer.to_string()));
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(prompt) {
        let mut byte = [0];
        person.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    while !echo && tcgetattr(&pty.slave).unwrap().local_flags.contains(LocalFlags::ECHO) {
        thread::yield_now();
    }
    person.write_all(typed).unwrap();
    let asking = answering.thread().id();
    let answer = answering.join().unwrap();
    assert!(
        tcgetattr(&pty.slave).unwrap().local_flags.contains(LocalFlags::ECHO),
        "the terminal stays silent"
    );
    // What a terminal shows last is the end of the line.
    while shown.last() != Some(&b'\n') {
        let mut byte = [0];
        person.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    (answer, String::from_utf8(shown).unwrap(), raised(asking))
}

#[test]
fn a_secret_is_not_shown() {
    let (answer, shown) = asked("Password: ", b"swordfish\r", false);
    assert_eq!(answer.unwrap(), "swordfish");
    assert_eq!(shown, "Password: \r\n");
}

#[test]
fn an_interrupted_secret_leaves_the_terminal_as_it_was() {
    for (key, signal) in [(b"sword\x03", Signal::SIGINT), (b"sword\x1c", Signal::SIGQUIT)] {
        let (answer, _, raised) = asked_and_raised("Password: ", key, false);
        assert!(matches!(answer, Err(PromptError::Interrupted)));
        assert_eq!(raised, [signal]);
    }
}

#[test]
fn u8_one_interrupt_ends_and_other_keys_do_not() {
    let keys = |typed: &[u8]| match read_secret(&mut &typed[..], &KEYS).unwrap() {
        Typed::Key(signal) => Some(signal),
        Typed::Line(_) | Typed::Nothing => None,
    };
    assert_eq!(keys(b"\x03"), Some(Signal::SIGINT));
    assert_eq!(keys(b"half\x03"), Some(Signal::SIGINT));
    assert_eq!(keys(b"half\x1c"), Some(Signal::SIGQUIT));
    assert_eq!(keys(b"half\x1a"), Some(Signal::SIGTSTP));
    assert_eq!(keys(b"whole\n\x03"), None);
    assert_eq!(keys(b"\x04"), None);
    // On a terminal where the key is switched off it is a character like others.
    let none = Keys([(None, Signal::SIGINT); 3]);
    assert!(
        matches!(read_secret(&mut &b"a\x03\0b\n"[..], &none), Ok(Typed::Line(line)) if *line == b"a\x03\0b")
    );
}

#[test]
fn an_open_answer_is_shown() {
    let (answer, shown) = asked("Yes or no? ", b"yes\r", true);
    assert_eq!(answer.unwrap(), "yes");
    assert_eq!(shown, "Yes or no? yes\r\n");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let terminal = Terminal::at("/nonexistent/tty");
    assert!(!terminal.is_interactive());
    assert!(matches!(terminal.ask("?", true), Err(PromptError::NotInteractive)));
}
