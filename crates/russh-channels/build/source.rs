//! Where cargo keeps the source of the pinned russh.
//!
//! Only `cargo metadata` knows that: the registry's cache, vendored sources and mirrors are its matter. Asked about the
//! workspace it wants every package of it, which a machine that only builds never downloads. So it is asked about a
//! manifest that names russh alone, and offline: what that needs has come with russh itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::variable;

/// The only version that the anchors of `edits.rs` were read in.
pub(crate) const RUSSH_VERSION: &str = "0.65.1";

/// The `src` folder of the pinned russh. `manifest_dir` is this package's, which is only read.
pub(crate) fn find(manifest_dir: &Path, out_dir: &Path) -> Result<PathBuf, String> {
    let package = out_dir.join("russh-alone");
    write_package(&package).map_err(|e| format!("cannot write {}: {e}", package.display()))?;

    let mut first_problem = None;
    for place in places(manifest_dir, out_dir) {
        for lock in locks(manifest_dir, out_dir) {
            match ask(&package, &place, lock.as_deref()) {
                Ok(source) => return Ok(source),
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
    }
    Err(format!(
        "cargo does not find the source of russh {RUSSH_VERSION} on this machine; `cargo fetch` brings it. {}",
        first_problem.unwrap_or_default()
    ))
}

/// Where cargo may find the configuration with which it was started, for it looks in the folder that it is in and above:
/// this package's, the one of the workspace that builds it, the one where somebody called cargo.
fn places(manifest_dir: &Path, out_dir: &Path) -> Vec<PathBuf> {
    let mut places = vec![manifest_dir.to_owned(), out_dir.to_owned()];
    places.extend(env::var_os("PWD").map(PathBuf::from).filter(|place| place.is_dir()));
    places
}

/// The lock files that may be the build's, and none: `cargo install` ignores the one that is there, and another workspace
/// has one that may be anywhere. Without one cargo takes the newest of what has been downloaded.
fn locks(manifest_dir: &Path, out_dir: &Path) -> Vec<Option<PathBuf>> {
    let nearest =
        |place: &Path| place.ancestors().map(|place| place.join("Cargo.lock")).find(|lock| lock.is_file());
    let mut locks = vec![nearest(out_dir), nearest(manifest_dir), None];
    locks.dedup();
    locks
}

fn write_package(package: &Path) -> std::io::Result<()> {
    fs::create_dir_all(package)?;
    fs::write(package.join("lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"russh-alone\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\nrussh = {{ version = \"={RUSSH_VERSION}\", default-features = false }}\n\n\
         # Not a member of a workspace above.\n[workspace]\n"
    );
    fs::write(package.join("Cargo.toml"), manifest)
}

fn ask(package: &Path, place: &Path, lock: Option<&Path>) -> Result<PathBuf, String> {
    let copy = package.join("Cargo.lock");
    match lock {
        // Not fs::copy: the original may be read-only, and cargo leaves out of the copy what russh does not need.
        Some(lock) => fs::read(lock).and_then(|text| fs::write(&copy, text)),
        None if copy.exists() => fs::remove_file(&copy),
        None => Ok(()),
    }
    .map_err(|e| format!("cannot copy the lock file: {e}"))?;

    let output = Command::new(variable("CARGO")?)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform"])
        .arg(variable("TARGET")?)
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .current_dir(place)
        .output()
        .map_err(|e| format!("cannot run cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata is not JSON: {e}"))?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "russh" && package["version"] == RUSSH_VERSION)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Some(Path::new(manifest).parent()?.join("src")))
        .ok_or_else(|| format!("cargo metadata names no russh {RUSSH_VERSION}"))
}
