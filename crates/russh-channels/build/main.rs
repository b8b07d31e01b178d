//! Finds the pinned russh that cargo downloaded, copies its source to `OUT_DIR` and makes the edits of `edits.rs`.
//!
//! None of russh's source is kept here. An anchor that does not match exactly once stops the build and names itself,
//! so that a new russh cannot be extended wrongly in silence.

mod edits;
mod source;

use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs, io};

use edits::{EDITS, Edit};
use source::RUSSH_VERSION;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=extension");
    if let Err(problem) = build() {
        println!("cargo::error=russh-channels: {problem}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let copy = out_dir.join("russh");
    let original = source::find(&manifest_dir, &out_dir)?;

    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(|e| format!("cannot clear {}: {e}", copy.display()))?;
    }
    copy_tree(&original, &copy).map_err(|e| format!("cannot copy {}: {e}", original.display()))?;
    copy_tree(&manifest_dir.join("extension"), &copy).map_err(|e| format!("cannot copy extension/: {e}"))?;
    EDITS.iter().try_for_each(|edit| apply(&copy, edit))
}

fn apply(copy: &Path, edit: &Edit) -> Result<(), String> {
    let path = copy.join(edit.file);
    let text = fs::read_to_string(&path)
        .map_err(|e| format!("edit `{}`: cannot read russh's src/{}: {e}", edit.name, edit.file))?;
    let found = text.matches(edit.anchor).count();
    if found != 1 {
        return Err(format!(
            "edit `{}`: its anchor stands {found} times in src/{} of russh {RUSSH_VERSION}, not once; \
             see the edit in build/edits.rs. The anchor begins: {}",
            edit.name,
            edit.file,
            edit.anchor.trim_start().lines().next().unwrap_or_default()
        ));
    }
    fs::write(&path, text.replacen(edit.anchor, edit.with, 1))
        .map_err(|e| format!("edit `{}`: cannot write src/{}: {e}", edit.name, edit.file))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            // Not fs::copy: the registry's files may be read-only, and the copy is edited. russh's unit tests stay with
            // russh, whose dependencies for them are not ours.
            let text = fs::read_to_string(entry.path())?.replace("#[cfg(test)]", "#[cfg(any())]");
            fs::write(target, text)?;
        }
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo did not set {name}"))
}
