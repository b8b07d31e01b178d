use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::{PromptError, Prompter};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1024;

/// A terminal, and the person in front of it. Connections that ask at once take turns.
#[derive(Debug)]
pub struct Terminal {
    path: PathBuf,
    turn: Mutex<()>,
    /// How this process gets the signal of a key that was pressed.
    raise: fn(Signal),
}

impl Terminal {
    /// The process's controlling terminal, `/dev/tty`.
    pub fn new() -> Self {
        Self::at("/dev/tty")
    }

    /// The terminal at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let raise = |signal| {
            if let Err(error) = kill(Pid::this(), signal) {
                tracing::debug!(%error, "cannot pass a signal on");
            }
        };
        Self { path: path.into(), turn: Mutex::new(()), raise }
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(&self.path)
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Prompter for Terminal {
    fn is_interactive(&self) -> bool {
        self.open().is_ok()
    }

    fn ask(&self, prompt: &str, echo: bool) -> Result<Zeroizing<String>, PromptError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut terminal = self.open().map_err(|_| PromptError::NotInteractive)?;
        terminal.write_all(prompt.as_bytes())?;
        if echo {
            return read_line(&mut terminal)?.map(into_text).ok_or(PromptError::Cancelled)?;
        }
        loop {
            let answer =
                Silence::fall(&terminal).and_then(|silence| read_secret(&mut &terminal, &silence.keys));
            terminal.write_all(b"\n")?;
            match answer? {
                Typed::Line(answer) => return into_text(answer),
                Typed::Nothing => return Err(PromptError::Cancelled),
                // Now that the terminal is as it was: the signal may end or stop the process.
                Typed::Key(Signal::SIGTSTP) => (self.raise)(Signal::SIGTSTP),
                Typed::Key(signal) => {
                    (self.raise)(signal);
                    return Err(PromptError::Interrupted);
                }
            }
            terminal.write_all(prompt.as_bytes())?;
        }
    }

    fn show(&self, text: &str) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(mut terminal) = self.open() {
            // A terminal that is gone shows nothing.
            let _ = terminal.write_all(format!("{}\n", text.trim_end()).as_bytes());
        }
    }
}

/// The terminal shows nothing and passes every key on, until dropped. The key for interrupts is among them: a process
/// that died of it would leave a silent terminal behind.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
    keys: Keys,
}

/// The keys that stand for signals.
#[derive(Debug, Clone, Copy)]
struct Keys([(Option<u8>, Signal); 3]);

impl Keys {
    fn of(terminal: &Termios) -> Self {
        let key = |index: SpecialCharacterIndices| {
            // Zero is no key (_POSIX_VDISABLE).
            terminal.control_chars.get(index as usize).copied().filter(|key| *key != 0)
        };
        Self([
            (key(SpecialCharacterIndices::VINTR), Signal::SIGINT),
            (key(SpecialCharacterIndices::VQUIT), Signal::SIGQUIT),
            (key(SpecialCharacterIndices::VSUSP), Signal::SIGTSTP),
        ])
    }

    fn signal(&self, byte: u8) -> Option<Signal> {
        self.0.iter().find(|(key, _)| *key == Some(byte)).map(|(_, signal)| *signal)
    }
}

/// What came of a question for a secret.
enum Typed {
    Line(Zeroizing<Vec<u8>>),
    Nothing,
    Key(Signal),
}

impl<'a> Silence<'a> {
    fn fall(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN);
        for (index, value) in [(SpecialCharacterIndices::VMIN, 1), (SpecialCharacterIndices::VTIME, 0)] {
            if let Some(character) = silent.control_chars.get_mut(index as usize) {
                *character = value;
            }
        }
        // What was typed before the question is no answer to it.
        tcsetattr(terminal.as_fd(), SetArg::TCSAFLUSH, &silent)?;
        let keys = Keys::of(&before);
        Ok(Self { terminal, before, keys })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal.as_fd(), SetArg::TCSAFLUSH, &self.before);
    }
}

/// One line, or nothing at the end of input.
fn read_line(input: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    loop {
        match read_byte(input)? {
            None if answer.is_empty() => return Ok(None),
            None | Some(b'\n' | b'\r') => return Ok(Some(answer)),
            Some(byte) if answer.len() < MAX_ANSWER => answer.push(byte),
            Some(_) => {}
        }
    }
}

/// One line from a terminal that leaves editing to us.
fn read_secret(input: &mut impl Read, keys: &Keys) -> io::Result<Typed> {
    const END: u8 = 0x04;
    const BACKSPACE: u8 = 0x08;
    const KILL_LINE: u8 = 0x15;
    const DELETE: u8 = 0x7f;
    // Full capacity from the start: growing would leave copies in freed memory.
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    loop {
        let byte = read_byte(input)?;
        if let Some(signal) = byte.and_then(|byte| keys.signal(byte)) {
            return Ok(Typed::Key(signal));
        }
        match byte {
            None | Some(END) if answer.is_empty() => return Ok(Typed::Nothing),
            None | Some(END | b'\n' | b'\r') => return Ok(Typed::Line(answer)),
            Some(BACKSPACE | DELETE) => erase_character(&mut answer),
            Some(KILL_LINE) => answer.clear(),
            Some(byte) if answer.len() < MAX_ANSWER => answer.push(byte),
            Some(_) => {}
        }
    }
}

fn read_byte(input: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read(byte.as_mut_slice()) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes the last character of a text in UTF-8.
fn erase_character(answer: &mut Vec<u8>) {
    while let Some(byte) = answer.pop() {
        let continues = byte & 0b1100_0000 == 0b1000_0000;
        if !continues {
            return;
        }
    }
}

fn into_text(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, PromptError> {
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::other("the answer is not UTF-8").into()),
    }
}

#[cfg(test)]
mod tests;
