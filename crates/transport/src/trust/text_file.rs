//! Reading the text files of this module.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Longer than any real file; keeps a device file or a mistake from filling memory. In bytes.
const MAX_SIZE: u64 = 16 << 20;

/// The text of a file, with replacement characters for what is not UTF-8: such a line then fails by itself.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        let message = format!("longer than {MAX_SIZE} bytes; remove lines that are no longer needed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
