//! The manifests of the workspace. Which crate may import which: the arrows of `crates/README.md`, dependencies of tests and
//! of build scripts included. And what `cargo run` runs, with which the README begins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Each crate and what of the workspace it may import.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "tapline",
        &[
            "russh-channels",
            "tapline-config",
            "tapline-control",
            "tapline-device",
            "tapline-frame",
            "tapline-lab",
            "tapline-transport",
        ],
    ),
    ("tapline-transport", &["russh-channels", "tapline-device", "tapline-frame"]),
    ("tapline-lab", &["tapline-config", "tapline-control"]),
    ("tapline-device", &["tapline-frame"]),
    ("tapline-config", &[]),
    ("tapline-control", &[]),
    ("tapline-frame", &[]),
    // Its source, that is.
    ("russh-channels", &["russh-original"]),
    ("russh-original", &[]),
    ("tapline-fuzz", &["tapline-config", "tapline-frame", "tapline-transport"]),
    // They run the program and import nothing of it.
    ("tapline-tests", &[]),
];

#[test]
fn crates_import_along_the_arrows() {
    let metadata = metadata();
    let found = violations(&metadata);
    assert!(found.is_empty(), "against the arrows of crates/README.md:\n{}", found.join("\n"));
    // A list of packages that cargo writes in another form would be found faultless.
    assert_eq!(metadata["packages"].as_array().unwrap().len(), ARROWS.len());
}

#[test]
fn cargo_run_runs_tapline_and_nothing_else() {
    let metadata = metadata();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.filter(|package| default.contains(&package["id"])).flat_map(|package| {
        let targets = package["targets"].as_array().unwrap().iter();
        targets.filter(|target| target["kind"].as_array().unwrap().contains(&json!("bin")))
    });
    let programs: Vec<_> = targets.map(|target| target["name"].as_str().unwrap()).collect();
    assert_eq!(programs, ["tapline"]);
}

fn metadata() -> Value {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_forbidden_import_is_found() {
    let import = |name: &str, kind: Value| json!({ "name": name, "kind": kind });
    let package = |name: &str, imports: Vec<Value>| json!({ "name": name, "dependencies": imports });
    let metadata = json!({ "packages": [
        package("tapline-device", vec![import("tapline-frame", Value::Null), import("bytes", Value::Null)]),
        package("tapline-frame", vec![import("tapline-device", json!("dev"))]),
        package("tapline-new", vec![]),
    ] });
    assert_eq!(
        violations(&metadata),
        [
            "tapline-frame must not import tapline-device",
            "tapline-new has no rule yet: give it one here and in crates/README.md",
        ]
    );
}

/// What of `cargo metadata` the arrows forbid.
fn violations(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            found.push(format!("{name} has no rule yet: give it one here and in crates/README.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let import = dependency["name"].as_str().unwrap();
            let is_ours = ARROWS.iter().any(|(of, _)| *of == import);
            // A crate may name itself, to switch features on for its own tests.
            if is_ours && import != name && !allowed.contains(&import) {
                found.push(format!("{name} must not import {import}"));
            }
        }
    }
    found
}
